import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mindspore import Tensor

from sedna_tinyms.backend.metrics import normalize_metrics
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
        ([], []),
    ],
)
def test_numbers_in_any_form_become_lists_of_floats(value, floats):
    metrics = normalize_metrics({"m": value}, "Estimator.evaluate")
    assert metrics == {"m": floats}
    assert all(type(number) is float for number in metrics["m"])


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (math.nan, "NaN"),
        ([0.5, math.inf], "infinity"),
        (np.array([np.nan]), "NaN"),
        (Tensor(float("inf")), "infinity"),
        (np.ones((2, 2)), "2 axes"),
        ([[1.0], [2.0]], "flat list of numbers"),
        ("0.9", "flat list of numbers"),
        (None, "flat list of numbers"),
        ({"mean": 1.0}, "flat list of numbers"),
        (1 + 1j, "flat list of numbers"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_reason(value, reason):
    with pytest.raises(MetricsError, match=rf"Estimator.evaluate returned.*\n.*'m' is.*{reason}"):
        normalize_metrics({"fine": 1.0, "m": value}, "Estimator.evaluate")


numbers = st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None)
@given(st.dictionaries(st.text(), numbers | st.lists(numbers), max_size=5))
def test_what_is_accepted_survives_json_and_a_second_time(result):
    metrics = normalize_metrics(result, "x")
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    assert normalize_metrics(metrics, "x") == metrics
