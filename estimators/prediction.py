"""What a classifier says about one picture."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Prediction", "version_of"]

SMALLEST = 1e-7
DIGITS_OF_A_VERSION = 12


class Prediction(list[float]):
    """The probability of each class, as the plain list that Sedna's hard-example filters take.

    No probability is 0, because the CrossEntropy filter takes their logarithms.

    Parameters
    ----------
    logits : array of float, shape (classes,)
        A network's output.
    class_names : sequence of str
        Names in the same order.
    embedding : array of float, optional
        The features that the logits were computed from.
    version : str, optional
        Which model gave it: see `version_of`.

    Attributes
    ----------
    class_names : tuple of str
        As given.
    logits : ndarray of float32
        As given.
    embedding : ndarray of float32 or None
        As given.
    version : str or None
        As given.
    """

    def __init__(
        self,
        logits: ArrayLike,
        class_names: Sequence[str],
        embedding: ArrayLike | None = None,
        version: str | None = None,
    ) -> None:
        row = np.asarray(logits, np.float64)
        exponentials = np.exp(row - row.max())
        probabilities = np.maximum(exponentials / exponentials.sum(), SMALLEST)
        super().__init__((probabilities / probabilities.sum()).tolist())
        self.class_names = tuple(class_names)
        self.logits: NDArray[np.float32] = np.asarray(logits, np.float32)
        self.embedding: NDArray[np.float32] | None = (
            None if embedding is None else np.asarray(embedding, np.float32)
        )
        self.version = version

    @property
    def probabilities(self) -> list[float]:
        """The same numbers as a list and nothing more."""
        return list(self)

    @property
    def score(self) -> float:
        """The highest probability."""
        return max(self)

    @property
    def class_name(self) -> str:
        """The class with the highest probability."""
        return self.class_names[self.index(self.score)]

    def __repr__(self) -> str:
        return f"<{self.class_name} {self.score:.3f} of {len(self)} classes>"


def version_of(content: bytes) -> str:
    """Return what tells a model file from others: the first 12 digits of its SHA-256."""
    return hashlib.sha256(content).hexdigest()[:DIGITS_OF_A_VERSION]
