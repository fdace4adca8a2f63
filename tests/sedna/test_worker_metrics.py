import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedna_tinyms.errors import MetricsError
from sedna_tinyms.sedna.core.metrics import plain_metrics


class Tensor:
    def asnumpy(self):
        return np.float32(0.5)


@pytest.mark.parametrize(
    "value", [0.5, [0.5], (0.5,), np.float32(0.5), np.array([0.5]), np.array(0.5), Tensor()]
)
def test_every_form_of_a_number_becomes_a_list_of_plain_floats(value):
    metrics = plain_metrics({"accuracy": value}, source="evaluate")
    assert metrics == {"accuracy": [0.5]}
    assert type(metrics["accuracy"][0]) is float


@given(
    st.dictionaries(
        st.text(), st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1)
    )
)
def test_finite_lists_pass_unchanged_through_json(metrics):
    assert json.loads(json.dumps(plain_metrics(metrics, source="evaluate"))) == metrics


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (math.nan, "precision holds nan"),
        ([0.1, math.inf], "precision holds inf"),
        ([[0.1], [0.2]], "shape"),
        ([], "shape"),
        ("high", "not a number"),
        (None, "precision holds nan"),
        ([0.1, [0.2]], "not a number"),
    ],
)
def test_what_no_controller_can_compare_is_refused_by_name(value, said):
    with pytest.raises(MetricsError, match=said):
        plain_metrics({"accuracy": 1.0, "precision": value}, source="evaluate")


@pytest.mark.parametrize("result", [0.9, None, [("accuracy", 1)], (0.1, 0.2)])
def test_a_result_without_names_is_refused(result):
    with pytest.raises(MetricsError, match="must return metrics by name"):
        plain_metrics(result, source="evaluate")


def test_all_problems_are_said_together():
    with pytest.raises(MetricsError, match=r"(?s)loss holds nan.*recall holds inf"):
        plain_metrics({"loss": math.nan, "recall": math.inf}, source="train")
