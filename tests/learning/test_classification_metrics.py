from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sedna_tinyms.errors import ConfigurationError, DatasetError
from sedna_tinyms.learning.metrics import classification_metrics

pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40)


@settings(deadline=None)
@given(pairs)
@pytest.mark.skipif(find_spec("sklearn") is None, reason="scikit-learn is not installed")
def test_the_numbers_are_scikit_learn_s(samples):
    from sklearn import metrics as sklearn

    labels, predictions = map(list, zip(*samples, strict=True))
    ours = classification_metrics(labels, predictions, 5)
    options = {"zero_division": 0}
    by_class = sklearn.precision_recall_fscore_support(
        labels, predictions, labels=range(5), average=None, **options
    )
    means = sklearn.precision_recall_fscore_support(labels, predictions, average="macro", **options)
    assert ours["accuracy"] == pytest.approx([sklearn.accuracy_score(labels, predictions)])
    for name, values, mean in zip(("precision", "recall", "f1"), by_class, means, strict=False):
        assert ours[name] == pytest.approx(list(values))
        assert ours[f"{name}_mean"] == pytest.approx([mean])


@settings(deadline=None)
@given(pairs, pairs)
def test_keys_and_lengths_are_always_the_same(one, other):
    shapes = [
        {name: len(values) for name, values in metrics.items()}
        for metrics in (classification_metrics(*zip(*s, strict=True), 5) for s in (one, other))
    ]
    assert shapes[0] == shapes[1]


def test_a_worked_example():
    metrics = classification_metrics([0, 0, 0, 1], [0, 0, 1, 1], 3)
    assert metrics["accuracy"] == [0.75]
    assert metrics["precision"] == [1.0, 0.5, 0.0]
    assert metrics["recall"] == [2 / 3, 1.0, 0.0]
    assert metrics["precision_mean"] == [0.75]  # of the two classes that occur


def test_nothing_to_compare_is_an_error(raises):
    with raises(DatasetError, "empty"):
        classification_metrics([], [], 2)
    with raises(ConfigurationError, "out-of-range", name="predictions", value=(0, 2)):
        classification_metrics([0, 1], [0, 2], 2)
    with raises(ConfigurationError, "wrong-shape", value=(2,), expected=(2, 2)):
        classification_metrics(np.zeros((2, 2)), [0, 1], 2)
