"""The runner decides as the LocalController does, but for the differences that are listed.

`local_controller` below is what the LocalController was seen to do with two results.
"""

from __future__ import annotations

import datetime
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from sedna_tinyms.jobs.decision import decide
from sedna_tinyms.jobs.differences import DIFFERENCES
from sedna_tinyms.jobs.manifest.spec import Condition, Timer, Trigger

NOON = datetime.time(12, 0)
BETTER = {"accuracy": [0.9]}
WORSE = {"accuracy": [0.8]}


def result(metrics: object) -> dict[str, object]:
    return {"format": "ckpt", "url": "/output/train/1/model.ckpt", "metrics": metrics}


def trigger(metric: str, operator: str = ">", threshold: float = 0.0) -> Trigger:
    return Trigger(Condition(operator, threshold, metric))


def local_controller(results: list[dict[str, Any]], condition: Condition) -> str:
    """Return "deploy", "refuse" or "panic" (for well-formed metric names, > and >= only)."""
    metrics = [each["metrics"] for each in results]
    if len(metrics) != 2:
        return "refuse"
    for each in metrics:
        for value in each.values():
            if not isinstance(value, list):
                return "refuse"
    new, old = metrics
    stats: dict[str, list[float]] = {}
    if new.keys() != old.keys():
        return "panic"
    for name, numbers in new.items():
        if len(old[name]) < len(numbers):
            return "panic"
        stats[name] = numbers
        stats[f"{name}_delta"] = [n - o for n, o in zip(numbers, old[name], strict=False)]
    name, _, index = condition.metric.rstrip("]").partition("[")
    if name not in stats or (index and int(index) >= len(stats[name])):
        return "refuse"
    value = stats[name][int(index)] if index else 0.0
    met = value > condition.threshold if condition.operator == ">" else value >= condition.threshold
    return "deploy" if met else "refuse"


@pytest.mark.parametrize(
    ("new", "old", "rule", "deploy", "code"),
    [
        (BETTER, WORSE, trigger("accuracy_delta[0]"), True, "met"),
        (WORSE, BETTER, trigger("accuracy_delta[0]"), False, "not-met"),
        (BETTER, BETTER, trigger("accuracy_delta[0]"), False, "not-met"),
        (BETTER, BETTER, trigger("accuracy_delta[0]", ">="), True, "met"),
        (BETTER, WORSE, trigger("accuracy[0]", ">", 0.95), False, "not-met"),
        (BETTER, WORSE, trigger("acuracy_delta[0]"), False, "missing-key"),
        (BETTER, WORSE, trigger("accuracy_delta[1]"), False, "out-of-range"),
        ({"accuracy": 0.9}, {"accuracy": 0.8}, trigger("accuracy_delta[0]"), False, "wrong-type"),
        (
            {"recall": [0.1, 0.9], "f1": [0.5]},
            {"recall": [0.9, 0.1], "f1": [0.5]},
            trigger("recall_delta[1]", ">", 0.7),
            True,
            "met",
        ),
    ],
    ids=range(9),
)
def test_decisions_that_are_those_of_the_local_controller(
    new: dict[str, Any],
    old: dict[str, Any],
    rule: Trigger,
    deploy: bool,
    code: str,
    snapshot: SnapshotAssertion,
) -> None:
    results = [result(new), result(old)]
    decision = decide(results, rule, NOON)
    assert (decision.deploy, decision.code) == (deploy, code)
    assert decision.detail == snapshot
    assert local_controller(results, rule.condition) == ("deploy" if deploy else "refuse")


@pytest.mark.parametrize(
    ("difference", "new", "old", "rule", "sedna", "code"),
    [
        (
            "list without index",
            WORSE,
            BETTER,
            trigger("accuracy_delta", ">="),
            "deploy",
            "wrong-type",
        ),
        (
            "different metrics",
            {"accuracy": [0.9], "f1": [0.9]},
            WORSE,
            trigger("accuracy_delta[0]"),
            "panic",
            "missing-key",
        ),
        (
            "different metrics",
            BETTER,
            {"accuracy": [0.8], "f1": [0.9]},
            trigger("accuracy_delta[0]"),
            "panic",
            "missing-key",
        ),
        (
            "fewer old numbers",
            {"recall": [0.9, 0.9]},
            {"recall": [0.1]},
            trigger("recall_delta[0]"),
            "panic",
            "wrong-length",
        ),
        (
            "more old numbers",
            {"recall": [0.9]},
            {"recall": [0.1, 0.9]},
            trigger("recall_delta[0]"),
            "deploy",
            "wrong-length",
        ),
    ],
    ids=range(5),
)
def test_differences_on_purpose(
    difference: str,
    new: dict[str, Any],
    old: dict[str, Any],
    rule: Trigger,
    sedna: str,
    code: str,
    snapshot: SnapshotAssertion,
) -> None:
    assert difference in DIFFERENCES
    results = [result(new), result(old)]
    assert local_controller(results, rule.condition) == sedna
    decision = decide(results, rule, NOON)
    assert (decision.outcome, decision.code) == ("not proven", code)
    assert decision.detail == snapshot


NUMBERS = st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=2)
METRICS = st.dictionaries(st.sampled_from(["a", "b"]), NUMBERS | st.just(0.5), min_size=1)
CONDITIONS = st.builds(
    Condition,
    st.sampled_from([">", ">="]),
    st.sampled_from([-0.5, 0.0, 0.5]),
    st.sampled_from(["a", "a[0]", "a_delta", "a_delta[0]", "a_delta[1]", "b_delta[0]", "c[0]"]),
)


