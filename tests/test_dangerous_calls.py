"""What must never stand in the code: ways to run what a file says, or to trust any server."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    path
    for room in ("sedna_tinyms", "estimators", "examples", "benchmarks")
    for path in (ROOT / room).rglob("*.py")
)

MODULES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
BUILTINS = {"eval", "exec", "compile", "__import__"}
CALLS = {
    *("yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load"),
    *("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"),
    *("tempfile.mktemp", "ssl._create_unverified_context", "ssl._create_default_https_context"),
}
METHODS = {"extractall"}
KEYWORDS = {"shell": True, "verify": False, "allow_pickle": True, "weights_only": False}
ATTRIBUTES = {"CERT_NONE", "check_hostname"}


def dangerous(code):
    """Yield the line and the name of everything in a program that has no place here."""
    for node in ast.walk(ast.parse(code)):
        found = None
        if isinstance(node, ast.Import):
            found = next((a.name for a in node.names if a.name.split(".")[0] in MODULES), None)
        elif isinstance(node, ast.ImportFrom):
            found = node.module if (node.module or "").split(".")[0] in MODULES else None
        elif isinstance(node, ast.Attribute) and node.attr in ATTRIBUTES:
            found = node.attr
        elif isinstance(node, ast.Call):
            found = dangerous_call(node)
        if found:
            yield node.lineno, found


def dangerous_call(call):
    name = ast.unparse(call.func)
    method = name.rpartition(".")[2]
    if name in BUILTINS | CALLS or method in METHODS:
        return name
    if name == "torch.load" and not any(each.arg == "weights_only" for each in call.keywords):
        return "torch.load without weights_only"
    for keyword in call.keywords:
        value = getattr(keyword.value, "value", None)
        if keyword.arg in KEYWORDS and value is KEYWORDS[keyword.arg]:
            return f"{keyword.arg}={value}"
    return None


def test_nothing_runs_what_a_file_says():
    found = {
        str(path.relative_to(ROOT)): lines
        for path in SOURCES
        if (lines := list(dangerous(path.read_text(encoding="utf-8"))))
    }
    assert found == {}
    assert len(SOURCES) > 100


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "import joblib.hashing as h",
        "from dill import load",
        "eval(text)",
        "exec(text)",
        "yaml.load(text)",
        "subprocess.run(line, shell=True)",
        "requests.get(url, verify=False)",
        "np.load(path, allow_pickle=True)",
        "tarfile.open(path).extractall()",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "context.verify_mode = ssl.CERT_NONE",
        "context.check_hostname = False",
        "os.system(line)",
    ],
)
def test_each_of_them_would_be_found(code):
    assert len(list(dangerous(code))) == 1


def test_what_only_sounds_like_it_is_left_alone():
    code = "model.eval()\nyaml.safe_load(t)\nnp.load(p, allow_pickle=False)\nrun(x, shell=False)"
    assert list(dangerous(code)) == []


def test_every_dependency_has_a_range():
    """A lower bound that is tested, and an upper one where a new major version may break us."""
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lines = project["dependencies"] + [
        line for name, extra in extras.items() if name not in ("all", "dev") for line in extra
    ]
    calendar = {"fsspec", "gcsfs", "openvino", "s3fs"}  # versions are dates, and mean nothing else
    for line in lines:
        assert ">=" in line, line
        assert "<" in line or re.split("[<>=]", line)[0] in calendar, line
