"""Whether the labels of an arrival contradict what is known, before anything is trained on them.

A reference model, which has not learned the arrival, answers its samples. Where it clearly
contradicts more than half of the labels, the arrival is most likely mislabelled as a whole: classes
mixed up, a file of another project, a column shifted. The check is meant for that alone. A few
wrong labels pass, and so does a new domain, on which the reference errs often but not clearly.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sedna_tinyms.outcomes import NOT_LEARNED

__all__ = [
    "CLEARLY",
    "LABELS_AT_LEAST",
    "ArrivalVerdict",
    "check_arrival",
    "recognised_classes",
    "why_no_reference",
]

CLEARLY = 0.3
"""A label is contradicted if the highest probability exceeds that of the label by more.

On PACS, with two seeds of ``bench gates`` that its figures leave out, all of 16 mislabelled
arrivals of 16 labels were caught (15 where domains come one after the other), and 13 of 16 of 8
labels. With 0.5 fewer were caught, 12 and 6 or 7.
"""

LABELS_AT_LEAST = 6
"""An arrival with fewer labels that are counted is not checked: of four labels, none of 16
mislabelled arrivals was caught, and 4 of 80 right ones were kept out."""

HELD_OUT_AT_LEAST = 2
"""A label is counted if the reference gets at least half of so many held-out samples of its class
right, or of more."""

OTHERS_AT_LEAST = 2
"""The reference must have shown what it knows on held-out samples of so many other arrivals."""

CHANCE_AT_MOST = 0.05
"""How probable it may be that a reference that only guesses does as well as the one at hand."""


@dataclass(frozen=True)
class ArrivalVerdict:
    """What the check says about an arrival.

    Attributes
    ----------
    outcome : {"passed", "contradicted", "skipped"}
        Whether its labels go on.
    reason : str
        Why, in words.
    code : str
        Why, for a program: ``passed``, ``contradicted``, ``too-few``, ``new-classes``.
    labels, counted, contradicted : int
        How many labels there are, how many of them are of classes that the reference has learned,
        and how many of these it clearly contradicts.
    """

    outcome: str
    reason: str
    code: str
    labels: int = 0
    counted: int = 0
    contradicted: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def check_arrival(
    contradiction: Sequence[float],
    labels: Sequence[str],
    recognised: Collection[str],
    *,
    clearly: float = CLEARLY,
) -> ArrivalVerdict:
    """Compare the labels of an arrival with the answers of a reference model.

    Parameters
    ----------
    contradiction : sequence of float
        For each label, by how much the reference's highest probability exceeds that of the label,
        or `NOT_LEARNED` (see `sedna_tinyms.outcomes`).
    labels : sequence of str
        The labels.
    recognised : collection of str
        The classes that the reference recognises: see `recognised_classes`. Labels of others are
        not counted.
    clearly : float
        From which difference on a label is contradicted.

    Examples
    --------
    >>> check_arrival([0.9, 0.8, 0.7, 0.0, 0.1], list("aaaaa"), {"a"}).outcome
    'contradicted'
    >>> check_arrival([0.9, 0.0, 0.0, 0.2, 0.1], list("aaaaa"), {"a"}).outcome
    'passed'
    """
    known = [
        each
        for each, label in zip(contradiction, labels, strict=True)
        if each != NOT_LEARNED and label in recognised
    ]
    against = sum(each > clearly for each in known)
    counts = (len(labels), len(known), against)
    if 2 * len(known) < len(labels):
        new = len(labels) - len(known)
        reason = f"{new} of {len(labels)} labels are of classes that the model does not know well"
        return ArrivalVerdict("skipped", reason, "new-classes", *counts)
    if len(known) < LABELS_AT_LEAST:
        reason = f"{len(known)} labels are too few to tell"
        return ArrivalVerdict("skipped", reason, "too-few", *counts)
    reason = f"the model in service clearly contradicts {against} of {len(known)} labels"
    if 2 * against > len(known):
        return ArrivalVerdict("contradicted", reason, "contradicted", *counts)
    return ArrivalVerdict("passed", reason, "passed", *counts)


def recognised_classes(
    correct: Iterable[float], labels: Iterable[str], at_least: int = HELD_OUT_AT_LEAST
) -> set[str]:
    """Return the classes of which a model gets at least half of the held-out samples right.

    Parameters
    ----------
    correct : iterable of float
        1.0 or 0.0 for each held-out sample.
    labels : iterable of str
        Their labels.
    at_least : int
        How many samples of a class it takes.

    Examples
    --------
    >>> sorted(recognised_classes([1.0, 1.0, 1.0, 0.0, 0.0, 1.0], "aabbcd"))
    ['a', 'b']
    """
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for outcome, label in zip(correct, labels, strict=True):
        right[label] += outcome == 1.0
        total[label] += 1
    return {
        label for label in total if total[label] >= at_least and 2 * right[label] >= total[label]
    }


def why_no_reference(
    correct: Mapping[int, Sequence[float]], labels: Mapping[int, Sequence[str]]
) -> str:
    """Say why a model cannot judge labels; an empty text if it can.

    It must beat guessing on held-out samples of at least two other arrivals.

    Parameters
    ----------
    correct : mapping of int to sequence of float
        For each other arrival, 1.0 or 0.0 for each held-out sample.
    labels : mapping of int to sequence of str
        Their labels.
    """
    arrivals = [number for number, outcomes in correct.items() if outcomes]
    if len(arrivals) < OTHERS_AT_LEAST:
        return (
            f"there are held-out samples of {len(arrivals)} other arrivals, and it takes "
            f"{OTHERS_AT_LEAST}"
        )
    outcomes = [each for number in arrivals for each in correct[number]]
    right, total = sum(each == 1.0 for each in outcomes), len(outcomes)
    counts = Counter(label for number in arrivals for label in labels[number])
    guess = max(counts.values()) / total  # always the most frequent class
    if _at_least(right, total, guess) > CHANCE_AT_MOST:
        return (
            f"the model in service gets {right} of {total} held-out samples right, as by guessing"
        )
    return ""


def _at_least(successes: int, trials: int, chance: float) -> float:
    """Return the probability of at least so many successes of a binomial distribution."""
    if chance >= 1.0:
        return 1.0
    return math.fsum(
        math.exp(
            math.lgamma(trials + 1)
            - math.lgamma(count + 1)
            - math.lgamma(trials - count + 1)
            + count * math.log(chance)
            + (trials - count) * math.log1p(-chance)
        )
        for count in range(successes, trials + 1)
    )
