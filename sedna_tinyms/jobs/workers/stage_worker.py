"""Runs the worker of a train or eval stage to its end, and says what became of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sedna_tinyms.errors import WorkerError
from sedna_tinyms.jobs.events import Event, Noted
from sedna_tinyms.jobs.workers.endpoint import Report
from sedna_tinyms.jobs.workers.supervisor import Assignment, Supervisor
from sedna_tinyms.jobs.workers.worker import WorkerExit

__all__ = ["StageFailedError", "run_stage_worker"]

EXIT_GRACE_SECONDS = 30.0
"""How long a worker may take to end after it has reported that it is done."""

LATE_REPORT_SECONDS = 0.5
"""How long a report that was sent just before the worker's end may take to arrive."""


CODES = {
    "WorkerFailed": "worker-failed",
    "NoReport": "no-report",
    "ReportedFailed": "reported-failed",
    "LimitExceeded": "timeout",
    "MemoryExceeded": "memory-exceeded",
}
"""The `code` of each reason for which a stage fails."""


class StageFailedError(WorkerError):
    """A stage of a round failed.

    Attributes
    ----------
    reason : str
        One word for Sedna's condition, of those in `CODES`.
    last_lines : sequence of str
        What the worker wrote last.
    end : WorkerExit or None
        How the worker ended, if it did.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        last_lines: Sequence[str] = (),
        end: WorkerExit | None = None,
    ) -> None:
        super().__init__(message, code=CODES[reason])
        self.reason = reason
        self.last_lines = last_lines
        self.end = end


def run_stage_worker(
    supervisor: Supervisor,
    kind: str,
    round_number: int,
    variables: Mapping[str, str],
    *,
    limit_seconds: float,
    emit: Callable[[Event], object],
    on_start: Callable[[], object],
) -> tuple[Report, WorkerExit]:
    """Run a worker, and return what it reported and how it ended.

    What it reports is what counts, as to Sedna: a worker that has reported ``completed`` may
    crash afterwards.

    Raises
    ------
    StageFailedError
        If it ends without a report, reports that it failed, or takes longer than the limit or
        more memory than its template's.
    """
    assignment = supervisor.start(kind, round_number, variables, awaited=True)
    on_start()
    supervisor.wait(lambda: assignment.ended or assignment.report is not None, limit_seconds)
    if assignment.report is not None:
        supervisor.wait(lambda: assignment.ended, EXIT_GRACE_SECONDS)
    elif assignment.ended:
        supervisor.wait(lambda: assignment.report is not None, LATE_REPORT_SECONDS)
    overdue = not assignment.ended
    end = supervisor.stop(assignment)
    report = assignment.report
    if report is None or report.status != "completed":
        raise _failure(assignment, end, limit_seconds if overdue else None)
    if overdue:
        what = f"the {kind} worker did not end after its report, and was stopped"
        emit(Noted(what, "worker-stayed", {"kind": kind}))
    elif end.code != 0:
        what = f"the {kind} worker reported completed, and then ended with {end}"
        emit(Noted(what, "worker-failed", {"kind": kind, "exit": end.code}))
    return report, end


def _failure(
    assignment: Assignment, end: WorkerExit, overdue_seconds: float | None
) -> StageFailedError:
    worker = assignment.worker
    if assignment.report is not None:
        reason, what = "ReportedFailed", "reported that it failed"
    elif end.excess is not None:
        reason = "MemoryExceeded"
        what = (
            f"took {end.excess}, and was stopped: raise that limit, or let the worker take less at "
            "once, as with a smaller batch"
        )
    elif overdue_seconds is not None:
        reason, what = "LimitExceeded", f"took longer than {overdue_seconds:g} s and was stopped"
    elif end.code == 0:
        reason, what = "NoReport", "ended with exit code 0 but reported nothing"
    else:
        reason, what = "WorkerFailed", f"failed with {end}"
    refused = "".join(f"; its report was refused: {why}" for why in assignment.refusals[:1])
    return StageFailedError(
        reason, f"the {worker.kind} worker {what}{refused}", worker.last_lines(), end
    )
