"""What a job cost and brought, kept in ``report.json`` over all of its runs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from sedna_tinyms.artifact.files import write_json
from sedna_tinyms.jobs.manifest.spec import Job
from sedna_tinyms.jobs.records import RoundRecord
from sedna_tinyms.jobs.state import JobState

__all__ = ["JobReport"]


class JobReport:
    """The records of a job's rounds, for people and programs; the journal does without.

    Parameters
    ----------
    path : Path
        The report file.
    job : Job
        Whose report it is.
    state : JobState
        Has the records. The rounds of this report's own run are those that are not over yet.
    """

    def __init__(self, path: Path, job: Job, state: JobState) -> None:
        self.path = path
        self._head = {"job": job.name, "namespace": job.namespace}
        self._state = state
        self._earlier_rounds = state.finished

    @property
    def records(self) -> list[RoundRecord]:
        """The rounds of this run, among them one that an earlier run began."""
        return self._state.records[self._earlier_rounds :]

    def as_json(self) -> dict[str, Any]:
        """Return the whole report as plain data."""
        rounds = [asdict(record) for record in self._state.records]
        return {**self._head, "rounds": rounds, "inference": self._state.inference}

    def save(self) -> None:
        """Write the file, whole or not at all."""
        write_json(self.path, self.as_json())
