"""Starts a job's workers, listens to them, and keeps the inference worker running.

All that happens outside (a report, the end of a process, a wish to stop) arrives in one inbox and
is dealt with on the runner's own thread, while it waits for something.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import TypeAlias

from sedna_tinyms.errors import WorkerError
from sedna_tinyms.jobs.command import worker_command
from sedna_tinyms.jobs.endpoint import Endpoint, Refusal, Report
from sedna_tinyms.jobs.environment import common_variables, worker_environment
from sedna_tinyms.jobs.events import Event, Noted, WorkerFinished, WorkerStarted
from sedna_tinyms.jobs.layout import JobLayout
from sedna_tinyms.jobs.paths import HostPaths
from sedna_tinyms.jobs.spec import Job
from sedna_tinyms.jobs.worker import Worker, WorkerExit, worker_name

__all__ = ["Inbox", "StageFailedError", "StopRequestedError", "Supervisor"]

EXIT_GRACE_SECONDS = 30.0
"""How long a worker may take to end after it has reported that it is done."""

LATE_REPORT_SECONDS = 0.5
"""How long a report that was sent just before the worker's end may take to arrive."""

STEADY_SECONDS = 60.0
"""An inference worker that ran this long starts again as if for the first time."""

LONGEST_PAUSE_SECONDS = 60.0
"""The pauses before an inference worker starts again double up to this."""

REPORT_KIND = {"train": "train", "eval": "eval", "inference": "deploy"}
FINAL = ("completed", "failed")


