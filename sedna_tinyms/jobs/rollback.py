"""The way back to an earlier version: because a person asks for it, or the new one cannot serve.

A person's `roll_back` is a process of its own. It moves the store's pointer, and the runner, which
looks at the pointer while it waits, makes it part of the job: in the journal, in the report, for
the inference worker. Where a worker ends again and again after a deployment, the runner goes back
by itself. Weights that were gone back from are not deployed again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sedna_tinyms.artifact.store import Deployed
from sedna_tinyms.errors import ModelFileError, SednaTinyMSError
from sedna_tinyms.jobs.deploy import HotUpdate, hot_update_seconds
from sedna_tinyms.jobs.events import Event, Noted, RollbackServed, RolledBack
from sedna_tinyms.jobs.layout import JobLayout
from sedna_tinyms.jobs.manifest.spec import Job
from sedna_tinyms.jobs.paths import HostPaths
from sedna_tinyms.jobs.state import JobState
from sedna_tinyms.jobs.status import runner_of
from sedna_tinyms.jobs.versions import JobVersions
from sedna_tinyms.jobs.workers.endpoint import Report
from sedna_tinyms.jobs.workers.inference import InferenceService

__all__ = ["GoneBack", "RollbackWatch", "roll_back"]

ASKED_FOR = "asked for with sedna-tinyms model rollback"
BY_HAND = "its file was put in the deploy model's place"


@dataclass(frozen=True)
class GoneBack:
    """What going back did.

    Attributes
    ----------
    version, replaced : int
        What is deployed now, and what was before.
    announced : bool
        Whether a running inference worker was told.
    runner : int or None
        The process of the job's runner.
    """

    version: int
    replaced: int
    announced: bool
    runner: int | None


def roll_back(job: Job, root: Path | str, number: int | None = None) -> GoneBack:
    """Make an earlier version of a job the deploy model again.

    Every file is replaced in one rename, the pointer last; what fails leaves all as it was. If
    the job takes hot updates and runs, its inference worker is told as of any other. A runner, now
    or later, notes it in the journal.

    Parameters
    ----------
    job : Job
        The job; its runner may be at work.
    root : path
        What plays the host's ``/``.
    number : int, optional
        Which version; by default the one that was deployed before the present one.

    Raises
    ------
    ModelFileError
        If there is no such version, or it is not whole.
    StorageError
        If a file cannot be written.
    """
    paths = HostPaths(root)
    layout = JobLayout(job, paths)
    versions = JobVersions(job, paths, layout)
    _pointer(versions)  # before the lock, whose file would be the first of a store
    # A hot update that is under way is waited for: its end would undo this.
    with versions.store.alone(hot_update_seconds(job)):
        pointer = _pointer(versions)
        number = _earlier(versions, pointer) if number is None else number
        runner = runner_of(layout.lock)
        announce = runner is not None and job.spec.deploy_model.hot_update_enabled

        hot_update = HotUpdate(layout.hot_update)
        if announce:
            model = versions.store.open(number).weights(f".{job.deploy_model.format}")
            laid_down = hot_update.lay_down(model, f"version-{number}")
        versions.go_back(number, ASKED_FOR)
        if announce:  # after the pointer, so that the runner knows what the worker answers to
            hot_update.announce(laid_down)
    return GoneBack(number, pointer.version, announce, runner)


def _pointer(versions: JobVersions) -> Deployed:
    pointer = versions.store.deployed()
    if pointer is None:
        raise ModelFileError(
            f"{versions.store.directory}: no version was ever deployed",
            code="not-deployed",
            path=versions.store.directory,
        )
    return pointer


def _earlier(versions: JobVersions, pointer: Deployed) -> int:
    if not pointer.before:
        numbers = versions.store.numbers()
        raise ModelFileError(
            f"version {pointer.version} is the first that was deployed; name another one of "
            f"{', '.join(map(str, numbers))}",
            code="missing-value",
            value=pointer.version,
            valid=numbers,
        )
    return pointer.before[-1]


class RollbackWatch:
    """Makes what goes back part of a running job, and goes back where the worker cannot serve.

    Parameters
    ----------
    job : Job
        The job.
    state : JobState
        Learns of each change first.
    versions, inference
        The job's model versions, and the worker that serves one of them.
    emit : callable
        Takes the events.
    limit_seconds : float
        How long the worker may take to answer a hot update.
    """

    def __init__(
        self,
        job: Job,
        state: JobState,
        versions: JobVersions,
        inference: InferenceService,
        emit: Callable[[Event], object],
        limit_seconds: float,
    ) -> None:
        self._hot = job.spec.deploy_model.hot_update_enabled
        self._state = state
        self._versions = versions
        self._inference = inference
        self._emit = emit
        self._limit_seconds = limit_seconds
        self._seen: object = None
        self._awaited: int | None = None
        self._deadline = 0.0

    def take_up(self) -> None:
        """Note what was gone back to since the job ran last, and go on with a trial."""
        self._notice()
        if self._state.on_trial:
            self._inference.trial_begins(self._versions.deployed_before())

    def look(self) -> None:
        """Deal with what has happened; called while the runner waits."""
        if self._state.step == "install":
            return  # a deployment is under way, and has its own way back
        if self._notice():
            self._serve()
        if self._inference.has_passed():
            self._inference.trial_ends()
            self._state.trial_ends()
        reason = self._inference.failing()
        if reason is not None:
            self._put_back(reason)
        if self._awaited is not None and time.monotonic() > self._deadline:
            self._start_anew("did not answer the hot update", "timeout")

    def hear(self, report: Report) -> bool:
        """Take the worker's answer to a rollback; False if it is none."""
        self.look()
        if self._awaited is None:
            return False
        if report.status == "completed":
            self._emit(RollbackServed(self._awaited))
            self._awaited = None
        else:
            self._start_anew("could not load the model", "reported-failed")
        return True

    def _notice(self) -> bool:
        """Note a change of the pointer that no round made, and tell whether there was one."""
        seen = self._versions.pointer_file()
        if seen == self._seen:
            return False
        self._seen = seen
        change = self._versions.change_from(self._state.in_service)
        if change is None:
            return False
        replaced = self._state.in_service
        assert replaced is not None  # noqa: S101 (there is no change from nothing)
        self._note(change.version, replaced, change.reason or BY_HAND)
        return True

    def _note(self, version: int, replaced: int, reason: str) -> None:
        rejected = self._versions.weights_digest(replaced) if version < replaced else ""
        allowed = self._versions.weights_digest(version)
        self._state.rolled_back(version, replaced, reason, rejected=rejected, allowed=allowed)
        self._emit(RolledBack(version, replaced, reason))

    def _serve(self) -> None:
        """Let the worker have what is in service: it was told, or it starts anew."""
        if self._hot and self._inference.is_running:
            self._awaited = self._state.in_service
            self._deadline = time.monotonic() + self._limit_seconds
        else:
            self._inference.start_anew(self._state.finished)

    def _put_back(self, reason: str) -> None:
        """Put the version into service with which the worker was well."""
        number, replaced = self._inference.trusted, self._state.in_service
        self._inference.trial_ends()
        self._state.trial_ends()
        if number is None or replaced is None or number == replaced:
            return
        try:
            self._versions.go_back(number, reason)
        except SednaTinyMSError as error:
            what = f"{reason}, but version {number} cannot be put back: {error}"
            self._emit(Noted(what, "cannot-go-back", {"version": number, "error": error.code}))
            return
        self._note(number, replaced, reason)
        self._seen = self._versions.pointer_file()
        self._awaited = None
        self._inference.start_anew(self._state.finished)

    def _start_anew(self, why: str, code: str) -> None:
        what = f"the inference worker {why} of version {self._awaited}; it starts anew with it"
        self._emit(Noted(what, "starts-anew", {"version": self._awaited, "error": code}))
        self._awaited = None
        self._inference.start_anew(self._state.finished)
