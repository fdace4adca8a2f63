"""What a job cost and brought, kept over all of its runs: the report and the accuracy matrix."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sedna_tinyms.artifact.files import write_json
from sedna_tinyms.jobs.accuracy import accuracy_of_rounds, plain_figures
from sedna_tinyms.jobs.layout import JobLayout
from sedna_tinyms.jobs.manifest.spec import Job
from sedna_tinyms.jobs.records import REPORT_VERSION, RoundRecord
from sedna_tinyms.jobs.state import JobState

__all__ = ["JobReport"]


class JobReport:
    """The records of a job's rounds, for people and programs; the journal does without.

    Parameters
    ----------
    layout : JobLayout
        Where the files go.
    job : Job
        Whose report it is.
    state : JobState
        Has the records. The rounds of this report's own run are those that are not over yet.

    Attributes
    ----------
    figures : dict of str to float or None
        ``accuracy``, ``forgetting``, ``bwt`` and ``fwt`` when the report was last saved; empty if
        the evaluations do not tell them.
    """

    def __init__(self, layout: JobLayout, job: Job, state: JobState) -> None:
        self._layout = layout
        self._head = {
            "format_version": REPORT_VERSION,
            "job": job.name,
            "namespace": job.namespace,
        }
        self._state = state
        self._earlier_rounds = state.finished
        self._measured: tuple[int, int] | None = None
        self.figures: dict[str, float | None] = {}

    @property
    def records(self) -> list[RoundRecord]:
        """The rounds of this run, among them one that an earlier run began."""
        return self._state.records[self._earlier_rounds :]

    def as_json(self) -> dict[str, Any]:
        """Return the whole report as plain data."""
        rounds = [asdict(record) for record in self._state.records]
        return {
            **self._head,
            "continual_learning": self.figures,
            "samples": self._state.ledger.summary(),
            "in_service": self._state.service,
            "rounds": rounds,
            "rollbacks": self._state.rollbacks,
            "inference": self._state.inference,
        }

    def save(self) -> None:
        """Write the files, each whole or not at all."""
        told = (self._state.finished, len(self._state.rollbacks))
        if self._measured != told:
            self._measured = told
            matrix = accuracy_of_rounds(self._layout, self._state.records)
            self.figures = plain_figures(matrix)
            if matrix is not None:
                matrix.save(self._layout.accuracy_matrix)
        write_json(self._layout.report, self.as_json())
