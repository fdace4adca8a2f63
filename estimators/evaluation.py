"""How good a classifier is on labelled pictures: metrics of all, and what it says of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimators.model_card import ModelCard
from estimators.samples import read_samples
from sedna_tinyms.learning.activations import activations
from sedna_tinyms.learning.cache import DEFAULT_BUDGET, ActivationCache
from sedna_tinyms.learning.metrics import classification_metrics
from sedna_tinyms.outcomes import CONTRADICTION, CONTRADICTION_STEPS, NOT_LEARNED, OUTCOMES

__all__ = ["Answering", "evaluate"]


@dataclass(frozen=True)
class Answering:
    """A classifier that answers pixels, for the cache of answers.

    Attributes
    ----------
    cached_as : str
        Names all that an answer depends on besides the picture: weights, classes, engine.
    run : callable
        From pixels (N, 3, H, W), uint8, to logits (N, classes), float32.
    """

    cached_as: str
    run: Callable[[NDArray[np.uint8]], NDArray[Any]]


def evaluate(
    data: Any,
    answering: Answering,
    card: ModelCard,
    class_names: Sequence[str] | None,
    cache_bytes: int = DEFAULT_BUDGET,
) -> dict[str, list[float]]:
    """Measure a classifier on labelled pictures.

    What it answered before is looked up: an evaluation costs what is new in it. A picture is known
    by its content.

    Parameters
    ----------
    data : object
        Labelled pictures, as for `estimators.samples.read_samples`.
    answering : Answering
        The classifier.
    card : ModelCard
        What it is for.
    class_names : sequence of str or None
        The classes that there are. If None, those of the model and of the data: a picture of a
        class that the model does not know is a mistake of the model.
    cache_bytes : int
        Budget on disk for answers and activations together; 0 for no cache.

    Returns
    -------
    dict
        As `sedna_tinyms.learning.metrics.classification_metrics`; and for each sample ``correct``,
        1.0 or 0.0, and ``contradiction``: by how much the highest probability exceeds that of the
        label, in steps of 1/50, or -1.0 where the model has learned no sample of the class.

    Raises
    ------
    DatasetError
        If there is no sample, a label is unknown, or a picture cannot be read.
    """
    samples = read_samples(data, class_names or card.class_names, grow=class_names is None)
    cache = ActivationCache(budget_bytes=cache_bytes) if cache_bytes else None
    logits = activations(samples.pictures, answering, cache, card.input_size)
    found = logits.argmax(axis=1)
    metrics = classification_metrics(samples.labels, found, len(samples.class_names))
    return metrics | {
        OUTCOMES: (found == samples.labels).astype(float).tolist(),
        CONTRADICTION: _contradiction(logits, samples.labels, card).tolist(),
    }


def _contradiction(
    logits: NDArray[np.float32], labels: NDArray[np.int64], card: ModelCard
) -> NDArray[np.float64]:
    """Return how much the answers contradict the labels, where the classes were learned."""
    exponents = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    probabilities = exponents / exponents.sum(axis=1, keepdims=True)
    learned = np.array([card.has_learned(number) for number in range(int(labels.max()) + 1)])
    of_label = probabilities[np.arange(len(labels)), np.minimum(labels, logits.shape[1] - 1)]
    lead = np.round((probabilities.max(axis=1) - of_label) * CONTRADICTION_STEPS)
    return np.where(learned[labels], lead / CONTRADICTION_STEPS, NOT_LEARNED)
