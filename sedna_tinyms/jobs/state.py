"""What a job has come to: its journal, played through.

Everything that a later run needs is changed here and nowhere else, and each change is an entry of
the journal before it takes effect. A runner that is killed at any moment is therefore taken up
where it was: no round counts twice, no sample is lost or handed out twice.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from sedna_tinyms.artifact.format_version import require_version
from sedna_tinyms.errors import StorageError
from sedna_tinyms.jobs.intake import Intake
from sedna_tinyms.jobs.journal import Entry, Journal, now
from sedna_tinyms.jobs.manifest.spec import Job
from sedna_tinyms.jobs.models import ReportedModel, read_models
from sedna_tinyms.jobs.records import RoundRecord, StageRecord

__all__ = ["STEPS", "JobState", "hold_lock"]

VERSION = 1

MOST_CONDITIONS = 1000
"""How many conditions the status holds besides the first: about fifteen a round. The journal has
all."""

STEPS: Final = ("train", "evaluate", "decide", "install")
"""What a round does, one after the other; each is played again as a whole if it was cut short."""


class JobState:
    """The state of one job.

    Parameters
    ----------
    path : Path
        The journal's file.
    job : Job
        Whose it is.
    dataset : Path
        The job's dataset file on this machine.

    Attributes
    ----------
    intake : Intake
        Where the samples are.
    conditions : list of dict
        The conditions of the job's status: the first and the latest.
    records : list of RoundRecord
        Every round; the last one may be under way.
    inference : list of dict
        What each inference worker that has ended cost.
    rollbacks : list of dict
        Each time that another version was put into service than a round's: ``version``,
        ``replaced``, ``reason``, ``round`` (how many were over), ``time``.
    rejected : dict of str to str
        Digest of weights that were gone back from, and why.
    in_service : int or None
        The version that was put into service last, if that is known.
    on_trial : bool
        Whether it has yet to show that the inference worker is well with it.
    is_new : bool
        Whether the job had never run before.
    step : str or None
        Which of `STEPS` the round under way is at; None between two rounds.
    began, rounds : int, int or None
        After how many rounds the last run began, and how many it was to play.

    Raises
    ------
    StorageError
        If the journal is damaged, that of another job, or a newer release's.
    """

    def __init__(self, path: Path, job: Job, dataset: Path) -> None:
        self.intake = Intake(dataset, job.spec.train_prob)
        self.conditions: list[dict[str, str]] = []
        self.records: list[RoundRecord] = []
        self.inference: list[dict[str, Any]] = []
        self.rollbacks: list[dict[str, Any]] = []
        self.rejected: dict[str, str] = {}
        self.in_service: int | None = None
        self.on_trial = False
        self.step: str | None = None
        self.began = 0
        self.rounds: int | None = None
        self._job = f"{job.namespace}/{job.name}"
        self._evaluates = False
        self._journal = Journal(path)
        self.is_new = not self._journal.entries
        self._play_through()
        self._journal.forget()

    @property
    def finished(self) -> int:
        """How many rounds are over."""
        return len(self.records) - (self.step is not None)

    @property
    def next_round(self) -> int:
        """The number of the round that is played next, which may be the one under way."""
        return self.finished + 1

    @property
    def run_is_over(self) -> bool:
        """Whether the run has played as many rounds as it was to."""
        return self.rounds is not None and self.finished - self.began >= self.rounds

    @property
    def trained(self) -> list[ReportedModel]:
        """What the last round that trained reported."""
        return _models(self._last(lambda record: record.trained))

    @property
    def deployed(self) -> list[ReportedModel]:
        """What the round reported whose model is in service; nothing before the first."""
        return _models(self._last(_is_deployed))

    @property
    def rounds_in_use(self) -> set[int]:
        """The rounds that the next one may start from, by one rule or the other."""
        last = (self._last(lambda each: each.trained), self._last(_is_deployed))
        return {record.round for record in last if record is not None}

    # --- what happens -------------------------------------------------------------------------

    def run_begins(self, rounds: int | None, *, resumes: bool) -> None:
        """A run begins that is to play so many rounds, or goes on with the one before it."""
        began = self.began if resumes else self.finished
        if resumes and rounds is None:
            rounds = self.rounds
        self._journal.append(
            "run_begins", version=VERSION, job=self._job, began=began, rounds=rounds
        )
        self.began, self.rounds = began, rounds

    def samples_arrive(self, samples: Sequence[str]) -> None:
        """The dataset has brought samples; `intake` has read as far."""
        reading = self.intake.reading
        self._journal.append("samples_arrive", samples=list(samples), reading=reading)
        self.intake.arrived(samples, reading)

    def round_begins(self) -> RoundRecord:
        """A round begins, with all samples that wait; return its record."""
        record = RoundRecord(len(self.records) + 1, train_samples=self.intake.num_of_samples)
        self._journal.append("round_begins", record=asdict(record))
        self._begin(record)
        return record

    def evaluation_begins(self) -> None:
        """The round takes its samples to evaluate with; only the first time counts."""
        if not self._evaluates:
            self._journal.append("evaluation_begins")
            self._take_eval()

    def step_done(self) -> None:
        """The round has done its step; its record holds what came of it."""
        self._journal.append("step_done", record=asdict(self.records[-1]))
        self._go_to_next_step()

    def round_ends(self) -> None:
        """The round is over, as its record says."""
        self._journal.append("round_ends", record=asdict(self.records[-1]))
        self._end()

    def condition_met(self, condition: dict[str, str]) -> None:
        """The job's status has a new condition."""
        self._journal.append("condition_met", condition=condition)
        self._meet(condition)

    def inference_ends(self, round_number: int, cost: StageRecord) -> None:
        """An inference worker has ended that served from a round on."""
        served = {"round": round_number, **asdict(cost)}
        self._journal.append("inference_ends", served=served)
        self.inference.append(served)

    def rolled_back(
        self, version: int, replaced: int, reason: str, *, rejected: str, allowed: str
    ) -> None:
        """Another version is in service than the last round's; two digests of their weights."""
        change = {
            "version": version,
            "replaced": replaced,
            "reason": reason,
            "round": self.finished,
            "time": now(),
        }
        self._journal.append("rolled_back", change=change, rejected=rejected, allowed=allowed)
        self._roll_back(change, rejected, allowed)

    def trial_ends(self) -> None:
        """The version in service is taken as it is from now on."""
        self._journal.append("trial_ends")
        self.on_trial = False

    # --- what that changes --------------------------------------------------------------------

    def _begin(self, record: RoundRecord) -> None:
        self.records.append(record)
        self.intake.take_train()
        self.step, self._evaluates = STEPS[0], False

    def _take_eval(self) -> None:
        self.intake.take_eval()
        self._evaluates = True

    def _go_to_next_step(self) -> None:
        assert self.step is not None  # noqa: S101 (a round is under way)
        self.step = STEPS[STEPS.index(self.step) + 1]

    def _meet(self, condition: dict[str, str]) -> None:
        self.conditions.append(condition)
        del self.conditions[1:-MOST_CONDITIONS]  # the first tells when the job started

    def _end(self) -> None:
        if self.records[-1].outcome == "failed":
            self.intake.round_failed(in_worker=self.records[-1].failed_in_worker)
        else:
            self.intake.round_completed()
        if self.records[-1].outcome == "deployed":
            self.in_service = self.records[-1].version
            self.on_trial = self.in_service is not None
        self.step = None

    def _roll_back(self, change: dict[str, Any], rejected: str, allowed: str) -> None:
        self.rollbacks.append(change)
        self.in_service, self.on_trial = change["version"], False
        self.rejected.pop(allowed, None)
        if rejected:
            self.rejected[rejected] = (
                f"version {change['replaced']} was gone back from: {change['reason']}"
            )
        for record in self.records:
            if record.version == change["replaced"] and rejected:
                record.rolled_back = change["reason"]
            if record.version == change["version"]:
                record.rolled_back = None

    def _play_through(self) -> None:
        for number, entry in enumerate(self._journal.entries, start=1):
            try:
                self._play(entry)
            except (LookupError, TypeError, ValueError) as error:
                raise StorageError(
                    f"{self._journal.path}:{number}: this entry is none of this job's journal "
                    f"({error!r}); move the output directory away to begin anew",
                    code="foreign-journal",
                    path=self._journal.path,
                    line=number,
                ) from error

    def _play(self, entry: Entry) -> None:
        data = entry.data
        if "record" in data and entry.kind != "round_begins":
            self.records[-1] = RoundRecord.of_json(data["record"])
        match entry.kind:
            case "run_begins":
                self._check(data)
                self.began, self.rounds = data["began"], data["rounds"]
            case "samples_arrive":
                self.intake.arrived(data["samples"], data["reading"])
            case "round_begins":
                self._begin(RoundRecord.of_json(data["record"]))
            case "evaluation_begins":
                self._take_eval()
            case "step_done":
                self._go_to_next_step()
            case "round_ends":
                self._end()
            case _:
                self._play_beside(entry.kind, data)

    def _play_beside(self, kind: str, data: dict[str, Any]) -> None:
        """Play what does not move a round on."""
        match kind:
            case "condition_met":
                self._meet(data["condition"])
            case "rolled_back":
                self._roll_back(data["change"], data["rejected"], data["allowed"])
            case "trial_ends":
                self.on_trial = False
            case "inference_ends":
                self.inference.append(data["served"])
            case _:
                raise ValueError(f"{kind!r} is unknown")

    def _check(self, data: dict[str, Any]) -> None:
        path, found = self._journal.path, data["version"]
        require_version(StorageError, "the journal", path, found, (VERSION,))
        if data["job"] != self._job:
            raise ValueError(f"it is of the job {data['job']}, not {self._job}")

    def _last(self, wanted: Callable[[RoundRecord], bool]) -> RoundRecord | None:
        return next((each for each in reversed(self.records) if wanted(each)), None)


def _is_deployed(record: RoundRecord) -> bool:
    return record.outcome == "deployed" and record.rolled_back is None


def _models(record: RoundRecord | None) -> list[ReportedModel]:
    return [] if record is None else read_models(record.models)


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
        raise StorageError(
            f"cannot write to the output directory: {error}",
            code="no-space" if error.errno == errno.ENOSPC else "cannot-write",
            path=path.parent,
        ) from error
    try:
        _sign(path, handle)
        yield
    finally:
        os.close(handle)  # gives the lock back


def _sign(path: Path, handle: int) -> None:
    """Take the lock, and let it tell by which process it is held."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
    except BlockingIOError:
        holder = os.read(handle, 20).decode("ascii", "replace").strip()
        raise StorageError(
            f"{path.parent} is in use by another runner (process {holder or 'unknown'}): stop "
            "that one first, or give this job another --root",
            code="in-use",
            path=path.parent,
            process=int(holder) if holder.isdecimal() else None,
        ) from None
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror}",
            code="no-space" if error.errno == errno.ENOSPC else "cannot-write",
            path=path,
        ) from error
