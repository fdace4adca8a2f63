"""What a job knows of each of its samples: whether it waits, is learned, is held out, or why not.

A sample is done with only when a model that has learned it is in service. Those of a round that
was not deployed wait, and the next round learns them together with what is new. Of each class a
share is held out for evaluation, for ever. Nothing is thrown away: an arrival whose labels are
contradicted is quarantined, and samples that failed a worker twice are set aside, until a person
or new evidence releases them.

What is handed out depends on nothing but the calls made, in their order: a journal that keeps
them (see `sedna_tinyms.jobs.state`) makes the same ledger again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from sedna_tinyms.errors import ConfigurationError
from sedna_tinyms.jobs.lines import SampleLine, read_line

__all__ = ["EVIDENCE_AT_MOST", "Arrival", "Sample", "SampleLedger"]

EVIDENCE_AT_MOST = 2000
"""How many held-out samples an evaluation takes at most, evenly from all arrivals."""

FAILURES_AT_MOST = 2
"""A sample with which a worker has failed so often is set aside, unless a training that ended well
had it."""

WAITING, LEARNED, HELD_OUT = "waiting", "learned", "held out"
SET_ASIDE, QUARANTINED, DROPPED, CORRECTED = "set aside", "quarantined", "dropped", "corrected"


@dataclass
class Sample:
    """One line of the dataset and what became of it.

    Attributes
    ----------
    number : int
        Its place among all samples of the job, from 1.
    arrival : int
        The arrival that it came with.
    line, picture, label, digest : str
        See `SampleLine`.
    held_out : bool
        Whether it is for evaluation.
    state : str
        ``waiting`` or ``learned`` if it is trained on; ``held out``; ``quarantined`` with its
        arrival, ``set aside``, ``dropped`` by a person; ``corrected``: a later one with the same
        picture has taken its place.
    failures : int
        In how many rounds in a row a worker failed with it.
    proven : bool
        Whether a training that ended well had it.
    """

    number: int
    arrival: int
    line: str
    picture: str
    label: str
    digest: str
    held_out: bool
    state: str
    failures: int = 0
    proven: bool = False


@dataclass
class Arrival:
    """Samples that came together.

    Attributes
    ----------
    number : int
        From 1.
    samples : list of Sample
        What came, but for what was known already.
    round : int or None
        The first round that was given it; None before.
    checked : bool
        Whether its labels were compared with what is known, or need not be.
    quarantine : str
        Why it is in quarantine; empty if it is not.
    known_then : dict of str to int
        How many labels of each of its classes were learned when it went there.
    """

    number: int
    samples: list[Sample] = field(default_factory=list)
    round: int | None = None
    checked: bool = False
    quarantine: str = ""
    known_then: dict[str, int] = field(default_factory=dict)

    @property
    def active(self) -> list[Sample]:
        """Its samples that count: neither dropped nor corrected."""
        return [each for each in self.samples if each.state not in (DROPPED, CORRECTED)]


class SampleLedger:
    """All samples of a job, and what a round is given of them.

    Parameters
    ----------
    train_prob : float
        The share of each class that is trained on.

    Attributes
    ----------
    samples : list of Sample
        In the order in which they came.
    arrivals : dict of int to Arrival
        By number.
    repeated, corrected : int
        How many lines brought nothing new, their picture being there with the same label; and how
        many samples have got another label.

    Raises
    ------
    ConfigurationError
        If `train_prob` is out of its range.
    """

    def __init__(self, train_prob: float) -> None:
        if not 0 < train_prob < 1:
            raise ConfigurationError(
                f"train_prob is {train_prob}; it must lie between 0 and 1, both excluded",
                code="out-of-range",
                name="train_prob",
                value=train_prob,
            )
        self.samples: list[Sample] = []
        self.arrivals: dict[int, Arrival] = {}
        self.repeated = self.corrected = 0
        self._held_share = 1 - Fraction(str(train_prob))
        self._by_digest: dict[str, Sample] = {}
        self._counts: dict[str, list[int]] = {}  # by class: trained on, held out
        self._waiting: dict[int, Sample] = {}
        self._troubled: dict[int, Sample] = {}
        self._in_round: list[Sample] = []
        self._evidence: list[Sample] = []
        self._round = 0
        self._trained_in: dict[int, list[Sample]] = {}
        self._parents: dict[int, int | None] = {}
        self._due = False

    # --- what arrives -------------------------------------------------------------------------

    def split(self, lines: Sequence[SampleLine]) -> list[bool]:
        """Say which samples of an arrival would be held out; nothing is changed.

        Of every class the share ``1 - train_prob``, counted over the whole job, is held out. The
        first sample of a class is trained on.
        """
        counts = {name: list(each) for name, each in self._counts.items()}
        chosen = []
        for line in lines:
            known = self._by_digest.get(line.digest) if line.digest else None
            held_out = self._is_held_out(line.label, counts) if known is None else known.held_out
            if known is None:
                counts.setdefault(line.label, [0, 0])[held_out] += 1
            chosen.append(held_out)
        return chosen

    def arrive(self, lines: Sequence[SampleLine], held_out: Sequence[bool]) -> list[Sample]:
        """Take in an arrival, and return what is new or corrected in it.

        Parameters
        ----------
        lines : sequence of SampleLine
            What came.
        held_out : sequence of bool
            Which of them are for evaluation. A picture that is known keeps its side.
        """
        arrival = Arrival(len(self.arrivals) + 1)
        self.arrivals[arrival.number] = arrival
        for line, for_evaluation in zip(lines, held_out, strict=True):
            earlier = self._by_digest.get(line.digest) if line.digest else None
            if earlier is not None and earlier.label == line.label:
                self.repeated += 1
                continue
            if earlier is not None:
                for_evaluation = earlier.held_out
                self._move(earlier, CORRECTED)
                self.corrected += 1
            self._add(arrival, line, for_evaluation, counts=earlier is None)
        self._due = self._due or bool(arrival.samples)
        return list(arrival.samples)

    def _add(self, arrival: Arrival, line: SampleLine, held_out: bool, *, counts: bool) -> None:
        state = HELD_OUT if held_out else WAITING
        sample = Sample(len(self.samples) + 1, arrival.number, *line, held_out, state)
        self.samples.append(sample)
        arrival.samples.append(sample)
        self._move(sample, state)
        if counts:
            self._counts.setdefault(line.label, [0, 0])[held_out] += 1
        if line.digest:
            self._by_digest[line.digest] = sample

    def _is_held_out(self, label: str, counts: dict[str, list[int]]) -> bool:
        trained, held = counts.get(label, (0, 0))
        all_held = sum(each[1] for each in counts.values())
        total = sum(map(sum, counts.values())) + 1
        share = self._held_share
        return bool(trained and held < share * (trained + held + 1) and all_held < share * total)

    def _move(self, sample: Sample, state: str) -> None:
        sample.state = state
        if state == WAITING:
            self._waiting[sample.number] = sample
        else:
            self._waiting.pop(sample.number, None)

    # --- what waits ---------------------------------------------------------------------------

    @property
    def num_of_samples(self) -> int:
        """How many samples no round has been given: the metric of the train trigger.

        Those of a round that failed count again. Those of a round that was not deployed wait too,
        but only go along with the next one.
        """
        return sum(not self._had_its_round(each) for each in self._waiting.values())

    @property
    def waiting(self) -> list[Sample]:
        """The samples that the next round would learn, in their order."""
        return [self._waiting[number] for number in sorted(self._waiting)]

    @property
    def may_start(self) -> bool:
        """Whether a round could be given samples of which some are new, or were mended."""
        return self._due and bool(self._waiting)

    def _had_its_round(self, sample: Sample) -> bool:
        return self.arrivals[sample.arrival].round is not None

    def is_due(self) -> None:
        """Let the next round begin without another arrival."""
        self._due = True

    # --- a round ------------------------------------------------------------------------------

    def to_check(self) -> list[Arrival]:
        """Return the arrivals whose labels are to be compared with what is known.

        Those that no round has been given, and those in quarantine of whose classes half as many
        labels again were learned since.
        """
        learned = self.learned_labels()
        return [each for each in self.arrivals.values() if self._is_to_check(each, learned)]

    def _is_to_check(self, arrival: Arrival, learned: Counter[str]) -> bool:
        if not arrival.active:
            return False
        if not arrival.quarantine:
            return not arrival.checked and arrival.round is None
        before = sum(arrival.known_then.values())
        now = sum(learned[label] for label in arrival.known_then)
        return now > before and 2 * now >= 3 * before

    def learned_labels(self) -> Counter[str]:
        """Count the labels that the model in service has learned, by class."""
        return Counter(each.label for each in self.samples if each.state == LEARNED)

    def begin_round(self, number: int, parent: int | None, left_out: Collection[int] = ()) -> None:
        """Give all samples that wait to a round, but for those of arrivals that are left out.

        Parameters
        ----------
        number : int
            Of the round.
        parent : int or None
            The round from whose model it starts; None for the initial model.
        left_out : collection of int
            Numbers of arrivals.
        """
        self._round, self._due = number, False
        self._parents[number] = parent
        for arrival in self.arrivals.values():
            if arrival.round is None:
                arrival.round = number
        self._take(left_out)

    def _take(self, left_out: Collection[int] = ()) -> None:
        self._in_round = [each for each in self.waiting if each.arrival not in left_out]

    @property
    def train_samples(self) -> list[Sample]:
        """The samples that the round under way trains on."""
        return self._in_round

    def evidence(
        self, left_out: Collection[int] = (), at_most: int = EVIDENCE_AT_MOST
    ) -> list[Sample]:
        """Return held-out samples to compare models with.

        They are those of all arrivals that a round has been given and that are not in quarantine;
        of more than `at_most`, as many of each arrival as there is room for.

        Parameters
        ----------
        left_out : collection of int
            Numbers of arrivals that do not take part.
        at_most : int
            How many samples.
        """
        groups = [
            [each for each in arrival.samples if each.state == HELD_OUT]
            for arrival in self.arrivals.values()
            if arrival.round is not None and arrival.number not in left_out
        ]
        return _balanced([group for group in groups if group], at_most)

    def take_evidence(self, left_out: Collection[int] = ()) -> None:
        """Give the round under way the samples that it evaluates with."""
        self._evidence = self.evidence(left_out)

    @property
    def eval_samples(self) -> list[Sample]:
        """The samples that the last evaluation was given."""
        return self._evidence

    def suspects(self) -> list[int]:
        """Return the arrivals of the round under way, none of which a deployed model has learned.

        A round that is worse than the model in service is so because of one of them.
        """
        return sorted({each.arrival for each in self._in_round})

    # --- how it ends --------------------------------------------------------------------------

    def training_ended(self) -> None:
        """Note that the training of the round under way ended well."""
        self._prove(self._in_round)
        self._trained_in[self._round] = list(self._in_round)

    def evaluation_ended(self) -> None:
        """Note that the evaluation of the round under way ended well."""
        self._prove(self._evidence)

    def _prove(self, samples: Iterable[Sample]) -> None:
        for sample in samples:
            sample.proven, sample.failures = True, 0
            self._troubled.pop(sample.number, None)

    def round_ended(self) -> None:
        """Let the samples of a round that was not deployed wait for the next one."""
        self._in_round = []

    def round_failed(self, worker: str | None) -> list[Sample]:
        """Let the samples of a round that failed wait; return those that are set aside.

        Parameters
        ----------
        worker : {"train", "eval"} or None
            Which worker failed, which may be because of its samples: those with which one has
            failed for the second time are set aside, unless they were seen to be good. None if
            something else went wrong.
        """
        given = {"train": self._in_round, "eval": self._evidence}.get(worker or "", [])
        blamed = [each for each in given if not each.proven]
        for sample in blamed:
            sample.failures += 1
            self._troubled[sample.number] = sample
        stay_out = [each for each in blamed if each.failures >= FAILURES_AT_MOST]
        for sample in stay_out:
            self._move(sample, SET_ASIDE)
        for number in {each.arrival for each in self._in_round}:
            self._give_back(self.arrivals[number])
        self._in_round = []
        return stay_out

    def _give_back(self, arrival: Arrival) -> None:
        if arrival.round == self._round:
            arrival.round = None

    def in_service(self, number: int | None) -> None:
        """Note which round's model is in service: what it has learned is done with.

        The samples of every other round wait again, as after a rollback.

        Parameters
        ----------
        number : int or None
            Of the round; None for the initial model.
        """
        known: set[int] = set()
        while number is not None:
            known.update(each.number for each in self._trained_in.get(number, ()))
            number = self._parents.get(number)
        for sample in self.samples:
            if sample.state in (WAITING, LEARNED):
                self._move(sample, LEARNED if sample.number in known else WAITING)

    # --- what is kept out ---------------------------------------------------------------------

    def check_passed(self, numbers: Iterable[int]) -> None:
        """Note that the labels of arrivals were checked; those in quarantine are released."""
        for number in numbers:
            self.arrivals[number].checked = True
            self._release(self.arrivals[number])

    def quarantine(self, number: int, reason: str) -> None:
        """Keep an arrival out of training and evaluation.

        It stays there when it is checked again and contradicted once more.
        """
        arrival = self.arrivals[number]
        learned = self.learned_labels()
        arrival.checked, arrival.quarantine = True, reason
        arrival.known_then = {each.label: learned[each.label] for each in arrival.active}
        for sample in arrival.active:
            self._move(sample, QUARANTINED)
        self._in_round = [each for each in self._in_round if each.arrival != number]

    def join_round(self) -> None:
        """Give the round under way what was released while its labels were checked."""
        released = [each for each in self.waiting if self._is_new_in_round(each)]
        numbers = {each.number: each for each in (*self._in_round, *released)}
        self._in_round = [numbers[number] for number in sorted(numbers)]

    @property
    def has_something_new(self) -> bool:
        """Whether the round under way has samples that no round before was given."""
        return any(map(self._is_new_in_round, self._in_round))

    def _is_new_in_round(self, sample: Sample) -> bool:
        return self.arrivals[sample.arrival].round == self._round

    def release(self, numbers: Iterable[int]) -> None:
        """Let samples count that were in quarantine or set aside, because a person says so."""
        for number in numbers:
            sample = self.samples[number - 1]
            arrival = self.arrivals[sample.arrival]
            if sample.state not in (QUARANTINED, SET_ASIDE):
                continue
            arrival.checked = True
            sample.failures, arrival.round = 0, None
            self._troubled.pop(number, None)
            self._give_its_side(sample)
            if not any(each.state == QUARANTINED for each in arrival.samples):
                arrival.quarantine = ""
            self._due = True

    def drop(self, numbers: Iterable[int]) -> None:
        """Let samples count no more, because a person says so; what was learned stays learned."""
        for number in numbers:
            sample = self.samples[number - 1]
            self._move(sample, DROPPED)
            arrival = self.arrivals[sample.arrival]
            if not any(each.state == QUARANTINED for each in arrival.samples):
                arrival.quarantine = ""
            if self._by_digest.get(sample.digest) is sample:
                del self._by_digest[sample.digest]

    @property
    def troubled(self) -> list[Sample]:
        """The samples with which a worker failed, those that are set aside among them."""
        return list(self._troubled.values())

    def mended(self) -> None:
        """Forget failures, because what caused them may have been mended."""
        for sample in self._troubled.values():
            if sample.state == SET_ASIDE:
                self._give_its_side(sample)
                self.arrivals[sample.arrival].round = None
            sample.failures = 0
        self._troubled = {}
        self._due = True

    def _release(self, arrival: Arrival) -> None:
        if not arrival.quarantine:
            return
        arrival.quarantine, arrival.round = "", self._round
        for sample in arrival.samples:
            if sample.state == QUARANTINED:
                self._give_its_side(sample)

    def _give_its_side(self, sample: Sample) -> None:
        self._move(sample, HELD_OUT if sample.held_out else WAITING)

    # --- what a person asks -------------------------------------------------------------------

    def summary(self) -> dict[str, Any]:
        """Return how many samples are in which state, and what is in quarantine, as plain JSON."""
        states = Counter(each.state for each in self.samples)
        return {
            "total": len(self.samples),
            "repeated": self.repeated,
            **{
                name.replace(" ", "_"): states[name]
                for name in (WAITING, LEARNED, HELD_OUT, SET_ASIDE, QUARANTINED, DROPPED, CORRECTED)
            },
            "quarantine": [
                {
                    "arrival": each.number,
                    "samples": sum(sample.state == QUARANTINED for sample in each.samples),
                    "reason": each.quarantine,
                }
                for each in self.arrivals.values()
                if each.quarantine
            ],
        }

    def history(self, text: str) -> list[Sample]:
        """Return the samples whose line, picture or digest is a text, in their order."""
        wanted = read_line(text)
        digests = {each.digest for each in self.samples if each.digest and each.picture == text}
        return [
            each
            for each in self.samples
            if each.line == text
            or each.picture in (text, wanted.picture or text)
            or (each.digest and (each.digest in digests or each.digest.startswith(text)))
        ]


def _balanced(groups: list[list[Sample]], at_most: int) -> list[Sample]:
    """Return as many of each group as there is room for, in the order of the samples."""
    if sum(map(len, groups)) <= at_most:
        return sorted((each for group in groups for each in group), key=lambda each: each.number)
    chosen: list[Sample] = []
    room = at_most
    for left, group in zip(
        range(len(groups), 0, -1), sorted(groups, key=lambda group: len(group)), strict=True
    ):
        chosen += group[: room // left]
        room -= min(len(group), room // left)
    return sorted(chosen, key=lambda each: each.number)
