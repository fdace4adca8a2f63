"""What a later run of a job goes on from: ``state.json``.

The file is replaced at every transition of a round, so an ordinary stop, and a kill while nothing
moves, are taken up without counting anything twice. A kill between two files of one transition
is not yet: a journal of the transitions would be written in `JobState.save`.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sedna_tinyms.artifact.files import write_json
from sedna_tinyms.errors import StorageError
from sedna_tinyms.jobs.intake import Intake
from sedna_tinyms.jobs.manifest.spec import Job
from sedna_tinyms.jobs.models import ReportedModel, read_models

__all__ = ["JobState", "hold_lock", "open_state"]

VERSION = 1


@dataclass
class JobState:
    """The memory of a job.

    Attributes
    ----------
    job : str
        ``namespace/name``: two jobs cannot share an output directory.
    round : int
        The last round that began; 0 before the first.
    trained, deployed : list of ReportedModel
        What the last round that trained, and the last one that deployed, reported.
    """

    path: Path
    job: str
    intake: Intake
    round: int = 0
    trained: list[ReportedModel] = field(default_factory=list)
    deployed: list[ReportedModel] = field(default_factory=list)

    def save(self) -> None:
        """Write the file, whole or not at all."""
        write_json(
            self.path,
            {
                "version": VERSION,
                "job": self.job,
                "round": self.round,
                "trained": [model.as_json() for model in self.trained],
                "deployed": [model.as_json() for model in self.deployed],
                "intake": self.intake.state(),
            },
        )


def open_state(path: Path, job: Job, dataset: Path) -> JobState:
    """Return the state that an earlier run left, or that of a new job.

    Raises
    ------
    StorageError
        If `path` exists and is no state file, or that of another job.
    """
    name = f"{job.namespace}/{job.name}"
    if not path.exists():
        return JobState(path, name, Intake(dataset, job.spec.train_prob))
    try:
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if known["version"] != VERSION:
            raise ValueError(f"version {known['version']}, not {VERSION}")
        if known["job"] != name:
            raise ValueError(f"it is of the job {known['job']}, not {name}")
        return JobState(
            path,
            name,
            Intake(dataset, job.spec.train_prob, known["intake"]),
            int(known["round"]),
            read_models(known["trained"]),
            read_models(known["deployed"]),
        )
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise StorageError(
            f"{path} is not this job's state ({error}); move it away, with the rest of the "
            "output directory, to begin anew"
        ) from error


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Keep every other runner away from an output directory.

    Raises
    ------
    StorageError
        If another runner holds the lock, or the directory cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StorageError(f"cannot write to the output directory: {error}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 20).decode("ascii", "replace").strip() or "unknown"
            raise StorageError(
                f"{path.parent} is in use by another runner (process {holder}): stop that one "
                "first, or give this job another --root"
            ) from None
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(handle)  # gives the lock back
