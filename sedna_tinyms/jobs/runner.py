"""Runs one IncrementalLearningJob: GlobalManager and LocalController on one machine.

`JobRunner.run` is the story of a job, `sedna_tinyms.jobs.rounds.Round.play` that of a round.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from queue import SimpleQueue

from sedna_tinyms.artifact.lock import exclusively
from sedna_tinyms.errors import (
    ConfigurationError,
    DatasetError,
    SednaTinyMSError,
    StorageError,
    did_you_mean,
)
from sedna_tinyms.jobs.conditions import JobStatus
from sedna_tinyms.jobs.deploy import hot_update_seconds, settle
from sedna_tinyms.jobs.events import (
    Event,
    JobStarted,
    JobStopped,
    Noted,
    RoundFinished,
    SamplesArrived,
    WorkerFinished,
)
from sedna_tinyms.jobs.journal import BookkeepingError
from sedna_tinyms.jobs.layout import JobLayout
from sedna_tinyms.jobs.manifest.spec import Job
from sedna_tinyms.jobs.models import ReportedModel
from sedna_tinyms.jobs.paths import HostPaths
from sedna_tinyms.jobs.preflight import check_files
from sedna_tinyms.jobs.records import StageRecord
from sedna_tinyms.jobs.report import JobReport
from sedna_tinyms.jobs.rollback import RollbackWatch
from sedna_tinyms.jobs.rounds import BASE_RULES, Round, RoundContext, base_model
from sedna_tinyms.jobs.samples import take_requests
from sedna_tinyms.jobs.state import JobState, hold_lock
from sedna_tinyms.jobs.triggers import Verdict, check_trigger
from sedna_tinyms.jobs.versions import JobVersions
from sedna_tinyms.jobs.workers.inference import InferenceService
from sedna_tinyms.jobs.workers.processes import OUTPUT, end_strays
from sedna_tinyms.jobs.workers.supervisor import Inbox, StopRequestedError, Supervisor

__all__ = ["JobRunner"]

WATCHED_AT_MOST = 1000
"""Of so many samples that a worker failed with, the runner notices that a file was mended."""


class JobRunner:
    """Runs a job until it is stopped, or for a number of rounds.

    Parameters
    ----------
    job : Job
        From `sedna_tinyms.jobs.load_job`.
    root : path
        The directory that plays the host's ``/``.
    rounds : int, optional
        Stop after this many rounds, whether they deployed, were refused, or failed.
    resume : bool
        Go on with the run before this one: its rounds are among `rounds`, which is as many as it
        was to play unless given. A round that was cut short goes on in any case.
    base : {"last-deployed", "last-trained"}
        Which model a round starts from. Sedna's rule is the second.
    port : int, default 0
        Where workers report to; 0 takes any free port.
    poll_seconds : float, default 0.5
        How often the dataset is looked at.
    quiet_seconds : float, default 1
        How long the dataset must have been left alone before what came in is one arrival.
    worker_limit_seconds : float, default 3600
        How long a train or eval worker may take.
    deploy_limit_seconds : float, optional
        How long a hot update may take; the poll period and two minutes by default.
    on_event : callable, optional
        Takes each event (see `sedna_tinyms.jobs.events`), on the thread of `run`.

    Raises
    ------
    ConfigurationError
        If a setting is out of its range.
    """

    def __init__(
        self,
        job: Job,
        root: Path | str,
        *,
        rounds: int | None = None,
        resume: bool = False,
        base: str = "last-deployed",
        port: int = 0,
        poll_seconds: float = 0.5,
        quiet_seconds: float = 1.0,
        worker_limit_seconds: float = 3600.0,
        deploy_limit_seconds: float | None = None,
        on_event: Callable[[Event], object] = lambda _: None,
    ) -> None:
        if base not in BASE_RULES:
            raise ConfigurationError(
                f"base is {base!r}{did_you_mean(base, BASE_RULES)}; it may be "
                + " or ".join(map(repr, BASE_RULES)),
                code="unknown-name",
                name="base",
                value=base,
                valid=list(BASE_RULES),
            )
        for name, value in (
            ("rounds", rounds),
            ("poll_seconds", poll_seconds),
            ("worker_limit_seconds", worker_limit_seconds),
            ("deploy_limit_seconds", deploy_limit_seconds),
        ):
            if value is not None and not value > 0:  # which NaN is not either
                raise ConfigurationError(
                    f"{name} is {value}; it must be more than 0",
                    code="out-of-range",
                    name=name,
                    value=value,
                )
        self._job = job
        self._paths = HostPaths(root)
        self._layout = JobLayout(job, self._paths)
        self._rounds = rounds
        self._resume = resume
        self._base = base
        self._port = port
        self._poll_seconds = poll_seconds
        self._quiet_seconds = quiet_seconds
        self._worker_limit_seconds = worker_limit_seconds
        self._deploy_limit_seconds = deploy_limit_seconds or hot_update_seconds(job)
        self._emit = on_event
        self._inbox: Inbox = SimpleQueue()
        self._versions = JobVersions(job, self._paths, self._layout, on_event)
        self._dataset_problem = ""
        self._watched: dict[Path, object] = {}

    def stop(self, reason: str = "asked to stop") -> None:
        """Ask `run` to end; may be called from another thread or a signal handler."""
        self._inbox.put(StopRequestedError(reason))

    def run(self) -> JobReport:
        """Run the job and return its report.

        Raises
        ------
        JobSpecError, DatasetError, ModelFileError
            If the dataset, a model or a worker's script is missing.
        StorageError
            If another runner is at work on the same output directory or deploy model, or a file
            of the job cannot be read or written.
        EndpointError
            If the port is taken.
        """
        check_files(self._job, self._paths)
        with hold_lock(self._layout.lock), ExitStack() as shared:
            for lock in self._layout.shared_locks:
                shared.enter_context(exclusively(lock, limit_seconds=0))
            state = self._open_state()
            report = JobReport(self._layout, self._job, state)
            status = JobStatus(
                self._layout.status, self._job.manifest, state.conditions, state.condition_met
            )
            self._take_up(status, state)
            with self._supervisor(state) as supervisor:
                supervisor.while_waiting(lambda: self._look_around(state))
                reason = self._play(self._context(supervisor, status, state), report)
            report.save()
        self._emit(JobStopped(reason))
        return report

    @property
    def _dataset(self) -> Path:
        return self._paths.local(self._job.dataset.url)

    def _open_state(self) -> JobState:
        """Return the job's state; whatever a new job's files would replace is not ours."""
        state = JobState(self._layout.journal, self._job, self._dataset)
        strangers = [
            path.name for path in (self._layout.status, self._layout.report) if path.exists()
        ]
        if state.is_new and strangers:
            raise StorageError(
                f"{self._layout.output} has {' and '.join(strangers)} but no journal, so no job "
                "can be taken up there: move them away, or choose another outputDir",
                code="foreign-output",
                path=self._layout.output,
                files=strangers,
            )
        return state

    def _supervisor(self, state: JobState) -> Supervisor:
        def emit(event: Event) -> None:
            if isinstance(event, WorkerFinished) and event.kind == "inference":
                state.inference_ends(event.round, StageRecord.of(event.exit))
            self._emit(event)

        return Supervisor(
            self._job,
            self._paths,
            self._layout,
            self._inbox,
            emit=emit,
            port=self._port,
            poll_seconds=self._poll_seconds,
        )

    def _context(self, supervisor: Supervisor, status: JobStatus, state: JobState) -> RoundContext:
        inference = InferenceService(self._job, self._paths, self._layout, supervisor, self._emit)
        rollbacks = RollbackWatch(
            self._job, state, self._versions, inference, self._emit, self._deploy_limit_seconds
        )
        rollbacks.take_up()
        supervisor.while_waiting(rollbacks.look)
        supervisor.offer_unawaited(rollbacks.hear)
        return RoundContext(
            job=self._job,
            paths=self._paths,
            layout=self._layout,
            supervisor=supervisor,
            inference=inference,
            versions=self._versions,
            status=status,
            state=state,
            emit=self._emit,
            worker_limit_seconds=self._worker_limit_seconds,
            deploy_limit_seconds=self._deploy_limit_seconds,
        )

    def _take_up(self, status: JobStatus, state: JobState) -> None:
        """Go on from what an earlier run left, which may be a round cut short."""
        strays = end_strays(OUTPUT, str(self._layout.output))
        if strays:
            what = f"ended what an earlier run had left: {', '.join(strays)}"
            self._emit(Noted(what, "ended-strays", {"processes": strays}))
        models = (self._job.deploy_model, self._job.eval_model)
        installing = state.step == "install"
        settle({self._paths.local(model.url) for model in models}, undo=installing)
        self._versions.take_up()
        state.run_begins(self._rounds, resumes=self._resume)
        if state.step is None:
            self._wait_for_samples(status, state)
        status.save()

    def _play(self, context: RoundContext, report: JobReport) -> str:
        job, state = self._job, context.state
        started = JobStarted(
            job.name, job.namespace, self._layout.output, context.supervisor.url, state.finished
        )
        self._emit(started)
        try:
            context.inference.start(state.finished)
            while state.step or not state.run_is_over:
                if state.step is None:
                    context.supervisor.wait(lambda: bool(self._train_verdict(state)))
                self._play_round(context, report)
        except StopRequestedError as stop:
            return str(stop)
        return "as many rounds as asked for are over"

    def _play_round(self, context: RoundContext, report: JobReport) -> None:
        """Play one round, and keep the job going whatever becomes of it."""
        state = context.state
        if state.step is None:
            record = state.round_begins(from_last_trained=self._base == "last-trained")
        else:
            record = state.records[-1]
            what = f"round {record.round} was cut short and goes on: {state.step}"
            self._emit(Noted(what, "goes-on", {"round": record.round, "step": state.step}))
        current = Round(context, lambda: self._base_model(state))
        report.save()
        try:
            current.play()
        except BookkeepingError:
            raise  # no fault of the round, which goes on in a later run
        except SednaTinyMSError as error:
            record.fail(current.stage, error)
            state.round_ends()
            self._note_set_aside(state)
        except StopRequestedError as stop:
            record.reason, record.code = f"interrupted: {stop}", "interrupted"
            raise
        finally:
            report.save()
        self._versions.retain(state.rounds_in_use | {context.inference.round})
        self._wait_for_samples(context.status, state)
        self._emit(RoundFinished(record))

    def _base_model(self, state: JobState) -> ReportedModel:
        base = base_model(state, self._job, self._base)
        return self._versions.base(base) if self._base == "last-deployed" else base

    def _note_set_aside(self, state: JobState) -> None:
        if not state.set_aside:
            return
        count, first = len(state.set_aside), state.set_aside[0].line
        why = (
            f"{count} samples failed a worker for the second time and are set aside, the first is "
            f"{first!r}; see sedna-tinyms samples list"
        )
        self._emit(Noted(why, "set-aside", {"samples": count, "first": first}))

    def _wait_for_samples(self, status: JobStatus, state: JobState) -> None:
        failed = state.records and state.records[-1].outcome == "failed"
        status.wait_for_samples(*(state.records[-1].failure_words() if failed else ()))

    def _train_verdict(self, state: JobState) -> Verdict:
        """Say whether the next round begins."""
        waiting = {"num_of_samples": state.ledger.num_of_samples}
        verdict = check_trigger(self._job.spec.train_trigger, waiting, datetime.now().time())
        if state.to_leave_out and state.ledger.may_start:
            return Verdict(True, "wrong labels are looked for", "looks-for-labels")
        if verdict and not state.ledger.may_start:
            return Verdict(False, "no sample has arrived since the last round", "nothing-new")
        return verdict

    def _look_around(self, state: JobState) -> None:
        """Look at the dataset, at what a person asks for, and for files that were mended."""
        self._look_at_dataset(state)
        for action, count in take_requests(self._layout, state):
            what = {"release": "released", "drop": "dropped"}[action]
            fields = {"samples": count}
            self._emit(Noted(f"{count} samples were {what} by a person", f"samples-{what}", fields))
        if state.step is None:
            self._look_for_mended_files(state)

    def _look_for_mended_files(self, state: JobState) -> None:
        """Let a failed round be tried again when a file changes that its samples name."""
        directory = self._dataset.parent
        troubled = [directory / each.picture for each in state.ledger.troubled if each.picture][
            :WATCHED_AT_MOST
        ]
        seen = {path: _signature(path) for path in troubled}
        changed = [
            path for path in seen if path in self._watched and seen[path] != self._watched[path]
        ]
        self._watched = seen
        if changed:
            state.mended()
            what = f"{changed[0]} has changed, so what failed with it is tried again"
            self._emit(Noted(what, "mended", {"path": changed[0]}))

    def _look_at_dataset(self, state: JobState) -> None:
        try:
            new = state.reader.read_new(time.monotonic(), self._quiet_seconds)
            problem = ""
        except DatasetError as error:
            new, problem = [], str(error)
            if problem != self._dataset_problem:
                self._emit(Noted(problem, "bad-dataset", {"error": error.code, **error.fields}))
        self._dataset_problem = problem
        if new:
            before = state.ledger.corrected
            arrived = state.samples_arrive(new)
            verdict, waiting = self._train_verdict(state), len(state.ledger.waiting)
            corrected = state.ledger.corrected - before
            repeated = len(new) - len(arrived)
            self._emit(SamplesArrived(len(arrived), waiting, verdict.reason, corrected, repeated))


def _signature(path: Path) -> object:
    """Return what changes when a file does; None if it is not there."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns)
