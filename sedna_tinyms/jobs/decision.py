"""What becomes of the model that was just trained: two evaluation results compared.

An evaluation worker reports one result for each model it was given, the new one first. For every
metric ``m`` the deploy trigger can ask for ``m[i]``, the new model's numbers, and ``m_delta[i]``,
the new minus the old ones. A comparison that cannot be made never deploys, and says why. Where
the results say which samples each model gets right, a new model must also pass the gate (see
`sedna_tinyms.gate`).

`sedna_tinyms.jobs.differences` lists where Sedna's LocalController decides otherwise.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field

from sedna_tinyms.errors import MetricsError, did_you_mean
from sedna_tinyms.gate import DEPLOY_CONFIDENCE, PairedTest, never_trained, paired_test
from sedna_tinyms.jobs.manifest.spec import Trigger
from sedna_tinyms.jobs.triggers import brief, check_trigger, finite_number, why_not_finite
from sedna_tinyms.outcomes import CONTRADICTION, OUTCOMES

__all__ = ["DEPLOYED", "NOT_PROVEN", "REJECTED", "Decision", "Stats", "compare", "decide"]

DEPLOYED = "deployed"
NOT_PROVEN = "not proven"
"""The trigger is unmet, or the evidence does not decide: the samples wait for the next round."""
REJECTED = "rejected"
"""The evidence says that the new model is worse."""

Stats = dict[str, list[float]]
"""Metric name to numbers."""


@dataclass(frozen=True)
class Decision:
    """What becomes of a new model, why, and the numbers that the trigger looked at.

    Attributes
    ----------
    outcome : {"deployed", "not proven", "rejected"}
        What becomes of it.
    reason : str
        Why, in words for a person.
    detail : str
        What the deploy trigger of the YAML says, and the counts of the gate.
    code : str
        Why, for a program: the `code` of the trigger's `Verdict`; ``worse``, ``not-sure`` or
        ``not-better`` where the comparison of both models decided otherwise; the `code` of the
        error where they could not be compared.
    stats : dict
        Each metric of the new model, and its difference to the old model's.
    test : PairedTest or None
        The samples on which the models differ; None where that was not tested.
    """

    outcome: str
    reason: str
    detail: str
    code: str
    stats: Stats = field(default_factory=dict)
    test: PairedTest | None = None

    @property
    def deploy(self) -> bool:
        """Whether to deploy the model."""
        return self.outcome == DEPLOYED


def decide(
    results: object,
    trigger: Trigger,
    now: datetime.time,
    *,
    confidence: float = DEPLOY_CONFIDENCE,
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
        Least probability that the new model is the better one, from 0 (not tested) to less than 1.
        It takes results with the metric ``correct``; without it, the trigger alone decides. A model
        that was never trained is not compared with.
    """
    try:
        stats = compare(results)
    except MetricsError as error:
        return Decision(NOT_PROVEN, f"not deployed: {error}", str(error), error.code)
    verdict = check_trigger(trigger, stats, now)
    test = _test(stats) if confidence else None
    evaluated = len(stats.get(OUTCOMES, ()))
    detail = verdict.reason if test is None else f"{verdict.reason}; {_counts(test)}"
    if confidence and test is None:
        detail += f"; the samples were not compared one by one: {_why_untested(stats)}"
    tested = test is not None and not _old_never_trained(stats)
    if test is not None and tested and test.verdict(confidence) == "worse":
        reason = f"{_counts(test)}; {_luck(test)}"
        return Decision(REJECTED, reason, detail, "worse", stats, test)
    if test is not None and tested and test.verdict(confidence) == "undecided":
        code = "not-sure" if test.only_new > test.only_old else "not-better"
        reason = f"not deployed yet: {_counts(test)}; {_outlook(test, evaluated, confidence)}"
        return Decision(NOT_PROVEN, reason, detail, code, stats, test)
    counts = "" if test is None else f"{_counts(test)}; "
    if not verdict.met:
        reason = f"not deployed yet: {counts}the deploy trigger is not met: {verdict.reason}"
        return Decision(NOT_PROVEN, reason, detail, verdict.code, stats, test)
    if test is not None and not tested:
        counts = "the model in service was never trained; "
    reason = (counts or verdict.reason).removesuffix("; ")
    return Decision(DEPLOYED, reason, detail, verdict.code, stats, test)


def _counts(test: PairedTest) -> str:
    pictures = "picture" if test.only_new == 1 else "pictures"
    return f"{test.only_new} evaluation {pictures} better, {test.only_old} worse"


def _luck(test: PairedTest) -> str:
    """Say how often chance alone brings such a difference, in words that keep their order."""
    share = test.by_chance
    if share > 0.4:
        return "chance alone does that in about every second round"
    if share < 1e-6:
        return "chance alone does not do that once in a million rounds"
    return f"by chance alone that happens in 1 of {1 / share:,.0f} rounds"


def _outlook(test: PairedTest, evaluated: int, confidence: float) -> str:
    more = test.samples_to_decide(evaluated, confidence)
    if more is None:
        return _luck(test)
    return f"{_luck(test)}; about {more} more evaluation pictures would decide it"


def _test(stats: Stats) -> PairedTest | None:
    if OUTCOMES not in stats:
        return None
    return paired_test(stats[OUTCOMES], _old(stats, OUTCOMES))


def _old_never_trained(stats: Stats) -> bool:
    if CONTRADICTION not in stats or never_trained(stats):
        return False
    return never_trained({CONTRADICTION: _old(stats, CONTRADICTION)})


def _old(stats: Stats, name: str) -> list[float]:
    """Return the old model's numbers."""
    pairs = zip(stats[name], stats[f"{name}_delta"], strict=True)
    return [round(new - delta, 9) for new, delta in pairs]


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
