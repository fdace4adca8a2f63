"""Run the tests, the checks and the pages in environments of their own.

::

    python -m pip install nox
    nox --list                         # the sessions
    nox -s tests-3.12                  # one of them
    nox -s edge -- tests/edge -k swap  # what follows -- goes to pytest

Without arguments, a test session runs the tests of the default tier that it is meant for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import nox

ROOT = Path(__file__).parent
PYTHONS = ("3.10", "3.11", "3.12")
USUAL_PYTHON = "3.11"
LOWEST_PYTHON = PYTHONS[0]
MINDSPORES = ("2.8", "2.9", "2.10")
BESIDE = {"2.8": ("protobuf<3.21",)}
"""What a MindSpore release needs and does not say: 2.8 cannot be imported with a newer protobuf."""

DEFAULT_TIER = "not slow and not browser and not index"
"""The tests of ``make test``."""

IN_TWO = ("-n", "2", "--dist", "loadgroup", "--max-worker-restart=0")
"""Two processes, as in the Makefile. Where one dies, its tests have failed, and the run ends."""

CORE = ("tests/tinyms", "tests/backend", "tests/learning", "tests/estimators")
"""Tests of everything that calls MindSpore."""

EDGE = (
    *("tests/artifact", "tests/cli", "tests/diagnosis", "tests/engine", "tests/jobs"),
    *("tests/learning", "tests/pictures", "tests/sedna", "tests/testing", "tests/test_plugin.py"),
    *("tests/backend/test_backend_versions.py", "tests/estimators/test_model_canary.py"),
    *("tests/estimators/test_onnx_versions.py", "tests/test_onednn.py"),
    "tests/test_outcomes.py",
)
"""Tests of what runs without MindSpore."""

NOT_EDGE = (
    "tests/learning/test_frozen_backbone.py",
    "tests/learning/test_opinions.py",
    "tests/learning/test_softmax_regression.py",
)
"""Tests among them that need MindSpore."""

NEEDS = re.compile(r"(?P<name>[\w.-]+)>=(?P<lowest>[\w.]+),<[\w.]+")
"""A dependency as pyproject.toml states it."""

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["lint", f"tests-{USUAL_PYTHON}"]
nox.options.reuse_existing_virtualenvs = True


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests with the newest versions of everything."""
    session.install("-e", ".[all,dev]")
    run_tests(session)


@nox.session(python=LOWEST_PYTHON)
def lowest(session: nox.Session) -> None:
    """Run the tests with the lowest version of each dependency that pyproject.toml allows.

    What the dependencies need themselves, and what only the tests need, is as new as it can be.
    """
    project = nox.project.load_toml("pyproject.toml")["project"]
    constraints = Path(session.create_tmp(), "lowest.txt")
    constraints.write_text("".join(f"{line}\n" for line in lowest_versions(project, "all")))
    session.install("-e", ".[all,dev]", "--constraint", str(constraints))
    run_tests(session)


@nox.session(python=USUAL_PYTHON)
@nox.parametrize("mindspore", MINDSPORES)
def mindspore(session: nox.Session, mindspore: str) -> None:
    """Run the tests of everything that calls MindSpore with one of its releases."""
    session.install("-e", ".[all,dev]", f"mindspore=={mindspore}.*", *BESIDE.get(mindspore, ()))
    run_tests(session, CORE)


@nox.session(python=USUAL_PYTHON)
def edge(session: nox.Session) -> None:
    """Run the tests of what an edge node does, where there is no MindSpore.

    The tests write their models with onnx. That a node does without is a test of its own, which
    installs the extra from a package index: ``tests/edge``.
    """
    session.install("-e", ".[edge,dev]", "onnx")
    require_absent(session, "mindspore", "openvino", "flask")
    # KubeEdge's library needs more than the extra brings: it has a session of its own.
    run_tests(session, [*EDGE, *(f"--ignore={path}" for path in NOT_EDGE)], SEDNA_LIB=None)


@nox.session(python=USUAL_PYTHON)
def kubeedge(session: nox.Session) -> None:
    """Run the conformance tests against KubeEdge's own library: SEDNA_LIB names its directory."""
    library = os.environ.get("SEDNA_LIB", "")
    if not Path(library, "sedna").is_dir():
        session.error("SEDNA_LIB must name the lib directory of a KubeEdge Sedna checkout")
    session.install("-e", ".[all,dev,kubeedge]")
    run_tests(session, ("tests/testing",), SEDNA_LIB=str(Path(library).resolve()))


@nox.session(python=USUAL_PYTHON)
def lint(session: nox.Session) -> None:
    """Check style, formatting, types, layers and spelling."""
    session.install("-e", ".[all,dev]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy", *session.posargs)
    session.run("lint-imports")
    session.run("codespell")


@nox.session(python=USUAL_PYTHON)
def docs(session: nox.Session) -> None:
    """Build the documentation site; a warning is an error."""
    session.install("-e", ".[docs]")
    built = ["-c", "docs", ".", "docs/_build/html"]
    session.run("sphinx-build", "-q", "-W", "--keep-going", *built, *session.posargs)


def run_tests(session: nox.Session, paths: Sequence[str] = (), **environment: str | None) -> None:
    """Run what the command line names, or the default tier of these paths.

    The environment has these variables besides, or does not have those that are None.
    """
    chosen = session.posargs or [*IN_TWO, "-m", DEFAULT_TIER, *paths]
    session.run("python", "-m", "pytest", *chosen, env=environment)


def lowest_versions(project: Mapping[str, Any], extra: str) -> Iterator[str]:
    """Yield a constraint for each dependency of the project and of an extra.

    Where a dependency is stated more than once, as NumPy is, the highest lower bound counts.
    """
    highest: dict[str, tuple[int, ...]] = {}
    for line in needs(project, extra):
        found = NEEDS.fullmatch(line)
        if found is None:
            raise ValueError(f"{line}: not of the form NAME>=LOWEST,<LIMIT")
        version = tuple(int(part) for part in found["lowest"].split("."))
        highest[found["name"]] = max(version, highest.get(found["name"], version))
    for name, version in sorted(highest.items()):
        lowest_version = ".".join(map(str, version))
        yield f"{name}=={lowest_version}"
        if name == "mindspore":
            yield from BESIDE.get(lowest_version, ())


def needs(project: Mapping[str, Any], extra: str) -> Iterator[str]:
    """Yield every dependency of the project and of an extra, with those of extras that it names."""
    yield from project["dependencies"]
    waiting = [extra]
    while waiting:
        for line in project["optional-dependencies"][waiting.pop()]:
            own = re.fullmatch(rf"{re.escape(project['name'])}\[(.*)\]", line)
            if own:
                waiting += own[1].split(",")
            else:
                yield line


def require_absent(session: nox.Session, *modules: str) -> None:
    """Fail unless none of these modules can be imported."""
    code = "import importlib.util, sys; sys.exit(str([m for m in sys.argv[1:]"
    code += " if importlib.util.find_spec(m)] or '') or None)"
    session.run("python", "-c", code, *modules)
