"""Runs one IncrementalLearningJob: GlobalManager and LocalController on one machine.

`JobRunner.run` is the story of a job, `sedna_tinyms.jobs.rounds.Round.play` that of a round.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from queue import SimpleQueue

from sedna_tinyms.errors import ConfigurationError, DatasetError, SednaTinyMSError, did_you_mean
from sedna_tinyms.jobs.conditions import JobStatus
from sedna_tinyms.jobs.events import (
    Event,
    JobStarted,
    JobStopped,
    Noted,
    RoundFinished,
    RoundStarted,
    SamplesArrived,
    WorkerFinished,
)
from sedna_tinyms.jobs.layout import JobLayout
from sedna_tinyms.jobs.manifest.spec import Job
from sedna_tinyms.jobs.paths import HostPaths
from sedna_tinyms.jobs.preflight import check_files
from sedna_tinyms.jobs.report import JobReport, RoundRecord
from sedna_tinyms.jobs.rounds import BASE_RULES, Round, RoundContext, base_model
from sedna_tinyms.jobs.state import JobState, hold_lock, open_state
from sedna_tinyms.jobs.triggers import Verdict, check_trigger
from sedna_tinyms.jobs.workers.inference import InferenceService
from sedna_tinyms.jobs.workers.supervisor import Inbox, StopRequestedError, Supervisor

__all__ = ["JobRunner"]

HOT_UPDATE_MARGIN_SECONDS = 120.0
"""How long loading a model may take an inference worker, on top of its poll period."""


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
                + " or ".join(map(repr, BASE_RULES))
            )
        for name, value in (
            ("rounds", rounds),
            ("poll_seconds", poll_seconds),
            ("worker_limit_seconds", worker_limit_seconds),
            ("deploy_limit_seconds", deploy_limit_seconds),
        ):
            if value is not None and not value > 0:  # which NaN is not either
                raise ConfigurationError(f"{name} is {value}; it must be more than 0")
        self._job = job
        self._paths = HostPaths(root)
        self._layout = JobLayout(job, self._paths)
        self._rounds = rounds
        self._base = base
        self._port = port
        self._poll_seconds = poll_seconds
        self._quiet_seconds = quiet_seconds
        self._worker_limit_seconds = worker_limit_seconds
        self._deploy_limit_seconds = deploy_limit_seconds or (
            job.spec.deploy_model.poll_period_seconds + HOT_UPDATE_MARGIN_SECONDS
        )
        self._emit = on_event
        self._inbox: Inbox = SimpleQueue()
        self._dataset_problem = ""

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
            If another runner is at work on the same output directory, or a file of the job
            cannot be read or written.
        EndpointError
            If the port is taken.
        """
        check_files(self._job, self._paths)
        with hold_lock(self._layout.lock):
            status = JobStatus(self._layout.status, self._job.manifest)
            report = JobReport(self._layout.report, self._job.name, self._job.namespace)
            state = open_state(self._layout.state, self._job, self._dataset)
            self._take_up(status, state)
            with self._supervisor(report) as supervisor:
                supervisor.while_waiting(lambda: self._look_at_dataset(state))
                reason = self._play(self._context(supervisor, status, state), report)
            report.save()
        self._emit(JobStopped(reason))
        return report

    @property
    def _dataset(self) -> Path:
        return self._paths.local(self._job.dataset.url)

    def _supervisor(self, report: JobReport) -> Supervisor:
        def emit(event: Event) -> None:
            if isinstance(event, WorkerFinished) and event.kind == "inference":
                report.add_inference(event.round, event.exit)
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
        return RoundContext(
            job=self._job,
            paths=self._paths,
            layout=self._layout,
            supervisor=supervisor,
            inference=inference,
            status=status,
            state=state,
            emit=self._emit,
            worker_limit_seconds=self._worker_limit_seconds,
            deploy_limit_seconds=self._deploy_limit_seconds,
        )

    def _take_up(self, status: JobStatus, state: JobState) -> None:
        """Go on from what an earlier run left, which may be a round cut short."""
        state.intake.round_interrupted()
        state.save()
        status.wait_for_samples("Interrupted", "the runner ended during this round")

    def _play(self, context: RoundContext, report: JobReport) -> str:
        job, state = self._job, context.state
        started = JobStarted(
            job.name, job.namespace, self._layout.output, context.supervisor.url, state.round
        )
        self._emit(started)
        try:
            context.inference.start(state.round)
            while self._rounds is None or len(report.records) < self._rounds:
                context.supervisor.wait(lambda: bool(self._train_verdict(state)))
                self._play_round(context, report)
        except StopRequestedError as stop:
            return str(stop)
        return "as many rounds as asked for are over"

    def _play_round(self, context: RoundContext, report: JobReport) -> None:
        """Play one round, and keep the job going whatever becomes of it."""
        state, status = context.state, context.status
        samples = state.intake.take_train()
        state.round += 1
        record = RoundRecord(state.round, train_samples=len(samples))
        state.save()
        report.begin(record)
        current = Round(context, record, samples)
        try:
            base = base_model(state, self._job, self._base)
            record.base_model = base.url
            self._emit(RoundStarted(state.round, len(samples), base.url))
            current.play(base)
            state.intake.round_completed()
            status.wait_for_samples()
        except SednaTinyMSError as error:
            record.fail(current.stage, error)
            self._keep_samples(state)
            status.wait_for_samples(*record.failure_words())
        except StopRequestedError as stop:
            record.finish("failed", f"interrupted: {stop}")
            state.intake.round_interrupted()
            status.wait_for_samples("Interrupted", str(stop))
            raise
        finally:
            state.save()
            report.save()
        self._emit(RoundFinished(record))

    def _keep_samples(self, state: JobState) -> None:
        given_up = state.intake.round_failed()
        if given_up:
            samples = self._paths.host(self._layout.train_samples(state.round))
            self._emit(
                Noted(f"{given_up} samples failed a second time and stay out; see {samples}")
            )

    def _train_verdict(self, state: JobState) -> Verdict:
        """Say whether the next round begins."""
        waiting = {"num_of_samples": state.intake.num_of_samples}
        verdict = check_trigger(self._job.spec.train_trigger, waiting, datetime.now().time())
        if verdict and not state.intake.may_start:
            return Verdict(False, "no sample has arrived since the last round")
        return verdict

    def _look_at_dataset(self, state: JobState) -> None:
        try:
            new = state.intake.look(time.time(), self._quiet_seconds)
            problem = ""
        except DatasetError as error:
            new, problem = 0, str(error)
        if problem and problem != self._dataset_problem:
            self._emit(Noted(problem))
        self._dataset_problem = problem
        if new:
            state.save()
            verdict = self._train_verdict(state)
            self._emit(SamplesArrived(new, state.intake.num_of_samples, verdict.reason))
