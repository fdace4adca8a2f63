"""Where jobs stand, read from the files that their runners keep."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sedna_tinyms.artifact.format_version import require_version
from sedna_tinyms.artifact.json_text import parse_json
from sedna_tinyms.errors import StorageError, UsageError
from sedna_tinyms.jobs.records import REPORT_VERSION, RoundRecord

__all__ = ["JobStanding", "find_jobs", "runner_of"]


@dataclass(frozen=True)
class JobStanding:
    """One job as its output directory shows it.

    Attributes
    ----------
    runner : int or None
        The process that runs it now.
    stage, condition : str
        The last condition: ``Train``, ``Waiting``.
    since : str
        When that was reached.
    rounds : tuple of RoundRecord
        The rounds of ``report.json``; one that no runner plays any more is ``interrupted``.
    samples : dict
        How many samples are in which state, see `SampleLedger.summary`; empty in an older report.
    in_service : dict or None
        ``version`` and ``since`` of what was deployed or gone back to last.
    continual_learning : dict of str to float or None
        Accuracy, forgetting, BWT and FWT of ``accuracy_matrix.json``; empty if there is none.
    """

    name: str
    namespace: str
    output: Path
    runner: int | None
    stage: str
    condition: str
    since: str
    rounds: tuple[RoundRecord, ...]
    continual_learning: dict[str, float | None]
    samples: dict[str, Any] = field(default_factory=dict)
    in_service: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self) | {"output": str(self.output)}


def find_jobs(directory: Path) -> list[JobStanding]:
    """Return the jobs whose ``status.json`` lies anywhere below a directory.

    Parameters
    ----------
    directory : Path
        The ``--root`` of a run, a job's output directory, or one above several.

    Raises
    ------
    UsageError
        If the directory does not exist or holds no job.
    """
    if not directory.is_dir():
        raise UsageError(
            f"{directory} is not a directory; give the --root of a run",
            code="not-a-directory",
            path=directory,
        )
    jobs = list(_read_jobs(directory))
    if not jobs:
        raise UsageError(
            f"no job has run below {directory}: there is no status.json of an "
            "IncrementalLearningJob; give the --root of a run",
            code="missing-file",
            path=directory,
        )
    return jobs


def _read_jobs(directory: Path) -> Iterator[JobStanding]:
    for path in sorted(directory.rglob("status.json")):
        document = _read_json(path)
        if document.get("kind") != "IncrementalLearningJob":
            continue
        try:
            yield _standing(path.parent, document)
        except (LookupError, TypeError, AttributeError):
            continue  # some other program's file


def _standing(output: Path, document: dict[str, Any]) -> JobStanding:
    conditions = document["status"]["conditions"]
    last, metadata = conditions[-1], document["metadata"]
    path = output / "report.json"
    report = _read_json(path)
    found = report.get("format_version", REPORT_VERSION)
    require_version(StorageError, "the report", path, found, (REPORT_VERSION,))
    runner = runner_of(output / "run.lock")
    rounds = tuple(RoundRecord.of_json(record) for record in report.get("rounds", []))
    if runner is None and rounds and rounds[-1].outcome == "running":
        rounds[-1].outcome = "interrupted"
    return JobStanding(
        name=metadata["name"],
        namespace=metadata.get("namespace", "default"),
        output=output,
        runner=runner,
        stage=last["stage"],
        condition=last["type"],
        since=last["lastTransitionTime"],
        rounds=rounds,
        continual_learning=report.get("continual_learning", {}),
        samples=report.get("samples", {}),
        in_service=report.get("in_service"),
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def runner_of(lock: Path) -> int | None:
    """Return the process that holds the lock of an output directory; None if no runner does."""
    try:
        with lock.open("r") as file:
            process = int(file.read(20))
            os.kill(process, 0)  # of a dead one, the lock is free and not worth a try
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return process
    except (OSError, ValueError, OverflowError):
        pass
    return None
