"""Filters that find the pictures worth a label, beside the six of Sedna.

Each is called with the answer to one picture and says whether it is a hard example; `score` says
how hard. An answer holds the probabilities of the classes. `Energy` looks at its attribute
`logits`, `Novelty` at `embedding`, the features in front of the classifier.

``import sedna_tinyms`` makes them known to KubeEdge's library, so that a job's YAML may name them;
the embedded library knows them by itself. Parameters may be texts, which is what a YAML delivers.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_left, insort
from collections import deque
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.errors import ConfigurationError

__all__ = ["FILTERS", "Energy", "HardExampleFilter", "Margin", "Novelty", "register"]

Number: TypeAlias = float | str

CALIBRATED_AT = (16, 32, 64)
"""After so many pictures, `Novelty` looks at their distances, before all familiar ones are seen."""


class HardExampleFilter(ABC):
    """Base of the filters: hard is what scores higher than a threshold."""

    @abstractmethod
    def score(self, infer_result: Any) -> float:
        """Return how hard an answer is, the higher the harder; NaN if that cannot be said."""

    @abstractmethod
    def __call__(self, infer_result: Any = None) -> bool:
        """Tell whether the answer is that to a hard example."""


class Margin(HardExampleFilter):
    """Hard if the best class is hardly more probable than the second best.

    Parameters
    ----------
    threshold : number
        The smallest difference of the two probabilities that counts as sure, from 0 to 1.

    Notes
    -----
    Scheffer, Decomain and Wrobel, "Active Hidden Markov Models for Information Extraction" (2001).

    Examples
    --------
    >>> Margin(threshold="0.3")([0.5, 0.4, 0.1])
    True
    """

    def __init__(self, threshold: Number = 0.3, **_further: Any) -> None:
        self.threshold = _number(self, "threshold", threshold, 0.0, 1.0)

    def score(self, infer_result: Any) -> float:
        """Return one minus the margin."""
        probabilities = np.sort(_probabilities(self, infer_result))
        if not probabilities.size:
            return math.nan
        second = probabilities[-2] if probabilities.size > 1 else 0.0
        return float(1 - (probabilities[-1] - second))

    def __call__(self, infer_result: Any = None) -> bool:
        """Tell whether the two best classes are close."""
        return self.score(infer_result) > 1 - self.threshold


class _HighestShare(HardExampleFilter):
    """Hard is what scores among the highest of the latest answers.

    Such scores have no scale of their own, so they are compared with each other. In the long run
    the given share of the pictures is hard, whatever they show; when something new begins, many
    are at once.

    Parameters
    ----------
    share : number
        How many of the pictures somebody has time to label, as a share between 0 and 1.
    window : number
        With how many earlier answers a score is compared.
    """

    def __init__(self, share: Number, window: Number) -> None:
        self.share = _number(self, "share", share, 0.0, 1.0)
        size = int(_number(self, "window", window, 1.0, 1e6))
        self._latest: deque[float] = deque(maxlen=size)
        self._sorted: list[float] = []

    def __call__(self, infer_result: Any = None) -> bool:
        """Tell whether the answer is among the hardest."""
        score = self.score(infer_result)
        if not math.isfinite(score):
            return False
        higher = len(self._sorted) - bisect_left(self._sorted, score)
        hard = higher + 1 <= self.share * (len(self._sorted) + 1)
        if len(self._latest) == self._latest.maxlen:
            self._sorted.pop(bisect_left(self._sorted, self._latest[0]))
        self._latest.append(score)
        insort(self._sorted, score)
        return hard


class Energy(_HighestShare):
    """Hard if the logits are low: nothing that the model knows is in the picture.

    The score is ``-T logsumexp(logits / T)``. Probabilities cannot show it, because they are the
    same for logits that are all lower.

    Parameters
    ----------
    share : number
        How many of the pictures somebody has time to label, as a share between 0 and 1.
    temperature : number
        The temperature T.
    window : number
        With how many earlier answers a score is compared.

    Notes
    -----
    Liu et al., "Energy-based Out-of-distribution Detection" (NeurIPS 2020).
    """

    def __init__(
        self,
        share: Number = 0.1,
        temperature: Number = 1.0,
        window: Number = 500,
        **_further: Any,
    ) -> None:
        super().__init__(share, window)
        self.temperature = _number(self, "temperature", temperature, 1e-6, 1e6)

    def score(self, infer_result: Any) -> float:
        """Return the energy of the logits."""
        logits = _attribute(self, infer_result, "logits") / self.temperature
        highest = logits.max(initial=-math.inf)
        if not math.isfinite(highest):
            return math.nan
        return float(-self.temperature * (highest + np.log(np.exp(logits - highest).sum())))


class Novelty(HardExampleFilter):
    """Hard if the picture resembles neither what is familiar nor an earlier hard example.

    The score is the mean distance to the nearest of these, by the cosine of the embeddings. So the
    first pictures of a new kind are hard, and the later ones are not.

    Parameters
    ----------
    share : number
        How many of the familiar pictures may count as hard, as a share between 0 and 1.
    neighbours : number
        How many of the nearest to take the mean of.
    familiar : number
        How many of the first pictures show what is familiar.
    window : number
        How many pictures are remembered at most, the familiar ones and the latest hard ones.

    Notes
    -----
    Sun et al., "Out-of-Distribution Detection with Deep Nearest Neighbors" (ICML 2022). After an
    update of the whole network, embeddings are others: for a while, more pictures than usual are
    hard.
    """

    def __init__(
        self,
        share: Number = 0.1,
        neighbours: Number = 5,
        familiar: Number = 100,
        window: Number = 1000,
        **_further: Any,
    ) -> None:
        self.share = _number(self, "share", share, 0.0, 1.0)
        self.neighbours = int(_number(self, "neighbours", neighbours, 1.0, 1e6))
        self.familiar = int(_number(self, "familiar", familiar, 2.0, 1e6))
        self.window = int(_number(self, "window", window, self.familiar, 1e6))
        self.threshold = math.inf
        self._seen = np.empty((0, 0), np.float32)
        self._answers = 0

    def score(self, infer_result: Any) -> float:
        """Return the mean distance to the nearest pictures, from 0 to 2; NaN where none is."""
        direction = self._direction(infer_result)
        if not len(self._seen) or direction.shape != self._seen.shape[1:]:
            return math.nan
        return float(1 - self._nearest(self._seen @ direction))

    def __call__(self, infer_result: Any = None) -> bool:
        """Tell whether the picture is new, and remember it if it is hard or familiar."""
        hard = self.score(infer_result) > self.threshold  # never, if it is NaN
        direction = self._direction(infer_result)
        if not np.isfinite(direction).all():
            return False
        if direction.shape != self._seen.shape[1:]:  # the first, or the first of another model
            self._seen = np.empty((0, direction.size), np.float32)
            self._answers, self.threshold = 0, math.inf
        self._answers += 1
        if hard or self._answers <= self.familiar:
            self._remember(direction)
        return hard

    def _direction(self, infer_result: Any) -> NDArray[np.float32]:
        embedding = _attribute(self, infer_result, "embedding")
        return (embedding / (np.linalg.norm(embedding) or 1.0)).astype(np.float32)

    def _nearest(self, cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the mean of the highest cosines, along the last axis."""
        count = min(self.neighbours, cosines.shape[-1])
        highest = np.partition(cosines, -count, axis=-1)[..., -count:]
        return np.asarray(highest.mean(axis=-1))

    def _remember(self, direction: NDArray[np.float32]) -> None:
        if len(self._seen) == self.window:  # the oldest hard one goes
            self._seen = np.delete(self._seen, min(self.familiar, self.window - 1), axis=0)
        self._seen = np.concatenate([self._seen, direction[None]])
        if self._answers == self.familiar or (
            self._answers < self.familiar and self._answers in CALIBRATED_AT
        ):
            self._calibrate()

    def _calibrate(self) -> None:
        """Let the share of what is familiar lie beyond the threshold."""
        others = ~np.eye(len(self._seen), dtype=bool)
        cosines = (self._seen @ self._seen.T)[others].reshape(len(self._seen), -1)
        self.threshold = float(np.quantile(1 - self._nearest(cosines), 1 - self.share))