@given(new=METRICS, old=METRICS, condition=CONDITIONS)
def test_every_other_decision_is_that_of_the_local_controller(
    new: dict[str, Any], old: dict[str, Any], condition: Condition
) -> None:
    results = [result(new), result(old)]
    decision = decide(results, Trigger(condition), NOON)
    sedna = local_controller(results, condition)
    listed = (
        "[" not in condition.metric
        or new.keys() != old.keys()
        or any(
            len(new[name]) != len(old[name])
            for name in new
            if isinstance(new[name], list) and isinstance(old[name], list)
        )
    )
    if not listed:
        assert sedna == ("deploy" if decision.deploy else "refuse")
    elif decision.deploy:
        assert sedna == "deploy"


def test_the_timer_of_the_deploy_trigger_counts() -> None:
    rule = Trigger(Condition(">", 0.0, "accuracy_delta[0]"), Timer("22:00", "06:00"))
    decision = decide([result(BETTER), result(WORSE)], rule, NOON)
    assert (decision.deploy, decision.code) == (False, "wrong-time")
    assert decision.stats["accuracy_delta"] == [pytest.approx(0.1)]


@pytest.mark.parametrize(
    ("results", "code"),
    [
        (None, "wrong-type"),
        ("two", "wrong-type"),
        ([], "wrong-length"),
        ([result(BETTER)], "wrong-length"),
        ([result(BETTER)] * 3, "wrong-length"),
        ([result(BETTER), None], "missing-value"),
        ([result(BETTER), {}], "missing-value"),
        ([result({}), result({})], "missing-value"),
        ([result([0.9]), result(WORSE)], "missing-value"),
        ([result({"accuracy": [math.nan]}), result(WORSE)], "not-finite"),
        ([result(BETTER), result({"accuracy": [math.inf]})], "not-finite"),
        ([result({"accuracy": ["0.9"]}), result(WORSE)], "not-a-number"),
        ([result({"accuracy": [True]}), result(WORSE)], "not-a-number"),
        ([result({"accuracy": [10**5000]}), result(WORSE)], "not-finite"),
        ([result({"accuracy": [1e308]}), result({"accuracy": [-1e308]})], "not-finite"),
        ([result({"acuracy": [0.9]}), result(WORSE)], "missing-key"),
    ],
    ids=range(16),
)
def test_what_cannot_be_compared_is_not_deployed(
    results: object, code: str, snapshot: SnapshotAssertion
) -> None:
    decision = decide(results, trigger("accuracy_delta[0]"), NOON)
    assert (decision.outcome, decision.code) == ("not proven", code)
    assert decision.reason == snapshot


@pytest.mark.parametrize(
    ("new", "old", "confidence", "outcome", "code"),
    [
        ([1.0, 0.0, 0.0], [0.0, 0.0, 0.0], 0.5, "deployed", "met"),
        ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], 0.5, "deployed", "met"),
        ([1.0, 0.0, 0.0], [0.0, 1.0, 1.0], 0.5, "not proven", "not-better"),
        ([1.0] * 3, [0.0] * 3, 0.95, "not proven", "not-sure"),
        ([1.0] * 4, [0.0] * 4, 0.95, "deployed", "met"),
        ([0.0] * 5, [1.0] * 5, 0.5, "rejected", "worse"),
        ([0.0] * 40, [1.0] * 40, 0.95, "rejected", "worse"),
        ([0.0] * 5, [1.0] * 5, 0.0, "deployed", "met"),
        ([0.5], [0.0], 0.5, "deployed", "met"),
        (None, None, 0.5, "deployed", "met"),
    ],
    ids=["lead", "even", "behind", "unsure", "sure", "worse", "hopeless", "off", "odd", "none"],
)
def test_the_outcome_by_what_each_model_gets_right(
    new: list[float] | None,
    old: list[float] | None,
    confidence: float,
    outcome: str,
    code: str,
    snapshot: SnapshotAssertion,
) -> None:
    outcomes = [{} if each is None else {"correct": each} for each in (new, old)]
    results = [result(BETTER | outcomes[0]), result(WORSE | outcomes[1])]
    decision = decide(results, trigger("accuracy_delta[0]"), NOON, confidence=confidence)
    assert (decision.outcome, decision.code) == (outcome, code)
    tested = bool(confidence) and new is not None and set(new) <= {0.0, 1.0}
    assert (decision.test is not None) is tested
    assert (decision.reason, decision.detail) == snapshot


def test_a_trigger_that_is_not_met_leaves_it_open_unless_the_model_is_worse() -> None:
    better, worse = {"correct": [1.0] * 6}, {"correct": [0.0] * 6}
    rule = trigger("accuracy_delta[0]")
    open_ = decide([result(WORSE | better), result(BETTER | worse)], rule, NOON)
    assert (open_.outcome, open_.code) == ("not proven", "not-met")
    lost = decide([result(WORSE | worse), result(BETTER | better)], rule, NOON)
    assert (lost.outcome, lost.code) == ("rejected", "worse")


def test_a_model_that_was_never_trained_is_not_compared_with(snapshot: SnapshotAssertion) -> None:
    """It may be lucky, and what was trained on a dozen samples is worth more."""
    new = {"correct": [0.0] * 6, "contradiction": [0.2] * 6}
    old = {"correct": [1.0] * 6, "contradiction": [-1.0] * 6}
    decision = decide([result(BETTER | new), result(WORSE | old)], trigger("accuracy[0]"), NOON)
    assert (decision.outcome, decision.code) == ("deployed", "met")
    assert decision.reason == snapshot
    both = [result(BETTER | old | new | {"contradiction": [-1.0] * 6}), result(WORSE | old)]
    assert decide(both, trigger("accuracy[0]"), NOON).outcome == "rejected"