class StageFailedError(WorkerError):
    """A stage of a round failed.

    Attributes
    ----------
    reason : str
        One word for a machine: ``WorkerFailed``, ``NoReport``, ``LimitExceeded`` ...
    last_lines : sequence of str
        What the worker wrote last.
    end : WorkerExit or None
        How the worker ended, if there was one.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        last_lines: Sequence[str] = (),
        end: WorkerExit | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.last_lines = last_lines
        self.end = end


class StopRequestedError(Exception):
    """Somebody asked the job to stop."""


Message: TypeAlias = Report | Refusal | Worker | StopRequestedError
Inbox: TypeAlias = "SimpleQueue[Message]"


@dataclass
class _Assignment:
    """A worker and what has been heard of it."""

    round: int
    worker: Worker
    report: Report | None = None
    refusals: list[str] = field(default_factory=list)
    ended: bool = False


class Supervisor:
    """The workers of one job, from `with` to its end; then none is left.

    Parameters
    ----------
    job, paths, layout
        What to run, and where.
    inbox : Inbox
        Where reports and ends of workers go; a StopRequestedError put there, also by a signal
        handler, is raised by the next wait.
    emit : callable
        Takes the events.
    idle : callable
        Called again and again while waiting: the runner looks at the dataset in it.
    port : int
        Of the endpoint; 0 for any.
    poll_seconds : float
        How often `idle` is called when nothing else happens.
    restart_seconds : float
        The first pause before an inference worker that ended starts again.
    """

    def __init__(
        self,
        job: Job,
        paths: HostPaths,
        layout: JobLayout,
        inbox: Inbox,
        *,
        emit: Callable[[Event], object],
        idle: Callable[[], object],
        port: int = 0,
        poll_seconds: float = 0.5,
        restart_seconds: float = 1.0,
    ) -> None:
        self._job = job
        self._paths = paths
        self._layout = layout
        self._emit = emit
        self._idle = idle
        self._poll_seconds = poll_seconds
        self._restart_seconds = restart_seconds
        self._directory = job.source.resolve().parent
        self._templates = {
            "train": job.spec.train_template,
            "eval": job.spec.eval_template,
            "inference": job.spec.inference_template,
        }
        self._commands = {
            kind: worker_command(kind, template, self._directory)
            for kind, template in self._templates.items()
        }
        self._inbox = inbox
        self._endpoint = Endpoint(inbox.put, port)
        self._assignments: dict[str, _Assignment] = {}
        self._inference = _InferencePlan(restart_seconds)

    @property
    def url(self) -> str:
        """The address that workers report to."""
        return self._endpoint.url

    def __enter__(self) -> Supervisor:
        self._endpoint.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        running = [each for each in self._assignments.values() if not each.ended]
        for assignment in running:
            assignment.worker.terminate()
        for assignment in running:
            self._stop(assignment)
        self._endpoint.__exit__(kind, error, traceback)

    def run(
        self,
        kind: str,
        round_number: int,
        variables: Mapping[str, str],
        limit_seconds: float,
        on_start: Callable[[], object] = lambda: None,
    ) -> tuple[Report, WorkerExit]:
        """Run a train or eval worker to its end, and return what it reported and how it ended.

        Raises
        ------
        StageFailedError
            If it ends without a report, reports a failure, or takes longer than the limit.
        """
        assignment = self._start(kind, round_number, variables)
        on_start()
        deadline = self._templates[kind].active_deadline_seconds
        limit = min(limit_seconds, deadline) if deadline else limit_seconds
        self.wait(lambda: assignment.ended or assignment.report is not None, limit)
        if assignment.report is not None:
            self.wait(lambda: assignment.ended, EXIT_GRACE_SECONDS)
        elif assignment.ended:
            self.wait(lambda: assignment.report is not None, LATE_REPORT_SECONDS)
        overdue = not assignment.ended
        end = self._stop(assignment)
        return self._outcome(assignment, end, f"{limit:g} seconds" if overdue else ""), end

    def serve(
        self,
        round_number: int,
        variables: Mapping[str, str],
        before_start: Callable[[], object] = lambda: None,
    ) -> None:
        """Start the inference worker, in the place of the one that runs.

        `before_start` is called before it starts, and before each time that it starts again,
        other than during an update.
        """
        if self._inference.assignment is not None:
            former, self._inference.assignment = self._inference.assignment, None
            self._stop(former)
        self._inference = _InferencePlan(
            self._restart_seconds, round_number, dict(variables), before_start
        )
        self._start_inference()

    def update_inference(
        self, announce: Callable[[], object], limit_seconds: float
    ) -> Report | None:
        """Announce a new model to the inference worker and return its answer, if one comes."""
        self._deal_with_inbox()
        self._inference.answer = None
        self._inference.awaited = True
        try:
            announce()
            self.wait(lambda: self._inference.answer is not None, limit_seconds)
        finally:
            self._inference.awaited = False
        return self._inference.answer

    def wait(self, until: Callable[[], bool], limit_seconds: float | None = None) -> bool:
        """Deal with whatever comes until something holds, and return whether it does.

        Raises
        ------
        StopRequestedError
            If somebody asked to stop.
        """
        deadline = None if limit_seconds is None else time.monotonic() + limit_seconds
        while True:
            self._deal_with_inbox()
            self._idle()
            if until():
                return True
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                return False
            if self._inference.due(now):
                self._start_inference()
            moments = [self._poll_seconds]
            if deadline is not None:
                moments.append(deadline - now)
            try:
                self._deal_with(self._inbox.get(timeout=min(moments)))
            except Empty:
                continue

    def _start(self, kind: str, round_number: int, variables: Mapping[str, str]) -> _Assignment:
        name = worker_name(kind)
        common = common_variables(
            namespace=self._job.namespace,
            job=self._job.name,
            worker=name,
            lc_server=self.url,
            prefix=self._paths.prefix,
        )
        template = self._templates[kind]
        log = self._layout.log(round_number, kind)
        worker = Worker(
            name,
            kind,
            self._commands[kind],
            environment=worker_environment(template, {**common, **variables}),
            directory=self._directory,
            log=log,
            on_exit=self._inbox.put,
            grace_seconds=template.termination_grace_period_seconds,
        )
        assignment = self._assignments[name] = _Assignment(round_number, worker)
        self._emit(WorkerStarted(round_number, kind, name, worker.pid, log))
        return assignment

    def _stop(self, assignment: _Assignment) -> WorkerExit:
        end = assignment.worker.stop()
        self._note_end(assignment, end)
        return end

    def _note_end(self, assignment: _Assignment, end: WorkerExit) -> None:
        if not assignment.ended:
            assignment.ended = True
            worker = assignment.worker
            self._emit(WorkerFinished(assignment.round, worker.kind, worker.name, end))

    def _outcome(self, assignment: _Assignment, end: WorkerExit, overdue: str) -> Report:
        worker, report = assignment.worker, assignment.report
        if report is not None and report.status == "completed":
            if overdue:
                self._emit(Noted(f"the {worker.kind} worker did not end after its report; stopped"))
            elif end.code != 0:
                self._emit(Noted(f"the {worker.kind} worker reported completed; then: {end}"))
            return report
        if report is not None:
            reason, what = "ReportedFailed", "reported that it failed"
        elif overdue:
            reason, what = "LimitExceeded", f"took longer than {overdue} and was stopped"
        elif end.code == 0:
            reason, what = "NoReport", "ended with exit code 0 but reported nothing"
        else:
            reason, what = "WorkerFailed", f"failed: {end}"
        refused = "".join(f"; its report was refused: {why}" for why in assignment.refusals[:1])
        raise StageFailedError(
            reason, f"the {worker.kind} worker {what}{refused}", worker.last_lines(), end
        )

    def _start_inference(self) -> None:
        plan = self._inference
        if not plan.awaited:
            plan.before_start()
        plan.due_at = None
        plan.assignment = self._start("inference", plan.round, plan.variables)

    def _deal_with_inbox(self) -> None:
        while not self._inbox.empty():
            self._deal_with(self._inbox.get())

    def _deal_with(self, message: Message) -> None:
        match message:
            case StopRequestedError():
                raise message
            case Report():
                self._hear(message)
            case Refusal(worker=name, reason=reason):
                self._emit(Noted(f"refused a report of {name or 'somebody'}: {reason}"))
                if name in self._assignments:
                    self._assignments[name].refusals.append(reason)
            case Worker(exit=WorkerExit() as end):
                self._see_end(self._assignments[message.name], end)

    def _hear(self, report: Report) -> None:
        assignment = self._assignments.get(report.worker)
        if assignment is None:
            self._emit(
                Noted(f"a report came from {report.worker!r}, which is no worker of this job")
            )
        elif report.kind != REPORT_KIND[assignment.worker.kind] or report.status not in FINAL:
            said = f"{report.kind!r} {report.status!r}"
            self._emit(Noted(f"{report.worker} reported {said}, which changes nothing"))
        elif assignment.worker.kind == "inference":
            self._hear_inference(assignment, report)
        elif assignment.report is not None:
            self._emit(Noted(f"{report.worker} reported again; its first report counts"))
        else:
            assignment.report = report

    def _hear_inference(self, assignment: _Assignment, report: Report) -> None:
        plan = self._inference
        if plan.awaited and plan.answer is None and assignment is plan.assignment:
            plan.answer = report
        else:
            said = f"{report.worker} reported its update as {report.status}"
            self._emit(Noted(f"{said}, which nobody waited for"))

    def _see_end(self, assignment: _Assignment, end: WorkerExit) -> None:
        self._note_end(assignment, end)
        plan = self._inference
        if assignment is not plan.assignment:
            return
        plan.assignment = None
        pause = plan.next_pause(end.seconds)
        plan.due_at = time.monotonic() + pause
        last = "".join(f": {line}" for line in assignment.worker.last_lines(1))
        self._emit(
            Noted(f"the inference worker ended ({end}){last}; it starts again in {pause:g} s")
        )


@dataclass
class _InferencePlan:
    """The inference worker to be kept running, and the answer awaited from it."""

    restart_seconds: float
    round: int = 0
    variables: Mapping[str, str] = field(default_factory=dict)
    before_start: Callable[[], object] = lambda: None
    assignment: _Assignment | None = None
    due_at: float | None = None
    pause: float = 0.0
    awaited: bool = False
    answer: Report | None = None

    def due(self, now: float) -> bool:
        return self.due_at is not None and now >= self.due_at

    def next_pause(self, ran_seconds: float) -> float:
        steady = ran_seconds >= STEADY_SECONDS or self.pause == 0.0
        self.pause = self.restart_seconds if steady else self.pause * 2
        self.pause = min(self.pause, LONGEST_PAUSE_SECONDS)
        return self.pause
