"""Keeps a job's inference worker running, and tells it of new models."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sedna_tinyms.errors import StorageError, WorkerError
from sedna_tinyms.heartbeat import LONGEST_SILENCE_SECONDS, Pulse
from sedna_tinyms.jobs.deploy import HotUpdate
from sedna_tinyms.jobs.events import Event, Noted
from sedna_tinyms.jobs.layout import JobLayout
from sedna_tinyms.jobs.manifest.spec import Job
from sedna_tinyms.jobs.paths import HostPaths
from sedna_tinyms.jobs.workers.endpoint import Report
from sedna_tinyms.jobs.workers.environment import inference_variables
from sedna_tinyms.jobs.workers.supervisor import Assignment, Supervisor

__all__ = ["InferenceService"]

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
STEADY_SECONDS = 60.0
"""A worker that ran this long is started again as if it had ended for the first time."""

ENDS_ON_TRIAL = 3
"""A worker that ends so often after a deployment, each time before it was steady, cannot serve."""


@dataclass
class _Trial:
    """How the worker does with a new model.

    Attributes
    ----------
    trusted : int
        The version with which it was well before.
    since : float
        When it got the model, or ended last.
    ends : int
        How often it has ended since it got the model.
    """

    trusted: int
    since: float
    ends: int = 0


class InferenceService:
    """The inference worker of a job: as in a cluster, one that ends is started again.

    One with a heartbeat (`sedna_tinyms.heartbeat`) that hangs is ended first.

    Parameters
    ----------
    job, paths, layout
        What to serve, and where.
    supervisor : Supervisor
        Starts the worker, and calls `keep_running` while it waits.
    emit : callable
        Takes the events.
    """

    def __init__(
        self,
        job: Job,
        paths: HostPaths,
        layout: JobLayout,
        supervisor: Supervisor,
        emit: Callable[[Event], object],
    ) -> None:
        self._supervisor = supervisor
        self._emit = emit
        self.hot_update = HotUpdate(layout.hot_update)
        deployed = job.spec.deploy_model
        self._variables = inference_variables(
            model=str(paths.local(job.deploy_model.url)),
            hard_example_mining=job.spec.hard_example_mining,
            heartbeat=str(layout.heartbeat),
            hot_update_config=(
                str(self.hot_update.config) if deployed.hot_update_enabled else None
            ),
            poll_period_seconds=deployed.poll_period_seconds,
        )
        self._pulse = Pulse(layout.heartbeat)
        self._assignment: Assignment | None = None
        self._round = 0
        self._pause = 0.0
        self._due_at: float | None = None
        self._updating = False
        self._trial: _Trial | None = None
        supervisor.while_waiting(self.keep_running)

    def start(self, round_number: int) -> None:
        """Start the worker with the deploy model, in the place of the one that runs."""
        if self._assignment is not None:
            self._supervisor.stop(self._assignment)
        self._round, self._pause = round_number, 0.0
        self._start()

    def start_anew(self, round_number: int) -> None:
        """Start the worker as `start` does, from the next wait on, until it can be started."""
        if self._assignment is not None:
            self._supervisor.stop(self._assignment)
        self._round, self._pause, self._due_at = round_number, 0.0, time.monotonic()

    def update(self, version: Path, limit_seconds: float) -> Report | None:
        """Announce a model that was laid down, and return the worker's answer if one comes."""
        self._supervisor.catch_up()
        self._updating = True
        self._await_report()
        try:
            self.hot_update.announce(version)
            self._supervisor.wait(lambda: self._answer() is not None, limit_seconds)
            return self._answer()
        finally:
            self._updating = False
            if self._assignment is not None:
                self._assignment.awaited = False

    @property
    def round(self) -> int:
        """The round after which the worker was started, whose log it writes."""
        return self._round

    @property
    def is_running(self) -> bool:
        """Whether the worker runs, as far as is known."""
        return self._assignment is not None and not self._assignment.ended

    @property
    def trusted(self) -> int | None:
        """The version with which the worker was well, while a newer one is on trial."""
        return self._trial.trusted if self._trial is not None else None

    def version_to_trust(self, in_service: int | None) -> int | None:
        """Return the version to go back to, should the next one not do."""
        if self._assignment is None or self._assignment.ended:
            return self.trusted
        is_well = self._pause == 0.0 or self._assignment.worker.seconds >= STEADY_SECONDS
        return in_service if is_well else self.trusted

    def trial_begins(self, trusted: int | None) -> None:
        """The worker has a new model; `trusted` is what `version_to_trust` returned before."""
        self._trial = None if trusted is None else _Trial(trusted, time.monotonic())

    def trial_ends(self) -> None:
        """What comes now is no longer blamed on the model."""
        self._trial = None

    def has_passed(self) -> bool:
        """Tell whether the worker has run long enough with the model on trial."""
        trial = self._trial
        if trial is None or not self.is_running:
            return False
        # One that fell silent in this time's second half may be hanging since.
        went_on = self._pulse.silence() <= STEADY_SECONDS / 2
        return went_on and time.monotonic() - trial.since >= STEADY_SECONDS

    def failing(self) -> str | None:
        """Say why the model on trial will not do; None while it may."""
        trial = self._trial
        if trial is None or trial.ends < ENDS_ON_TRIAL or self._assignment is None:
            return None
        worker = self._assignment.worker
        last = "".join(f": {line}" for line in worker.last_lines(1))
        return f"the inference worker ended {trial.ends} times with it ({worker.exit}){last}"

    def keep_running(self) -> None:
        """Start the worker again when it has ended, after a pause that doubles each time."""
        self._end_if_it_hangs()
        if self._assignment is not None:
            self._assignment.worker.limit_log()
        now = time.monotonic()
        if self._due_at is not None:
            if now >= self._due_at:
                self._try_to_start()
        elif self._assignment is not None and self._assignment.ended:
            worker = self._assignment.worker
            if worker.seconds >= STEADY_SECONDS:
                self._pause = 0.0
            if self._trial is not None:
                self._trial.ends, self._trial.since = self._trial.ends + 1, now
            last = "".join(f": {line}" for line in worker.last_lines(1))
            self._put_off(f"the inference worker ended ({worker.exit}){last}", "worker-ended")

    def _try_to_start(self) -> None:
        try:
            self._start()
        except (StorageError, WorkerError) as error:
            self._put_off(str(error), error.code)

    def _put_off(self, why: str, code: str) -> None:
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS) or FIRST_PAUSE_SECONDS
        self._due_at = time.monotonic() + self._pause
        fields = {"error": code, "seconds": self._pause}
        self._emit(Noted(f"{why}; it starts again in {self._pause:g} s", "starts-again", fields))

    def _end_if_it_hangs(self) -> None:
        silence = self._pulse.silence()
        if self._assignment is None or not self.is_running or silence <= LONGEST_SILENCE_SECONDS:
            return
        what = f"the inference worker has not gone on for {silence:.0f} s; it is ended"
        self._emit(Noted(what, "worker-hangs", {"seconds": silence}))
        self._supervisor.stop(self._assignment)

    def _start(self) -> None:
        self._due_at = None
        self._pulse.begin()
        if not self._updating:
            # A config left from an earlier update would make the worker load and report that
            # one once more.
            self.hot_update.withdraw()
        self._assignment = self._supervisor.start(
            "inference", self._round, self._variables, awaited=self._updating
        )

    def _await_report(self) -> None:
        if self._assignment is not None:
            self._assignment.report, self._assignment.awaited = None, True

    def _answer(self) -> Report | None:
        return self._assignment.report if self._assignment is not None else None
