import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedna_tinyms.errors import ConfigurationError
from sedna_tinyms.sedna.algorithms.hard_example_mining import (
    CloudOnlyFilter,
    CrossEntropyFilter,
    EdgeOnlyFilter,
    IBTFilter,
    RandomFilter,
    ThresholdFilter,
)


def boxes(*scores):
    return [[0, 0, 1, 1, score, 7] for score in scores]


@pytest.mark.parametrize("make", [list, np.array, tuple])
def test_boxes_may_be_lists_and_arrays(make):
    assert ThresholdFilter(0.5)(make(boxes(0.2, 0.6)))
    assert not ThresholdFilter(0.5)(make(boxes(0.4, 0.8)))
    assert IBTFilter(0.5, 0.5)(make(boxes(0.2, 0.9)))
    assert not IBTFilter(0.4, 0.5)(make(boxes(0.2, 0.9)))


@pytest.mark.parametrize("make", [list, np.array, tuple])
def test_probabilities_may_be_lists_and_arrays(make):
    assert CrossEntropyFilter()(make([0.5, 0.5]))
    assert not CrossEntropyFilter()(make([0.99, 0.01]))


def test_a_certain_result_is_not_hard_though_it_holds_a_zero():
    assert not CrossEntropyFilter()([1.0, 0.0])


def test_a_single_class_leaves_no_doubt():
    assert not CrossEntropyFilter()([1.0])


@pytest.mark.parametrize("kind", [ThresholdFilter, IBTFilter, CrossEntropyFilter])
@pytest.mark.parametrize("nothing", [None, [], np.zeros((0, 6))])
def test_nothing_found_is_not_hard(kind, nothing):
    assert kind()(nothing) is False


@pytest.mark.parametrize("values", [[1.5, 0.1], [-0.1, 0.5], [math.nan, 0.5]])
def test_what_is_no_probability_is_not_hard(values):
    assert CrossEntropyFilter()(values) is False
    assert IBTFilter()(boxes(*values)) is False


def test_short_boxes_are_not_hard():
    assert ThresholdFilter()([[0, 0, 1, 1]]) is False
    assert IBTFilter()([[0, 0, 1, 1]]) is False


@pytest.mark.parametrize("kind", [ThresholdFilter, IBTFilter])
def test_probabilities_for_a_filter_of_boxes_are_an_error_that_names_the_right_filter(raises, kind):
    with raises(ConfigurationError, "wrong-shape"):
        kind()([0.3, 0.7])


def test_boxes_for_the_filter_of_probabilities_are_an_error(raises):
    with raises(ConfigurationError, "wrong-shape", name="CrossEntropy"):
        CrossEntropyFilter()(boxes(0.3))


def test_parameters_may_be_the_strings_of_a_job_yaml():
    assert RandomFilter(random_ratio="1.0")(None) is True
    assert RandomFilter(random_ratio="0")(None) is False
    assert ThresholdFilter(threshold="0.5", unknown="ignored")(boxes(0.4))
    assert IBTFilter("0.9", "0.9")(boxes(0.8, 0.95))
    assert CrossEntropyFilter("0.5")([0.5, 0.5])


def test_a_parameter_that_is_no_number_is_named(raises):
    with raises(ConfigurationError, "not-a-number", name="random_ratio", value="often"):
        RandomFilter(random_ratio="often")


def test_all_and_none():
    assert CloudOnlyFilter(any="thing")() is True
    assert EdgeOnlyFilter(any="thing")() is False


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.floats(0, 1))
def test_every_distribution_gets_an_answer(values, threshold):
    total = sum(values) or 1.0
    probabilities = [min(value / total, 1.0) for value in values]
    assert CrossEntropyFilter(threshold)(probabilities) in (True, False)
    assert not CrossEntropyFilter(0.0)([1.0] + [0.0] * len(values))
