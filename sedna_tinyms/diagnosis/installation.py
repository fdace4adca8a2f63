"""Checks of what is installed, by its metadata: nothing is imported that takes its time."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata

from sedna_tinyms import plugin
from sedna_tinyms.diagnosis.finding import Finding, note, ok, problem, warning
from sedna_tinyms.errors import MissingExtraError, WorkerLibraryError

__all__ = [
    "check_extras",
    "check_mindspore",
    "check_numpy",
    "check_python",
    "check_worker_library",
    "installed_version",
]

PYTHONS = ((3, 10), (3, 12))
MINDSPORES = ((2, 8), (2, 10))
"""First and last minor version that the project is tested with."""

FOR_DEVELOPERS = {"all", "bench", "dev"}

DISTRIBUTION = "sedna-tinyms"
REQUIREMENT = re.compile(r"[A-Za-z0-9][\w.-]*")
EXTRA_MARKER = re.compile(r"""extra\s*==\s*["']([\w-]+)["']""")


def installed_version(distribution: str) -> str | None:
    """Return the version of an installed distribution; None if there is none."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def check_python() -> Finding:
    """Look at the interpreter and the system."""
    version, system = platform.python_version(), platform.system()
    here = f"Python {version} on {system} {platform.machine()}"
    if system != "Linux":
        return warning(
            "python",
            f"{here}; only Linux is tested",
            "run it on Linux, or in WSL 2",
            code="unsupported",
        )
    if not PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        return warning(
            "python",
            f"{here}; 3.10 to 3.12 are tested, and MindSpore has wheels for these alone",
            "python3.11 -m venv .venv",
            code="wrong-version",
        )
    return ok("python", here)


def check_worker_library() -> Finding:
    """Look which library ``import sedna`` would give, and whether it can be imported."""
    try:
        library = plugin.library()
    except WorkerLibraryError as error:
        return problem(
            "worker library",
            WorkerLibraryError,
            str(error),
            "pip uninstall --yes sedna",
            code=error.code,
        )
    if library != "kubeedge":
        return ok(
            "worker library",
            "KubeEdge Sedna's is not on the path; the embedded one answers to the same imports",
        )
    missing = [name for name in _requirements("kubeedge") if installed_version(name) is None]
    if missing:
        return problem(
            "worker library",
            MissingExtraError,
            f"KubeEdge Sedna's is on the path, but cannot be imported without {', '.join(missing)}",
            _pip("kubeedge"),
            code="missing-extra",
        )
    return ok("worker library", "KubeEdge Sedna's is on the path, with all that it imports")


def check_mindspore() -> Finding:
    """Look at MindSpore's version."""
    version = installed_version("mindspore")
    if version is None:
        return note(
            "mindspore",
            "not installed; training and evaluation need it, the runner and ONNX inference do not",
            _pip("mindspore"),
            code="missing-extra",
        )
    if not MINDSPORES[0] <= _minor(version) <= MINDSPORES[1]:
        return warning(
            "mindspore",
            f"{version}; 2.8 to 2.10 are tested",
            "pip install 'mindspore>=2.8,<2.11'",
            code="wrong-version",
        )
    return ok("mindspore", version)


def check_numpy() -> Finding:
    """Look whether NumPy's version is one that MindSpore works with."""
    version = installed_version("numpy")
    if version is None:
        return problem(
            "numpy",
            MissingExtraError,
            "not installed",
            f"pip install --upgrade {DISTRIBUTION}",
            code="missing-extra",
        )
    if installed_version("mindspore") is not None and _minor(version) >= (2, 0):
        return problem(
            "numpy",
            MissingExtraError,
            f"{version}: MindSpore's data sets and tensors fail with NumPy 2, though its "
            "metadata allows it",
            "pip install 'numpy>=1.25,<2'",
            code="wrong-version",
        )
    return ok("numpy", version)


def check_extras() -> list[Finding]:
    """Look which extras are installed; one finding for each that is not."""
    present, findings = [], []
    for extra in _extras():
        missing = [name for name in _requirements(extra) if installed_version(name) is None]
        if missing:
            what = f"not installed: {', '.join(missing)}"
            findings.append(note(f"extra {extra}", what, _pip(extra), code="missing-extra"))
        else:
            present.append(extra)
    return [ok("extras", f"installed: {', '.join(present) or 'none'}"), *findings]


def _extras() -> Iterator[str]:
    """Yield the extras meant for users."""
    try:
        provided = metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:  # a checkout on PYTHONPATH
        return
    yield from (name for name in provided if name not in FOR_DEVELOPERS)


def _requirements(extra: str) -> Iterator[str]:
    """Yield the distributions that an extra brings."""
    try:
        lines = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return
    for line in lines:
        match, marker = REQUIREMENT.match(line), EXTRA_MARKER.search(line)
        if match and marker and marker[1] == extra:
            yield match[0]


def _pip(extra: str) -> str:
    return f"pip install '{DISTRIBUTION}[{extra}]'"


def _minor(version: str) -> tuple[int, int]:
    numbers = [int(number) for number in re.findall(r"\d+", version)[:2]]
    major, minor = [*numbers, 0, 0][:2]
    return major, minor
