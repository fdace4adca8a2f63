import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mindspore import Tensor

from sedna_tinyms.controller_metrics import plain_metrics
from sedna_tinyms.errors import MetricsError


@pytest.mark.parametrize(
    ("value", "floats"),
    [
        (1, [1.0]),
        (True, [1.0]),
        (np.float32(0.5), [0.5]),
        (np.int64(3), [3.0]),
        (np.array(0.25), [0.25]),
        (np.array([0.5, 1.0], np.float32), [0.5, 1.0]),
        ([np.float64(1), 2, Tensor(3.0)], [1.0, 2.0, 3.0]),
        ((0.5,), [0.5]),
        (Tensor(0.5), [0.5]),
        (Tensor([0.5, 0.75]), [0.5, 0.75]),
    ],
)
def test_numbers_in_any_form_become_lists_of_floats(value, floats):
    metrics = plain_metrics({"m": value}, source="Estimator.evaluate")
    assert metrics == {"m": floats}
    assert all(type(number) is float for number in metrics["m"])


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (math.nan, "not-finite"),
        ([0.5, math.inf], "not-finite"),
        (np.array([np.nan]), "not-finite"),
        (Tensor(float("inf")), "not-finite"),
        (np.ones((2, 2)), "wrong-shape"),
        ([[1.0], [2.0]], "not-a-number"),
        ("0.9", "not-a-number"),
        (None, "not-a-number"),
        ({"mean": 1.0}, "not-a-number"),
        ([], "empty"),
        (1 + 1j, "not-a-number"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_reason(raises, value, code):
    told = not isinstance(value, Tensor)  # whose text is MindSpore's
    with raises(MetricsError, code, golden=told, source="Estimator.evaluate") as raised:
        plain_metrics({"fine": 1.0, "m": value}, source="Estimator.evaluate")
    assert [each.fields["name"] for each in raised.value.problems] == ["m"]


numbers = st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None)
@given(st.dictionaries(st.text(), numbers | st.lists(numbers, min_size=1), max_size=5))
def test_what_is_accepted_survives_json_and_a_second_time(result):
    metrics = plain_metrics(result, source="x")
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    assert plain_metrics(metrics, source="x") == metrics


@pytest.mark.parametrize("result", [0.9, None, [("accuracy", 1)], (0.1, 0.2)])
def test_a_result_without_names_is_refused(raises, result):
    with raises(MetricsError, "wrong-type", source="evaluate"):
        plain_metrics(result, source="evaluate")


def test_all_problems_are_said_together(raises):
    with raises(MetricsError, "not-finite") as raised:
        plain_metrics({"loss": math.nan, "recall": math.inf}, source="train")
    assert [each.fields["name"] for each in raised.value.problems] == ["loss", "recall"]
