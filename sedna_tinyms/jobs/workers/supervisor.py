"""Starts a job's workers, listens to them, and ends them.

All that happens outside (a report, the end of a process, a wish to stop) arrives in one inbox and
is dealt with on the runner's own thread, while it waits for something.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import TypeAlias

from sedna_tinyms.jobs.events import Event, Noted, WorkerFinished, WorkerStarted
from sedna_tinyms.jobs.layout import JobLayout
from sedna_tinyms.jobs.manifest.spec import Job, WorkerTemplate
from sedna_tinyms.jobs.paths import HostPaths
from sedna_tinyms.jobs.workers.command import worker_command
from sedna_tinyms.jobs.workers.endpoint import Endpoint, Refusal, Report
from sedna_tinyms.jobs.workers.environment import common_variables, worker_environment
from sedna_tinyms.jobs.workers.processes import MemoryLimit
from sedna_tinyms.jobs.workers.worker import Worker, WorkerExit, worker_name

__all__ = ["Assignment", "Inbox", "StopRequestedError", "Supervisor", "worker_templates"]

REPORT_KIND = {"train": "train", "eval": "eval", "inference": "deploy"}
FINAL = ("completed", "failed")

MOST_REMEMBERED = 20
"""How many workers that have ended are known by name, should a late report come."""


class StopRequestedError(Exception):
    """Somebody asked the job to stop."""


Message: TypeAlias = Report | Refusal | Worker | StopRequestedError
Inbox: TypeAlias = "SimpleQueue[Message]"


@dataclass
class Assignment:
    """A worker and what has been heard of it.

    Attributes
    ----------
    awaited : bool
        Whether its next report counts.
    report : Report or None
        The one that counted.
    refusals : list of str
        Why requests to its address could not be read.
    ended : bool
        Whether its end has been seen.
    """

    round: int
    worker: Worker
    awaited: bool
    report: Report | None = None
    refusals: list[str] = field(default_factory=list)
    ended: bool = False


def worker_templates(job: Job) -> dict[str, WorkerTemplate]:
    """Return the template of each kind of worker."""
    return {
        "train": job.spec.train_template,
        "eval": job.spec.eval_template,
        "inference": job.spec.inference_template,
    }


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
    port : int
        Of the endpoint; 0 for any.
    poll_seconds : float
        How often what `while_waiting` was told is called when nothing happens.
    """

    def __init__(
        self,
        job: Job,
        paths: HostPaths,
        layout: JobLayout,
        inbox: Inbox,
        *,
        emit: Callable[[Event], object],
        port: int = 0,
        poll_seconds: float = 0.5,
    ) -> None:
        self._job = job
        self._paths = paths
        self._layout = layout
        self._inbox = inbox
        self._emit = emit
        self._poll_seconds = poll_seconds
        self._directory = job.source.resolve().parent
        self._templates = worker_templates(job)
        self._commands = {
            kind: worker_command(kind, template, self._directory)
            for kind, template in self._templates.items()
        }
        # A new model is tried out as the inference worker would have it.
        self._templates["canary"] = self._templates["inference"]
        self._commands["canary"] = [sys.executable, "-m", "sedna_tinyms", "canary"]
        self._assignments: dict[str, Assignment] = {}
        self._duties: list[Callable[[], object]] = []
        self._takes_unawaited: Callable[[Report], bool] = lambda _: False
        self._endpoint = Endpoint(inbox.put, port)

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
        ends = [assignment.worker.stop() for assignment in running]
        self._endpoint.__exit__(kind, error, traceback)
        for assignment, end in zip(running, ends, strict=True):
            self._note_end(assignment, end)  # last: on a full disk it fails

    def while_waiting(self, duty: Callable[[], object]) -> None:
        """Call `duty` again and again in every wait."""
        self._duties.append(duty)

    def offer_unawaited(self, take: Callable[[Report], bool]) -> None:
        """Offer an inference worker's reports that nobody awaits to `take`, which may decline."""
        self._takes_unawaited = take

    def start(
        self,
        kind: str,
        round_number: int,
        variables: Mapping[str, str],
        *,
        awaited: bool,
        arguments: Sequence[str] = (),
    ) -> Assignment:
        """Start a worker with Sedna's common variables and these, and with further arguments.

        Raises
        ------
        WorkerError
            If no process can be started.
        """
        name = worker_name(kind)
        common = common_variables(
            namespace=self._job.namespace,
            job=self._job.name,
            worker=name,
            lc_server=self.url,
            prefix=self._paths.prefix,
            output=str(self._layout.output),
        )
        template = self._templates[kind]
        log = self._layout.log(round_number, kind)
        worker = Worker(
            name,
            kind,
            [*self._commands[kind], *arguments],
            environment=worker_environment(template, {**common, **variables}),
            directory=self._directory,
            log=log,
            on_exit=self._inbox.put,
            grace_seconds=template.termination_grace_period_seconds,
            memory=self._memory_limit(template),
        )
        self._forget()
        assignment = self._assignments[name] = Assignment(round_number, worker, awaited)
        self._emit(WorkerStarted(round_number, kind, name, worker.pid, log))
        return assignment

    def _memory_limit(self, template: WorkerTemplate) -> MemoryLimit | None:
        if template.memory_limit_bytes is None:
            return None
        source = f"{self._job.source}:{template.memory_limit_line}: resources.limits.memory"
        return MemoryLimit(template.memory_limit_bytes, source)

    def _forget(self) -> None:
        """Let go of those who ended long ago: a job runs for months."""
        ended = [name for name, each in self._assignments.items() if each.ended]
        for name in ended[:-MOST_REMEMBERED]:
            del self._assignments[name]

    def stop(self, assignment: Assignment) -> WorkerExit:
        """End a worker, if it has not ended, and return how it did."""
        end = assignment.worker.stop()
        self._note_end(assignment, end)
        return end

    def wait(self, until: Callable[[], bool], limit_seconds: float | None = None) -> bool:
        """Deal with whatever comes until something holds, and return whether it does.

        Raises
        ------
        StopRequestedError
            If somebody asked to stop.
        """
        deadline = float("inf") if limit_seconds is None else time.monotonic() + limit_seconds
        while True:
            self.catch_up()
            for duty in self._duties:
                duty()
            if until():
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            try:
                self._deal_with(self._inbox.get(timeout=min(left, self._poll_seconds)))
            except Empty:
                continue

    def catch_up(self) -> None:
        """Deal with everything that has come so far."""
        while not self._inbox.empty():
            self._deal_with(self._inbox.get())

    def _deal_with(self, message: Message) -> None:
        match message:
            case StopRequestedError():
                raise message
            case Report():
                self._hear(message)
            case Refusal(worker=name, reason=reason, code=code):
                what = f"refused a report of {name!r:.60}: {reason}"
                self._emit(Noted(what, "refused-report", {"worker": name, "error": code}))
                if name in self._assignments:
                    self._assignments[name].refusals.append(reason)
            case Worker(name=name, exit=WorkerExit() as end):
                if name in self._assignments:
                    self._note_end(self._assignments[name], end)

    def _hear(self, report: Report) -> None:
        assignment = self._assignments.get(report.worker)
        said = f"{report.kind!r:.40} {report.status!r:.40}"
        fields = {"worker": report.worker, "kind": report.kind, "status": report.status}
        if assignment is None:
            stranger = f"{report.worker!r:.60}, which is no worker of this job"
            self._emit(Noted(f"a report came from {stranger}: {said}", "unknown-worker", fields))
        elif report.kind != REPORT_KIND.get(assignment.worker.kind) or report.status not in FINAL:
            what = f"{report.worker} reported {said}, which changes nothing"
            self._emit(Noted(what, "useless-report", fields))
        elif not assignment.awaited:
            if assignment.worker.kind == "inference" and self._takes_unawaited(report):
                return
            first = "; its first report counts" if assignment.report else ""
            what = f"{report.worker} reported {said}, which nobody awaits{first}"
            self._emit(Noted(what, "unawaited-report", fields))
        else:
            assignment.report, assignment.awaited = report, False

    def _note_end(self, assignment: Assignment, end: WorkerExit) -> None:
        if not assignment.ended:
            assignment.ended = True
            worker = assignment.worker
            self._emit(WorkerFinished(assignment.round, worker.kind, worker.name, end))
