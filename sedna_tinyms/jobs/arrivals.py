"""Whether the labels of an arrival contradict what is known, before anything is trained on them.

A reference model, which has not learned the arrival, answers its samples. Where it clearly
contradicts more than half of the labels, the arrival is most likely mislabelled as a whole: classes
mixed up, a file of another project, a column shifted. The check is meant for that alone. A few
wrong labels pass, and so does a new domain, on which the reference errs often but not clearly.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sedna_tinyms.outcomes import NOT_LEARNED

__all__ = ["CLEARLY", "LABELS_AT_LEAST", "ArrivalVerdict", "check_arrival", "why_no_reference"]

CLEARLY = 0.3
"""A label is contradicted if the highest probability exceeds that of the label by more."""

LABELS_AT_LEAST = 4
"""An arrival with fewer labels of classes that the reference has learned is not checked."""

LEARNED_AT_LEAST = 10
"""A label of a class of which fewer labels are learned is not counted."""

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
    learned: Mapping[str, int],
    *,
    clearly: float = CLEARLY,
    learned_at_least: int = LEARNED_AT_LEAST,
) -> ArrivalVerdict:
    """Compare the labels of an arrival with the answers of a reference model.

    Parameters
    ----------
    contradiction : sequence of float
        For each label, by how much the reference's highest probability exceeds that of the label,
        or `NOT_LEARNED` (see `sedna_tinyms.outcomes`).
    labels : sequence of str
        The labels.
    learned : mapping of str to int
        How many labels of each class the model in service has learned.
    clearly : float
        From which difference on a label is contradicted.
    learned_at_least : int
        Labels of classes of which fewer are learned are not counted.

    Examples
    --------
    >>> check_arrival([0.9, 0.8, 0.7, 0.0, 0.1], list("aaaaa"), {"a": 20}).outcome
    'contradicted'
    >>> check_arrival([0.9, 0.0, 0.0, 0.2, 0.1], list("aaaaa"), {"a": 20}).outcome
    'passed'
    """
    known = [
        each
        for each, label in zip(contradiction, labels, strict=True)
        if each != NOT_LEARNED and learned.get(label, 0) >= learned_at_least
    ]
    against = sum(each > clearly for each in known)
    counts = (len(labels), len(known), against)
    if 2 * len(known) < len(labels):
        new = len(labels) - len(known)
        reason = f"of the classes of {new} of {len(labels)} labels little or nothing is learned"
        return ArrivalVerdict("skipped", reason, "new-classes", *counts)
    if len(known) < LABELS_AT_LEAST:
        reason = f"{len(known)} labels are too few to tell"
        return ArrivalVerdict("skipped", reason, "too-few", *counts)
    reason = f"the model in service clearly contradicts {against} of {len(known)} labels"
    if 2 * against > len(known):
        return ArrivalVerdict("contradicted", reason, "contradicted", *counts)
    return ArrivalVerdict("passed", reason, "passed", *counts)


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
