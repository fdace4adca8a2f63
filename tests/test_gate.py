"""The rule by which a new model may replace the one in service."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedna_tinyms.gate import PairedTest, never_trained, paired_test, passes
from sedna_tinyms.outcomes import CONTRADICTION, NOT_LEARNED, OUTCOMES

COUNTS = st.integers(0, 300)


def beta_above_half(successes: int, failures: int) -> float:
    """Integrate a Beta(a + 1, b + 1) density above 1/2, by Simpson's rule."""
    steps = 2000
    log_scale = math.lgamma(successes + failures + 2)
    log_scale -= math.lgamma(successes + 1) + math.lgamma(failures + 1)

    def density(q: float) -> float:
        if q in (0.0, 1.0):
            return math.exp(log_scale) * (0.0**successes if q == 0 else 0.0**failures)
        log = successes * math.log(q) + failures * math.log1p(-q)
        return math.exp(log + log_scale)

    width = 0.5 / steps
    inner = sum((4 if i % 2 else 2) * density(0.5 + i * width) for i in range(1, steps))
    return width / 3 * (density(0.5) + inner + density(1.0))


@pytest.mark.parametrize(
    ("only_new", "only_old", "probability", "by_chance"),
    [
        (0, 0, 0.5, 1.0),
        (1, 0, 0.75, 0.5),
        (3, 0, 0.9375, 1 / 8),
        (0, 5, 1 / 64, 1 / 32),
        (4, 4, 0.5, 163 / 256),
        (10, 2, 1 - (1 + 13 + 78) / 2**13, (1 + 12 + 66) / 2**12),
    ],
)
def test_the_figures_of_a_few_samples(only_new, only_old, probability, by_chance):
    test = PairedTest(only_new, only_old)
    assert test.probability == pytest.approx(probability)
    assert test.by_chance == by_chance


@pytest.mark.parametrize(("only_new", "only_old"), [(0, 3), (7, 2), (20, 20), (2, 11), (1, 0)])
def test_the_probability_is_that_of_the_posterior(only_new, only_old):
    integral = beta_above_half(only_new, only_old)
    assert PairedTest(only_new, only_old).probability == pytest.approx(integral, abs=1e-6)


@given(COUNTS, COUNTS)
def test_the_probabilities_of_both_models_add_up_to_one(one, other):
    pair = PairedTest(one, other), PairedTest(other, one)
    assert pair[0].probability + pair[1].probability == pytest.approx(1.0)
    assert pair[0].by_chance == pair[1].by_chance
    assert 0 <= pair[0].probability <= 1
    assert 0 <= pair[0].by_chance <= 1


@given(COUNTS, COUNTS)
def test_a_model_passes_exactly_where_it_does_not_get_fewer_right(only_new, only_old):
    assert (PairedTest(only_new, only_old).verdict() == "passed") is (only_new >= only_old)


@given(COUNTS, COUNTS, st.floats(0.05, 0.99))
def test_more_wins_never_harm(only_new, only_old, confidence):
    order = ("worse", "undecided", "passed")
    before = order.index(PairedTest(only_new, only_old).verdict(confidence))
    after = order.index(PairedTest(only_new + 1, only_old).verdict(confidence))
    assert after >= before


def test_five_lost_samples_are_evidence_and_four_are_not():
    assert PairedTest(0, 5).verdict() == "worse"
    assert PairedTest(0, 4).verdict() == "undecided"
    assert PairedTest(1, 5).verdict() == "undecided"


def test_the_estimate_of_what_would_decide():
    assert PairedTest(3, 0).samples_to_decide(12) is None, "it passes already"
    assert PairedTest(3, 0).samples_to_decide(12, confidence=0.95) == 12
    assert PairedTest(0, 3).samples_to_decide(12, confidence=0.95) is None, "it never would"
    test = PairedTest(4, 2)
    more = test.samples_to_decide(20, confidence=0.95)
    times = 1 + more // 20
    assert PairedTest(4 * times, 2 * times).verdict(0.95) == "passed"
    assert PairedTest(4 * (times - 1), 2 * (times - 1)).verdict(0.95) == "undecided"


def test_a_large_evaluation_is_no_problem():
    assert PairedTest(30_000, 29_000).probability > 0.9999
    assert PairedTest(29_000, 30_000).verdict() == "worse"


def test_outcomes_are_compared_sample_by_sample():
    new = [1.0, 1.0, 0.0, 1.0, 0.0]
    old = [0.0, 1.0, 1.0, 0.0, 0.0]
    assert paired_test(new, old) == PairedTest(only_new=2, only_old=1)


@pytest.mark.parametrize("number", [0.5, 37.0, -1.0])
def test_what_is_no_outcome_is_not_tested(number):
    assert paired_test([1.0, number], [1.0, 0.0]) is None
    assert paired_test([1.0, 0.0], [1.0, number]) is None
    assert paired_test([], []) is None


def metrics(correct, contradiction=None):
    found = {OUTCOMES: correct}
    return found if contradiction is None else found | {CONTRADICTION: contradiction}


def test_the_gate_of_two_evaluations():
    better, worse = metrics([1.0, 1.0, 0.0]), metrics([1.0, 0.0, 0.0])
    assert passes(better, worse) is True
    assert passes(worse, better) is False
    assert passes(worse, worse) is True
    assert passes(better, worse, confidence=0.95) is False
    assert passes({"accuracy": [0.5]}, worse) is None
    assert passes(metrics([1.0]), worse) is None
    assert passes(metrics([0.5, 1.0, 1.0]), worse) is None


def test_a_model_that_was_never_trained_is_not_compared_with():
    learned, untrained = [0.0, 0.4, 0.1], [NOT_LEARNED] * 3
    lucky = metrics([1.0, 1.0, 1.0], untrained)
    assert passes(metrics([1.0, 0.0, 0.0], learned), lucky) is True
    assert passes(metrics([1.0, 0.0, 0.0], untrained), lucky) is False
    assert passes(metrics([1.0, 0.0, 0.0], learned), metrics([1.0] * 3, learned)) is False
    assert not never_trained({CONTRADICTION: []})
    assert not never_trained({})
