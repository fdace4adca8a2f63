"""Metrics of a classifier."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sedna_tinyms.errors import ConfigurationError, DatasetError

__all__ = ["classification_metrics"]


def classification_metrics(
    labels: ArrayLike, predictions: ArrayLike, class_count: int
) -> dict[str, list[float]]:
    """Compare predicted with true classes.

    Parameters
    ----------
    labels, predictions : array of int, shape (N,)
        True and predicted class of each sample, from 0 to ``class_count - 1``.
    class_count : int
        Number of classes.

    Returns
    -------
    dict
        `accuracy`, `precision_mean`, `recall_mean` and `f1_mean`: lists of one number;
        `precision`, `recall` and `f1`: one number a class. The keys and lengths are always the
        same, as Sedna's controller requires. A ratio without any case (nothing predicted as a
        class, say) is 0. The means are over the classes that occur, truly or as predictions.

    Raises
    ------
    DatasetError
        If there is no sample: nothing can be said then.
    ConfigurationError
        If the lengths differ, or a class lies outside of the range.
    """
    truth, found = np.asarray(labels, np.int64), np.asarray(predictions, np.int64)
    if truth.shape != found.shape or truth.ndim != 1:
        raise ConfigurationError(
            f"labels have the shape {truth.shape}, predictions {found.shape}; both must be (N,)",
            code="wrong-shape",
            value=found.shape,
            expected=truth.shape,
        )
    if not truth.size:
        raise DatasetError(
            "there is nothing to evaluate: the data has no labelled sample", code="empty"
        )
    for name, classes in (("labels", truth), ("predictions", found)):
        if classes.min() < 0 or classes.max() >= class_count:
            raise ConfigurationError(
                f"{name} go from {classes.min()} to {classes.max()}; "
                f"with {class_count} classes they go from 0 to {class_count - 1}",
                code="out-of-range",
                name=name,
                value=(int(classes.min()), int(classes.max())),
                expected=(0, class_count - 1),
            )
    right = np.bincount(truth[truth == found], minlength=class_count)
    occurring = np.bincount(truth, minlength=class_count)
    predicted = np.bincount(found, minlength=class_count)
    by_class = {
        "precision": right / np.maximum(predicted, 1),
        "recall": right / np.maximum(occurring, 1),
        "f1": 2 * right / np.maximum(occurring + predicted, 1),
    }
    present = (occurring + predicted) > 0
    metrics = {"accuracy": [float(np.mean(truth == found))]}
    metrics |= {name: values.tolist() for name, values in by_class.items()}
    metrics |= {
        f"{name}_mean": [float(values[present].mean())] for name, values in by_class.items()
    }
    return metrics