FILTERS: dict[str, type[HardExampleFilter]] = {
    "Margin": Margin,
    "Energy": Energy,
    "Novelty": Novelty,
}
"""The filters by the names that a job's YAML uses."""


def register(class_factory: Any) -> None:
    """Put the filters on the shelf of a worker library, KubeEdge's or the embedded one."""
    for name, kind in FILTERS.items():
        class_factory.register_cls(kind, "hard_example_mining", name)


def _number(
    of: HardExampleFilter, parameter: str, value: Number, least: float, most: float
) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not least <= number <= most:
        raise ConfigurationError(
            f"{parameter} of the hard-example filter {type(of).__name__} is {value!r}; it must be "
            f"a number from {least:g} to {most:g}",
            code="not-a-number" if math.isnan(number) else "out-of-range",
            name=parameter,
            value=value,
        )
    return number


def _probabilities(of: HardExampleFilter, infer_result: Any) -> NDArray[np.float64]:
    """Return the probabilities of an answer; none if they are no probabilities."""
    row = np.asarray([] if infer_result is None else infer_result, np.float64)
    if row.ndim != 1:
        raise ConfigurationError(
            f"{type(of).__name__} takes the class probabilities of one picture, a flat list; it "
            f"was given an array of shape {row.shape}",
            code="wrong-shape",
            value=row.shape,
        )
    return row if ((row >= 0) & (row <= 1)).all() else row[:0]


def _attribute(of: HardExampleFilter, infer_result: Any, name: str) -> NDArray[np.float64]:
    value = getattr(infer_result, name, None)
    if value is None:
        raise ConfigurationError(
            f"the hard-example filter {type(of).__name__} needs the {name} of an answer, and a "
            f"{type(infer_result).__name__} without them was given: let predict return an object "
            f"with an attribute {name!r}, as the estimators' Prediction, or use Margin or "
            "CrossEntropy, for which probabilities are enough",
            code="missing-value",
            name=name,
        )
    return np.asarray(value, np.float64).ravel()
