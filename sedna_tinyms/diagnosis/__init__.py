"""What may be wrong with an installation or a machine, each with the line that mends it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from sedna_tinyms.diagnosis.convolutions import check_convolutions
from sedna_tinyms.diagnosis.finding import Finding, Level, warning, worst_exit_code
from sedna_tinyms.diagnosis.installation import (
    check_extras,
    check_mindspore,
    check_numpy,
    check_python,
    check_worker_library,
)
from sedna_tinyms.diagnosis.machine import (
    check_clocks,
    check_cores,
    check_directory,
    check_port,
    check_worker,
)
from sedna_tinyms.heartbeat import HEARTBEAT

__all__ = ["Finding", "diagnose", "worst_exit_code"]


def diagnose(root: Path | None = None, *, port: int = 0, quick: bool = False) -> list[Finding]:
    """Run every check.

    Parameters
    ----------
    root : Path, optional
        The directory that plays the host; where files will be written.
    port : int, default 0
        Where workers shall report to; 0 for any free port.
    quick : bool
        Leave out what takes seconds: the measurement of a convolution.

    Returns
    -------
    list of Finding
        In the order of the checks.
    """
    findings = [
        check_python(),
        check_worker_library(),
        check_numpy(),
        check_mindspore(),
        *([] if quick else [check_convolutions()]),
        check_cores(),
        check_directory("temporary files", Path(tempfile.gettempdir())),
        check_directory("cache", _cache_directory(), needed=False),
    ]
    if root is not None:
        findings.append(_check_root(root))
    if HEARTBEAT in os.environ:
        findings.append(check_worker())
    findings += [
        check_port(port),
        check_clocks(root or Path(tempfile.gettempdir())),
        *check_extras(),
    ]
    return findings


def _check_root(root: Path) -> Finding:
    found = check_directory("root", root)
    if root.exists() or found.level is Level.PROBLEM:
        return found
    return warning(
        "root",
        f"there is no {root}: a run looks for the job's dataset and models below it",
        "give the directory that they are in as --root",
        code="not-a-directory",
    )


def _cache_directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "sedna-tinyms"
