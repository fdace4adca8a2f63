import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedna_tinyms.jobs.confidence import PairedTest, paired_test, without_outcomes


@pytest.mark.parametrize(
    ("only_new", "only_old", "p_value"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (5, 0, 0.0625),
        (0, 5, 0.0625),
        (6, 0, 0.03125),
        (4, 4, 1.0),
        (10, 2, 2 * (1 + 12 + 66) / 2**12),
    ],
)
def test_the_p_value_of_a_few_samples(only_new, only_old, p_value):
    assert PairedTest(only_new, only_old).p_value == p_value


@given(st.integers(0, 400), st.integers(0, 400))
def test_the_p_value_is_that_of_the_binomial_distribution(only_new, only_old):
    differing = only_new + only_old
    less = min(only_new, only_old)
    ways = sum(math.comb(differing, k) for k in range(less + 1))
    assert PairedTest(only_new, only_old).p_value == min(
        1.0, float(Fraction(2 * ways, 2**differing))
    )


@given(st.integers(0, 200), st.integers(0, 200))
def test_it_is_a_probability_and_does_not_care_which_model_is_which(one, other):
    p_value = PairedTest(one, other).p_value
    assert 0 < p_value <= 1
    assert p_value == PairedTest(other, one).p_value
    assert PairedTest(max(one, other) + 1, min(one, other)).p_value <= p_value


def test_a_large_evaluation_is_no_problem(snapshot):
    assert PairedTest(30_000, 29_000).confidence > 0.9999
    assert str(PairedTest(30_000, 29_000)) == snapshot


def test_five_lucky_samples_are_not_enough_and_six_are():
    assert not PairedTest(5, 0).is_better(0.95)
    assert PairedTest(6, 0).is_better(0.95)
    assert PairedTest(5, 0).is_better(0.9375)
    assert not PairedTest(0, 20).is_better(0.95)
    assert not PairedTest(0, 0).is_better(0.0)


def test_outcomes_are_compared_sample_by_sample():
    new = [1.0, 1.0, 0.0, 1.0, 0.0]
    old = [0.0, 1.0, 1.0, 0.0, 0.0]
    assert paired_test(new, old) == PairedTest(only_new=2, only_old=1)


def test_a_sample_that_stands_twice_counts_once():
    new, old = [1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]
    assert paired_test(new, old, ["a 1", "b 1", "a 1", "c 1"]) == PairedTest(2, 1)
    assert paired_test(new, old, ["a 1"]) == PairedTest(3, 1), "of what, is not known"


@pytest.mark.parametrize("number", [0.5, 37.0, -1.0])
def test_what_is_no_outcome_is_not_tested(number):
    assert paired_test([1.0, number], [1.0, 0.0]) is None
    assert paired_test([1.0, 0.0], [1.0, number]) is None
    assert paired_test([], []) is None


def test_long_metrics_are_left_out():
    metrics = {
        "accuracy": [0.5],
        "correct": [1.0, 0.0],
        "valid_correct": [1.0],
        "f1_correct": [0.1],
    }
    assert without_outcomes(metrics) == {"accuracy": [0.5], "f1_correct": [0.1]}
