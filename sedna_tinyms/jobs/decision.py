"""Whether the model that was just trained is better: two evaluation results compared.

An evaluation worker reports one result for each model it was given, the new one first. For every
metric ``m`` the deploy trigger can ask for ``m[i]``, the new model's numbers, and ``m_delta[i]``,
the new minus the old ones. A comparison that cannot be made never deploys, and says why. Where
the results say which samples each model gets right, a new model must also be better with
confidence (see `sedna_tinyms.jobs.confidence`).

`sedna_tinyms.jobs.differences` lists where Sedna's LocalController decides otherwise.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sedna_tinyms.errors import MetricsError, did_you_mean
from sedna_tinyms.jobs.confidence import PairedTest, paired_test
from sedna_tinyms.jobs.manifest.spec import Trigger
from sedna_tinyms.jobs.triggers import brief, check_trigger, finite_number, why_not_finite
from sedna_tinyms.outcomes import OUTCOMES

__all__ = ["Decision", "Stats", "compare", "decide"]

Stats = dict[str, list[float]]
"""Metric name to numbers."""


@dataclass(frozen=True)
class Decision:
    """Whether to deploy, why, and the numbers that the trigger looked at.

    Attributes
    ----------
    deploy : bool
        Whether to.
    reason : str
        Why, in words.
    code : str
        Why, for a program: the `code` of the trigger's `Verdict`; ``not-sure`` or ``not-better``
        where the test of both models decided otherwise; the `code` of the error where they could
        not be compared.
    stats : dict
        Each metric of the new model, and its difference to the old model's.
    test : PairedTest or None
        How sure it is that the new model is better; None where that was not tested.
    """

    deploy: bool
    reason: str
    code: str
    stats: Stats = field(default_factory=dict)
    test: PairedTest | None = None


def decide(
    results: object,
    trigger: Trigger,
    now: datetime.time,
    *,
    confidence: float = 0.0,
    samples: Sequence[str] = (),
) -> Decision:
    """Decide on the new model.

    Parameters
    ----------
    results : object
        What the evaluation worker reported: a list of two mappings with ``metrics``, the new
        model's first. Anything else is a decision against it.
    trigger : Trigger
        The deploy trigger of the job.
    now : datetime.time
        The local time of day, for the trigger's timer.
    confidence : float
        How sure it must be that the new model is better, from 0 (need not) to less than 1. It
        takes results with the metric ``correct``; without it, the trigger alone decides.
    samples : sequence of str
        What was evaluated with, to count a sample once that stands there twice.
    """
    try:
        stats = compare(results)
    except MetricsError as error:
        return Decision(False, str(error), error.code)
    verdict = check_trigger(trigger, stats, now)
    if not confidence:
        return Decision(verdict.met, verdict.reason, verdict.code, stats)
    test = _test(stats, samples)
    if test is None:
        reason = f"{verdict.reason}; how sure that is was not tested: {_why_untested(stats)}"
        return Decision(verdict.met, reason, verdict.code, stats)
    reason = f"{verdict.reason}; {test}"
    if verdict.met and not test.is_better(confidence):
        code = "not-sure" if test.only_new > test.only_old else "not-better"
        return Decision(False, f"{reason}, {test.objection(confidence)}", code, stats, test)
    return Decision(verdict.met, reason, verdict.code, stats, test)


def _test(stats: Stats, samples: Sequence[str]) -> PairedTest | None:
    if OUTCOMES not in stats:
        return None
    new, delta = stats[OUTCOMES], stats[f"{OUTCOMES}_delta"]
    return paired_test(new, [a - b for a, b in zip(new, delta, strict=True)], samples)


def _why_untested(stats: Stats) -> str:
    if OUTCOMES not in stats:
        return f"the evaluation reports no {OUTCOMES!r}"
    return f"{OUTCOMES!r} must hold 1.0 or 0.0 for each sample"


def compare(results: object) -> Stats:
    """Return the numbers of the new model, and their differences to the old one's.

    Raises
    ------
    MetricsError
        If there are not exactly two results, or they do not hold the same metrics as lists of
        finite numbers of the same lengths.
    """
    if not isinstance(results, list) or len(results) != 2:
        count = len(results) if isinstance(results, list) else "no list of"
        raise MetricsError(
            f"the evaluation reported {count} results; to compare, it takes two: the new model's "
            "and the old one's",
            code="wrong-length" if isinstance(results, list) else "wrong-type",
            count=len(results) if isinstance(results, list) else None,
            expected=2,
        )
    new, old = _metrics(results[0], "new"), _metrics(results[1], "old")
    for one, other, whose, by in ((new, old, "old", "new"), (old, new, "new", "old")):
        missing = [name for name in one if name not in other]
        if missing:
            raise MetricsError(
                f"the {whose} model's result lacks the metric {missing[0]!r}, which the {by} "
                f"one's has{did_you_mean(missing[0], other)}: report the same metrics for both",
                code="missing-key",
                name=missing[0],
                model=whose,
                valid=list(other),
            )
    stats: Stats = {}
    for name, numbers in new.items():
        if len(numbers) != len(old[name]):
            raise MetricsError(
                f"{name} has {len(numbers)} numbers for the new model and {len(old[name])} for "
                "the old one: report the same classes for both",
                code="wrong-length",
                name=name,
                new=len(numbers),
                old=len(old[name]),
            )
        stats[name] = numbers
        stats[f"{name}_delta"] = [a - b for a, b in zip(numbers, old[name], strict=True)]
    return stats


def _metrics(result: object, which: str) -> Stats:
    metrics = result.get("metrics") if isinstance(result, Mapping) else None
    if not isinstance(metrics, Mapping) or not metrics:
        raise MetricsError(
            f"the {which} model's result has no metrics: evaluate must return a dict such as "
            '{"accuracy": [0.9]}',
            code="missing-value",
            name="metrics",
            model=which,
        )
    return {str(name): _numbers(name, value, which) for name, value in metrics.items()}


def _numbers(name: object, value: object, which: str) -> list[float]:
    if not isinstance(value, (list, tuple)):
        raise MetricsError(
            f"{name} of the {which} model is {brief(value)}, not a list of numbers: "
            f"report [{name}]",
            code="wrong-type",
            name=name,
            model=which,
        )
    numbers = [finite_number(each) for each in value]
    for index, number in enumerate(numbers):
        if number is None:
            raise MetricsError(
                f"{name}[{index}] of the {which} model is {brief(value[index])}, not a finite "
                "number",
                code=why_not_finite(value[index]),
                name=name,
                index=index,
                model=which,
            )
    return [number for number in numbers if number is not None]
