"""Whether the labels of an arrival contradict what is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedna_tinyms.jobs.arrivals import (
    CLEARLY,
    LABELS_AT_LEAST,
    check_arrival,
    recognised_classes,
    why_no_reference,
)
from sedna_tinyms.outcomes import NOT_LEARNED

KNOWN = {"a", "b"}
SURELY = CLEARLY + 0.1


def check(*contradiction: float, recognised: set[str] = KNOWN, label: str = "a"):
    return check_arrival(contradiction, [label] * len(contradiction), recognised)


def test_more_than_half_of_the_labels_must_be_clearly_contradicted():
    assert check(*[SURELY] * 5, *[0.0] * 4).outcome == "contradicted"
    assert check(*[SURELY] * 5, *[0.0] * 5).outcome == "passed"
    assert check(*[CLEARLY] * 9).outcome == "passed"


def test_labels_of_classes_that_are_not_learned_are_not_counted():
    verdict = check(*[SURELY] * 8, *[NOT_LEARNED] * 8)
    assert (verdict.outcome, verdict.labels, verdict.counted, verdict.contradicted) == (
        *("contradicted", 16, 8, 8),
    )
    assert check(*[SURELY] * 8, *[NOT_LEARNED] * 9).code == "new-classes"


def test_labels_of_classes_that_are_not_recognised_are_not_counted():
    assert check(*[SURELY] * 8, recognised={"b"}).code == "new-classes"
    assert check(*[SURELY] * 8, label="unheard of").code == "new-classes"


def test_a_class_is_recognised_by_half_of_two_held_out_samples():
    outcomes = [(1.0, "a"), (1.0, "b"), (0.0, "b"), (0.0, "c"), (0.0, "c"), (1.0, "c"), (1.0, "d")]
    correct, labels = zip(*outcomes, (1.0, "a"), strict=True)
    assert recognised_classes(correct, labels) == {"a", "b"}


def test_a_few_labels_are_too_few():
    assert check(*[SURELY] * (LABELS_AT_LEAST - 1)).code == "too-few"
    assert check().code == "too-few"


@given(st.lists(st.floats(0, 1), max_size=30), st.floats(0, 1))
def test_one_more_agreement_never_turns_it_against_an_arrival(contradiction, least):
    learned, labels = KNOWN, ["a"] * len(contradiction)
    before = check_arrival(contradiction, labels, learned, clearly=least)
    after = check_arrival([*contradiction, 0.0], [*labels, "a"], learned, clearly=least)
    if before.outcome == "passed":
        assert after.outcome == "passed"


LABELS = {1: list("abababab"), 2: list("abababab")}


def test_a_model_that_knows_its_classes_can_judge():
    assert why_no_reference({1: [1.0] * 8, 2: [1.0] * 7 + [0.0]}, LABELS) == ""


@pytest.mark.parametrize(
    "correct",
    [
        {1: [1.0] * 8},
        {1: [1.0] * 8, 2: []},
        {1: [1.0, 0.0] * 4, 2: [0.0, 1.0] * 4},
        {1: [0.0] * 8, 2: [0.0] * 8},
    ],
    ids=["one arrival", "an empty one", "as by guessing", "always wrong"],
)
def test_a_model_that_has_not_shown_what_it_knows_cannot(correct, snapshot):
    assert why_no_reference(correct, LABELS) == snapshot
    assert why_no_reference(correct, LABELS)


def test_one_class_alone_shows_nothing():
    assert why_no_reference({1: [1.0] * 8, 2: [1.0] * 8}, {1: ["a"] * 8, 2: ["a"] * 8})
