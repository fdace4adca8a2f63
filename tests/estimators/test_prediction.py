import copy
import json

import numpy as np
import pytest

from estimators.prediction import Prediction


def test_a_prediction_is_a_flat_list_with_a_name_and_a_score():
    prediction = Prediction(np.log([0.2, 0.7, 0.1]), ["a", "b", "c"])
    assert isinstance(prediction, list)
    assert prediction == pytest.approx([0.2, 0.7, 0.1])
    assert (prediction.class_name, prediction.score) == ("b", pytest.approx(0.7))
    assert prediction.probabilities == list(prediction)
    assert all(type(value) is float for value in prediction)
    assert json.loads(json.dumps(prediction)) == prediction
    assert repr(prediction) == "<b 0.700 of 3 classes>"


def test_no_probability_is_zero_however_sure_the_network_is():
    prediction = Prediction([1000.0, -1000.0, 0.0], ["a", "b", "c"])
    assert min(prediction) > 0
    assert sum(prediction) == pytest.approx(1)


def test_a_copy_keeps_the_names():
    copied = copy.deepcopy(Prediction([1.0, 2.0], ["a", "b"]))
    assert copied.class_name == "b"


def test_the_hard_example_filters_take_it():
    from sedna_tinyms.sedna.algorithms.hard_example_mining import CrossEntropyFilter

    hard = CrossEntropyFilter(threshold_cross_entropy=0.5)
    assert hard(Prediction([0.1, 0.0, 0.0], ["a", "b", "c"])) is True
    assert hard(Prediction([50.0, 0.0, 0.0], ["a", "b", "c"])) is False
