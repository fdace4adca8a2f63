"""What must never stand in the code: ways to run what a file says, or to trust any server.

Ruff's ``S`` rules find most of them, in notebooks too; here is what they leave out: modules, names
under which a function is handed on, and keywords that are not literally True or False.
"""

import ast
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("sedna_tinyms", "estimators", "examples", "benchmarks", "docs")
SOURCES = [
    ROOT / "setup.py",
    *(
        p
        for room in ROOMS
        for kind in ("py", "ipynb")
        for p in sorted((ROOT / room).rglob(f"*.{kind}"))
    ),
]

MODULES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
NAMES = {
    *("eval", "exec", "compile", "__import__", "builtins.eval", "builtins.exec"),
    *("yaml.full_load", "yaml.full_load_all", "yaml.Loader", "yaml.UnsafeLoader"),
    *("yaml.unsafe_load", "yaml.unsafe_load_all"),
    *("os.system", "os.popen", "asyncio.create_subprocess_shell", "shutil.unpack_archive"),
    *("ssl.CERT_NONE", "ssl._create_default_https_context"),
    *("urllib3.disable_warnings", "torch.jit.load"),
}
ATTRIBUTES = {"extractall", "CERT_NONE", "check_hostname"}
ONLY_AS = {"shell": False, "verify": True, "allow_pickle": False, "weights_only": True}
"""Keywords and attributes that may be written with this value alone."""


def dangerous(code):
    """Yield the line and the name of everything in a program that has no place here."""
    tree = ast.parse(code)
    known = dict(imported(tree))
    for node in ast.walk(tree):
        found = None
        if isinstance(node, ast.Name | ast.Attribute) and not is_a_new_name(node):
            found = dangerous_name(full_name(node, known))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = (full for _, full in imported(node))
            found = next(filter(None, map(dangerous_name, names)), None)
        elif isinstance(node, ast.Call):
            found = dangerous_call(node, full_name(node.func, known))
        elif isinstance(node, ast.Assign):
            targets = (each.attr for each in node.targets if isinstance(each, ast.Attribute))
            found = next((name for name in targets if unlike(name, node.value)), None)
        if found:
            yield node.lineno, found


def imported(tree):
    """Yield each name that a program imports, and what it is called where it comes from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((each.asname or each.name, each.name) for each in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for each in node.names:
                yield each.asname or each.name, f"{node.module}.{each.name}"


def is_a_new_name(node):
    """Tell whether a name is given, as that of a method is, and not used."""
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def full_name(node, known):
    first, dot, rest = ast.unparse(node).partition(".")
    return known.get(first, first) + dot + rest


def dangerous_name(name):
    if name.split(".")[0] in MODULES or name in NAMES:
        return name
    return name if name.rpartition(".")[2] in ATTRIBUTES else None


def dangerous_call(call, name):
    given = {each.arg: each.value for each in call.keywords}
    if name == "torch.load" and "weights_only" not in given:
        return "torch.load without weights_only"
    if name == "numpy.load" and len(call.args) > 2:
        return "numpy.load with allow_pickle"
    if name == "importlib.import_module" and any(
        isinstance(each, ast.Constant) and str(each.value).split(".")[0] in MODULES
        for each in call.args
    ):
        return "importlib.import_module"
    return next((each for each, value in given.items() if each and unlike(each, value)), None)


def unlike(name, value):
    """Tell whether something gets another value than the only one that it may have."""
    if name not in ONLY_AS:
        return False
    return not isinstance(value, ast.Constant) or value.value is not ONLY_AS[name]


def programs(path):
    """Return the Python of a file: its own, or that of a notebook's cells."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return [text]
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    lines = [line for cell in cells for line in [*"".join(cell["source"]).split("\n"), ""]]
    return ["\n".join("" if line.lstrip().startswith(("!", "%")) else line for line in lines)]


def test_nothing_runs_what_a_file_says():
    found = {
        str(path.relative_to(ROOT)): lines
        for path in SOURCES
        if (lines := [each for program in programs(path) for each in dangerous(program)])
    }
    assert found == {}
    assert len(SOURCES) > 300
    assert len([path for path in SOURCES if path.suffix == ".ipynb"]) >= 3


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "import joblib.hashing as h",
        "from dill import load",
        "joblib.load(path)",
        "importlib.import_module('pickle')",
        "builtins.eval(text)",
        "run = eval",
        "yaml.full_load(text)",
        "from yaml import unsafe_load",
        "subprocess.run(line, shell=1)",
        "subprocess.run(line, shell=wanted)",
        "requests.get(url, verify=wanted)",
        "session.verify = False",
        "np.load(path, allow_pickle=True)",
        "import numpy as np\nnp.load(path, None, True)",
        "tarfile.open(path).extractall()",
        "shutil.unpack_archive(path)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "context.verify_mode = ssl.CERT_NONE",
        "from ssl import CERT_NONE",
        "context.check_hostname = False",
        "from os import system",
        "asyncio.create_subprocess_shell(line)",
    ],
)
def test_each_of_them_would_be_found(code):
    assert list(dangerous(code))


@pytest.mark.parametrize("suffix", [".py", ".ipynb"])
def test_it_would_be_found_in_a_file(tmp_path, suffix):
    code = "%matplotlib inline\nimport pickle\n" if suffix == ".ipynb" else "import pickle\n"
    cells = [{"cell_type": "code", "source": code.splitlines(keepends=True)}]
    path = tmp_path / f"program{suffix}"
    path.write_text(json.dumps({"cells": cells}) if suffix == ".ipynb" else code)
    (program,) = programs(path)
    assert [name for _, name in dangerous(program)] == ["pickle"]


def test_what_only_sounds_like_it_is_left_alone():
    code = "class Model:\n    eval = measure\n"
    assert list(dangerous(code)) == []
    code = "model.eval()\nyaml.safe_load(t)\nnp.load(p, allow_pickle=False)\nrun(x, shell=False)"
    assert list(dangerous(code)) == []


def test_ruff_looks_for_the_rest():
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    assert "S" in lint["select"]
    left_out = lint["ignore"] + [
        rule
        for place, rules in lint["per-file-ignores"].items()
        if not place.startswith("tests")
        for rule in rules
    ]
    assert {rule for rule in left_out if rule.startswith("S")} <= {"S101", "S603"}
