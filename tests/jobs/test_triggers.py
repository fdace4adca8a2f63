from __future__ import annotations

import datetime
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from sedna_tinyms.jobs.manifest.spec import Condition, Timer, Trigger
from sedna_tinyms.jobs.triggers import (
    OPERATORS,
    check_condition,
    check_timer,
    check_trigger,
)

NOON = datetime.time(12, 0)
TIMES = st.times().map(lambda time: time.replace(microsecond=0))


def clock(text: str) -> datetime.time:
    return datetime.time.fromisoformat(text)


@pytest.mark.parametrize(
    ("start", "end", "inside", "outside"),
    [
        ("02:00", "20:00", ["02:00", "12:30", "20:00", "20:00:59"], ["01:59", "20:01", "23:59"]),
        ("22:00", "06:00", ["22:00", "23:59", "00:00", "06:00"], ["06:01", "21:59"]),
        ("02:00", "24:00", ["02:00", "23:59"], ["00:00", "01:59"]),
        ("00:00", "24:00", ["00:00", "12:00", "23:59"], []),
        ("12:00", "12:00", ["12:00"], ["11:59", "12:01"]),
    ],
)
def test_a_timer_includes_both_ends(
    start: str, end: str, inside: list[str], outside: list[str]
) -> None:
    timer = Timer(start, end)
    assert all(check_timer(timer, clock(time)) for time in inside)
    assert not any(check_timer(timer, clock(time)) for time in outside)


@given(start=TIMES, end=TIMES, now=TIMES)
def test_a_timer_is_an_arc_of_the_clock(
    start: datetime.time, end: datetime.time, now: datetime.time
) -> None:
    def minutes(time: datetime.time) -> int:
        return time.hour * 60 + time.minute

    length = (minutes(end) - minutes(start)) % 1440
    passed = (minutes(now) - minutes(start)) % 1440
    timer = Timer(start.strftime("%H:%M"), end.strftime("%H:%M"))
    assert check_timer(timer, now).met == (passed <= length)


FINITE = st.floats(allow_nan=False, allow_infinity=False)
NEAR = st.sampled_from([0.0, 5e-7, -5e-7, 2e-6, -2e-6, 1.0, -1.0])
REFERENCE = {
    ("gt", ">"): lambda difference: difference > 0,
    ("ge", ">="): lambda difference: difference >= 0,
    ("eq", "=", "=="): lambda difference: abs(difference) < 1e-6,
    ("ne", "!="): lambda difference: abs(difference) >= 1e-6,
    ("le", "<="): lambda difference: difference <= 0,
    ("lt", "<"): lambda difference: difference < 0,
}


def test_the_reference_names_every_operator() -> None:
    assert {name for names in REFERENCE for name in names} == set(OPERATORS)


@given(names=st.sampled_from(sorted(REFERENCE)), difference=NEAR, indexed=st.booleans())
def test_operators_compare_with_their_tolerance(
    names: tuple[str, ...], difference: float, indexed: bool
) -> None:
    metrics = {"m": [9.0, difference] if indexed else difference}
    for name in names:
        condition = Condition(name, 0.0, "m[1]" if indexed else "m")
        assert check_condition(condition, metrics).met == REFERENCE[names](difference)


@given(names=st.sampled_from(sorted(REFERENCE)), value=FINITE, threshold=FINITE)
def test_every_alias_says_the_same(names: tuple[str, ...], value: float, threshold: float) -> None:
    verdicts = {check_condition(Condition(n, threshold, "m"), {"m": value}) for n in names}
    assert len(verdicts) == 1


@pytest.mark.parametrize(
    ("condition", "metrics", "code"),
    [
        (Condition(">", 10, "num_of_samples"), {"num_of_samples": 8}, "not-met"),
        (Condition(">", 0, "a_delta"), {"a_delta": [0.1]}, "wrong-type"),
        (Condition(">=", 0, "a_delta"), {"a_delta": [-0.1]}, "wrong-type"),
        (Condition(">", 0, "a[2]"), {"a": [1.0, 2.0]}, "out-of-range"),
        (Condition(">", 0, "a[0]"), {"a": []}, "out-of-range"),
        (Condition(">", 0, "a[0]"), {"a": 1.0}, "wrong-type"),
        (Condition(">", 0, "acuracy"), {"accuracy": 1.0}, "missing-key"),
        (Condition(">", 0, "a"), {}, "missing-key"),
        (Condition("~", 0, "a"), {"a": 1.0}, "unknown-name"),
        (Condition(">", 0, "a[-1]"), {"a": [1.0]}, "invalid-value"),
        (Condition(">", 0, "a[0"), {"a": [1.0]}, "invalid-value"),
        (Condition(">", 0, ""), {"a": [1.0]}, "invalid-value"),
        (Condition("!=", 0, "a"), {"a": math.nan}, "not-finite"),
        (Condition("!=", 0, "a"), {"a": True}, "not-a-number"),
        (Condition("!=", 0, "a"), {"a": "0.5"}, "not-a-number"),
        (Condition("!=", 0, "a[0]"), {"a": [None]}, "not-a-number"),
        (Condition("!=", 0, "a"), {"a": 10**5000}, "not-finite"),
    ],
    ids=range(17),
)
def test_a_condition_that_is_not_met_says_why(
    condition: Condition, metrics: dict[str, object], code: str, snapshot: SnapshotAssertion
) -> None:
    verdict = check_condition(condition, metrics)
    assert not verdict
    assert verdict.code == code
    assert verdict.reason == snapshot


def test_timer_and_condition_must_both_hold(snapshot: SnapshotAssertion) -> None:
    trigger = Trigger(Condition(">", 5, "num_of_samples"), Timer("02:00", "20:00"))
    assert check_trigger(trigger, {"num_of_samples": 6}, NOON).code == "met"
    untimely = check_trigger(trigger, {"num_of_samples": 6}, clock("21:00"))
    assert (untimely.met, untimely.code) == (False, "wrong-time")
    assert untimely.reason == snapshot
    assert check_trigger(trigger, {"num_of_samples": 5}, NOON).code == "not-met"
    always = Trigger(Condition(">", 5, "num_of_samples"))
    assert check_trigger(always, {"num_of_samples": 6}, clock("21:00"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
)


@given(
    st.builds(Condition, st.sampled_from([*OPERATORS, "?"]), FINITE, st.text(max_size=6)),
    st.dictionaries(st.text(max_size=3), JSON, max_size=3),
)
def test_no_metrics_raise(condition: Condition, metrics: dict[str, object]) -> None:
    assert check_condition(condition, metrics).reason
    for name in metrics:
        assert check_condition(Condition(">", 0.0, f"{name}[0]"), metrics).reason
