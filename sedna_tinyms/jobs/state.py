"""What a job has come to: its journal, played through.

Everything that a later run needs is changed here and nowhere else, and each change is an entry of
the journal before it takes effect. A runner that is killed at any moment is therefore taken up
where it was: no round counts twice, no sample is lost or handed out twice.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from sedna_tinyms.artifact.format_version import require_version
from sedna_tinyms.errors import StorageError
from sedna_tinyms.jobs.dataset import DatasetReader
from sedna_tinyms.jobs.decision import DEPLOYED, NOT_PROVEN, REJECTED
from sedna_tinyms.jobs.journal import Entry, Journal, now
from sedna_tinyms.jobs.ledger import Sample, SampleLedger
from sedna_tinyms.jobs.lines import read_line, read_lines
from sedna_tinyms.jobs.manifest.spec import Job
from sedna_tinyms.jobs.models import ReportedModel, read_models
from sedna_tinyms.jobs.records import RoundRecord, StageRecord

__all__ = ["STEPS", "JobState", "hold_lock"]

VERSION = 2
READS = (1, 2)
"""Version 1 has no entries about labels: it splits every arrival by position, as Sedna does."""

LEAVE_OUT_AT_MOST = 8
"""How many arrivals a job leaves out, one after the other, to find the one with wrong labels."""

MOST_CONDITIONS = 1000
"""How many conditions the status holds besides the first: about fifteen a round. The journal has
all."""

STEPS: Final = ("check", "train", "evaluate", "decide", "install")
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
    reader : DatasetReader
        Reads the dataset as it grows.
    ledger : SampleLedger
        What is known of each sample.
    to_leave_out : list of int
        Arrivals of which the next rounds leave out one each, to find the one with wrong labels.
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
    checking : list of int
        The arrivals whose labels the round under way checks.
    set_aside : list of Sample
        Those that the last round has set aside because a worker failed with them twice.
    began, rounds : int, int or None
        After how many rounds the last run began, and how many it was to play.

    Raises
    ------
    StorageError
        If the journal is damaged, that of another job, or a newer release's.
    """

    def __init__(self, path: Path, job: Job, dataset: Path) -> None:
        self.reader = DatasetReader(dataset)
        self.ledger = SampleLedger(job.spec.train_prob)
        self.to_leave_out: list[int] = []
        self.conditions: list[dict[str, str]] = []
        self.records: list[RoundRecord] = []
        self.inference: list[dict[str, Any]] = []
        self.rollbacks: list[dict[str, Any]] = []
        self.rejected: dict[str, str] = {}
        self.in_service: int | None = None
        self.on_trial = False
        self.step: str | None = None
        self.checking: list[int] = []
        self.set_aside: list[Sample] = []
        self.began = 0
        self.rounds: int | None = None
        self._job = f"{job.namespace}/{job.name}"
        self._train_prob = job.spec.train_prob
        self._spec = _digest(job.manifest)
        self._spec_before = ""
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
        return _models(self._last(_is_trained))

    @property
    def deployed(self) -> list[ReportedModel]:
        """What the round reported whose model is in service; nothing before the first."""
        return _models(self._last(_is_deployed))

    @property
    def rounds_in_use(self) -> set[int]:
        """The rounds that the next one may start from, by one rule or the other."""
        last = (self._last(_is_trained), self._last(_is_deployed))
        return {record.round for record in last if record is not None}

    @property
    def service(self) -> dict[str, Any] | None:
        """The version in service and since when, as plain JSON; None if it is not known."""
        if self.in_service is None:
            return None
        times = [each["time"] for each in self.rollbacks if each["version"] == self.in_service]
        times += [
            each.finished or each.started
            for each in self.records
            if each.version == self.in_service and each.outcome == DEPLOYED
        ]
        return {"version": self.in_service, "since": max(times, default=None)}

    @property
    def has_something_new(self) -> bool:
        """Whether the round under way has samples that no round before was given."""
        return self.ledger.has_something_new

    # --- what happens -------------------------------------------------------------------------

    def run_begins(self, rounds: int | None, *, resumes: bool) -> None:
        """A run begins that is to play so many rounds, or goes on with the one before it."""
        began = self.began if resumes else self.finished
        if resumes and rounds is None:
            rounds = self.rounds
        data = {"began": began, "rounds": rounds, "spec": self._spec}
        self._journal.append("run_begins", version=VERSION, job=self._job, **data)
        self._begin_run(data)

    def samples_arrive(self, samples: Sequence[str]) -> list[Sample]:
        """The dataset has brought samples; `reader` has read as far. Return those that are new."""
        reading = self.reader.reading
        lines = read_lines(samples, self.reader.path.parent)
        held_out = self.ledger.split(lines)
        self._journal.append(
            "samples_arrive",
            samples=list(samples),
            digests=[line.digest for line in lines],
            held_out=[index for index, held in enumerate(held_out) if held],
            reading=reading,
        )
        self.reader.go_on_from(reading)
        return self.ledger.arrive(lines, held_out)

    def round_begins(self, *, from_last_trained: bool = False) -> RoundRecord:
        """A round begins, with all samples that wait; return its record.

        Parameters
        ----------
        from_last_trained : bool
            Whether it starts from the last model that was trained, and not from the one in
            service.
        """
        wanted = _is_trained if from_last_trained else _is_deployed
        parent = self._last(wanted)
        left_out = self.to_leave_out[0] if self.to_leave_out else None
        record = RoundRecord(len(self.records) + 1, left_out=left_out)
        check = [] if left_out else [each.number for each in self.ledger.to_check()]
        data = {"parent": None if parent is None else parent.round, "check": check}
        self._journal.append("round_begins", record=asdict(record), **data)
        self._begin(record, data)
        return record

    def labels_checked(self, contradicted: Mapping[int, str]) -> None:
        """The arrivals of the round were checked; these go into quarantine, for a reason each."""
        reasons = {str(number): reason for number, reason in contradicted.items()}
        record = asdict(self.records[-1])
        self._journal.append("labels_checked", contradicted=reasons, record=record)
        self._end_check(reasons)

    def evaluation_begins(self) -> None:
        """The round takes its samples to evaluate with; only the first time counts."""
        if not self._evaluates:
            self._journal.append("evaluation_begins")
            self._take_evidence()

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

    def samples_released(self, numbers: Sequence[int]) -> None:
        """A person lets samples count that were in quarantine or set aside."""
        self._journal.append("samples_released", numbers=list(numbers))
        self.ledger.release(numbers)

    def samples_dropped(self, numbers: Sequence[int]) -> None:
        """A person lets samples count no more."""
        self._journal.append("samples_dropped", numbers=list(numbers))
        self.ledger.drop(numbers)

    def mended(self) -> None:
        """What made a round fail was mended, as far as files tell."""
        self._journal.append("mended")
        self.ledger.mended()

    def trial_ends(self) -> None:
        """The version in service is taken as it is from now on."""
        self._journal.append("trial_ends")
        self.on_trial = False

    # --- what that changes --------------------------------------------------------------------

    def _begin_run(self, data: Mapping[str, Any]) -> None:
        self.began, self.rounds = data["began"], data["rounds"]
        spec = data.get("spec", "")
        if self.step is None and self.records and self.records[-1].outcome == "failed":
            if spec == self._spec_before:
                self.ledger.is_due()
            else:
                self.ledger.mended()
        self._spec_before = spec

    def _begin(self, record: RoundRecord, data: Mapping[str, Any]) -> None:
        self.records.append(record)
        last = self._last(_is_deployed)
        parent = data.get("parent", last.round if last else None)
        left_out = () if record.left_out is None else (record.left_out,)
        self.ledger.begin_round(record.round, parent, left_out)
        self.checking = list(data.get("check", ()))
        self.step = STEPS[0] if self.checking else STEPS[1]
        self._evaluates = False
        self._count_samples()

    def _end_check(self, contradicted: Mapping[str, str]) -> None:
        record = self.records[-1]
        self.ledger.check_passed(each for each in self.checking if str(each) not in contradicted)
        for number, reason in contradicted.items():
            self._quarantine(int(number), reason)
        self.ledger.join_round()
        self.checking = []
        self._count_samples()
        record.suspects = self.ledger.suspects()
        self.step = STEPS[1]

    def _count_samples(self) -> None:
        self.records[-1].train_samples = len(self.ledger.train_samples)
        self.records[-1].suspects = self.ledger.suspects()

    def _take_evidence(self) -> None:
        left_out = self.records[-1].left_out
        self.ledger.take_evidence(() if left_out is None else (left_out,))
        self._evaluates = True

    def _go_to_next_step(self) -> None:
        assert self.step is not None  # noqa: S101 (a round is under way)
        if self.step == "train":
            self.ledger.training_ended()
        if self.step == "evaluate":
            self.ledger.evaluation_ended()
        self.step = STEPS[STEPS.index(self.step) + 1]

    def _meet(self, condition: dict[str, str]) -> None:
        self.conditions.append(condition)
        del self.conditions[1:-MOST_CONDITIONS]  # the first tells when the job started

    def _end(self) -> None:
        record = self.records[-1]
        if record.outcome == "failed":
            self.set_aside = self.ledger.round_failed(record.failed_worker)
        else:
            self.ledger.round_ended()
        if record.outcome == DEPLOYED:
            self.in_service = record.version
            self.on_trial = self.in_service is not None
            self.ledger.in_service(record.round)
        self._find_wrong_labels(record)
        self.step = None

    def _find_wrong_labels(self, record: RoundRecord) -> None:
        """Go on with leaving out one arrival after the other, where a round was worse.

        The arrival without which a round is not worse has the wrong labels. If there is none such,
        all of them are suspect.
        """
        if record.outcome == REJECTED:
            if record.left_out is None:
                self.to_leave_out = record.suspects[::-1][:LEAVE_OUT_AT_MOST]
                guilty = record.suspects if len(record.suspects) == 1 else []
            else:
                self.to_leave_out = [each for each in self.to_leave_out if each != record.left_out]
                guilty = [] if self.to_leave_out else [*record.suspects, record.left_out]
            for number in sorted(guilty):
                self._quarantine(number, _why_worse(record))
            if guilty:
                self.to_leave_out = []
            self.ledger.is_due()
        elif record.left_out is not None and record.outcome in (DEPLOYED, NOT_PROVEN):
            why = f"with it a round was worse, without it round {record.round} was not"
            self._quarantine(record.left_out, why)
            self.to_leave_out = []

    def _quarantine(self, number: int, reason: str) -> None:
        self.ledger.quarantine(number, reason)
        samples = len(self.ledger.arrivals[number].active)
        self.records[-1].quarantined.append(
            {"arrival": number, "samples": samples, "reason": reason}
        )

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
        self.ledger.in_service(self._round_of(change["version"]))

    def _round_of(self, version: int) -> int | None:
        """Return the round that a version came from; None if it was none of this job."""
        found = [each.round for each in self.records if each.version == version]
        return found[-1] if found else None

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
                self._begin_run(data)
            case "samples_arrive":
                self._play_arrival(data)
            case "round_begins":
                self._begin(RoundRecord.of_json(data["record"]), data)
            case "labels_checked":
                self._end_check(data["contradicted"])
            case "evaluation_begins":
                self._take_evidence()
            case "step_done":
                self._go_to_next_step()
            case "round_ends":
                self._end()
            case _:
                self._play_beside(entry.kind, data)

    def _play_arrival(self, data: dict[str, Any]) -> None:
        self.reader.go_on_from(data["reading"])
        lines = [read_line(each) for each in data["samples"]]
        if "digests" in data:
            pairs = zip(lines, data["digests"], strict=True)
            lines = [line._replace(digest=digest) for line, digest in pairs]
            held_out = set(data["held_out"])
        else:
            held_out = set(range(int(self._train_prob * len(lines)), len(lines)))
        self.ledger.arrive(lines, [index in held_out for index in range(len(lines))])

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
            case "samples_released":
                self.ledger.release(data["numbers"])
            case "samples_dropped":
                self.ledger.drop(data["numbers"])
            case "mended":
                self.ledger.mended()
            case _:
                raise ValueError(f"{kind!r} is unknown")

    def _check(self, data: dict[str, Any]) -> None:
        path, found = self._journal.path, data["version"]
        require_version(StorageError, "the journal", path, found, READS)
        if data["job"] != self._job:
            raise ValueError(f"it is of the job {data['job']}, not {self._job}")

    def _last(self, wanted: Callable[[RoundRecord], bool]) -> RoundRecord | None:
        return next((each for each in reversed(self.records) if wanted(each)), None)


def _why_worse(record: RoundRecord) -> str:
    test = record.test or {}
    counts = f"{test.get('only_new', '?')} evaluation pictures better, {test.get('only_old', '?')}"
    return f"a model that had learned it was worse than the one in service: {counts} worse"


def _is_trained(record: RoundRecord) -> bool:
    return record.trained


def _is_deployed(record: RoundRecord) -> bool:
    return record.outcome == DEPLOYED and record.rolled_back is None


def _models(record: RoundRecord | None) -> list[ReportedModel]:
    return [] if record is None else read_models(record.models)


def _digest(manifest: Mapping[str, Any]) -> str:
    """Return a text that differs where what a job is to do does."""
    spec = json.dumps(manifest.get("spec"), sort_keys=True, default=str)
    return hashlib.sha256(spec.encode()).hexdigest()[:16]


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
