"""What a strategy is given, and what it has to do with it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeAlias

import numpy as np
from mindspore import nn
from numpy.typing import NDArray

from sedna_tinyms.learning.batches import Batches
from sedna_tinyms.learning.layers import Outputs, TrainedPart
from sedna_tinyms.tinyms.model import MobileNetV2

__all__ = ["Fit", "Lesson", "Strategy"]

Fit: TypeAlias = Callable[[nn.Cell, nn.Cell, nn.Optimizer, Batches], list[float]]
"""Takes one step a batch: (network, loss, optimizer, batches) to losses."""


@dataclass(frozen=True)
class Lesson:
    """All that there is to learn from in a round.

    Attributes
    ----------
    network : MobileNetV2
        Knows what the earlier rounds taught, and has an output for every class; it is changed.
    part : TrainedPart
        What of it lies behind the strategy's cut.
    outputs : Outputs
        The same, to be asked rather than trained.
    items : ndarray, shape (N, ...)
        Remembered samples and then the new ones: activations in front of the strategy's cut, or
        pixels where that is 0.
    labels : ndarray of int64, shape (N,)
        Their classes.
    domains : sequence of str, length N
        The round, or whatever its samples have in common, that each is from.
    new : int
        How many of the last samples are new.
    seen : int
        How many samples earlier rounds offered to the memory.
    known_classes : int
        How many of the first classes the network was taught before; 0 if it was taught nothing.
    prepare : callable
        Makes what the trained part takes out of a few items.
    fit : callable
        Descends.
    epochs, batch_size, seed : int
        See `estimators.mobilenetv2.MobileNetV2Estimator`, as for the following.
    learning_rate, label_smoothing, weight_decay : float
    flip : bool
    """

    network: MobileNetV2
    part: TrainedPart
    outputs: Outputs
    items: NDArray[Any]
    labels: NDArray[np.int64]
    domains: Sequence[str]
    new: int
    seen: int
    known_classes: int
    prepare: Callable[[NDArray[Any]], NDArray[np.float32]]
    fit: Fit
    epochs: int
    batch_size: int
    seed: int
    learning_rate: float
    label_smoothing: float
    weight_decay: float
    flip: bool

    @property
    def class_count(self) -> int:
        """Outputs of the network."""
        return int(self.network.head.head[1].weight.shape[0])

    @property
    def thinness(self) -> float:
        """Share of the earlier rounds' samples that is not remembered; all of them, if unknown."""
        remembered = len(self.items) - self.new
        return max(0.0, 1 - remembered / self.seen) if self.seen else 1.0

    def remembering_at_most(self, most: int) -> Lesson:
        """Return a lesson with no more remembered samples, so that its cost has a bound.

        Those that stay are drawn at random; the lesson is as thin as if no others were remembered.
        """
        remembered = len(self.items) - self.new
        if remembered <= most:
            return self
        drawn = np.random.default_rng(self.seed).choice(remembered, most, replace=False)
        chosen = np.concatenate([np.sort(drawn), np.arange(remembered, len(self.items))])
        return replace(
            self,
            items=self.items[chosen],
            labels=self.labels[chosen],
            domains=[self.domains[index] for index in chosen],
        )

    def answers(self, items: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what the network says now: logits (N, classes) and pooled features (N, D)."""
        return self.outputs.of(items, self.batch_size, self.prepare)

    def targets(self) -> NDArray[np.float32]:
        """Return the labels as probabilities, smoothed, of shape (N, classes)."""
        sure = np.eye(self.class_count, dtype=np.float32)[self.labels]
        return sure * (1 - self.label_smoothing) + np.float32(
            self.label_smoothing / self.class_count
        )


class Strategy(ABC):
    """A way to teach a network something new without its forgetting the old.

    Attributes
    ----------
    cut : int
        How many cells of the backbone it never changes: it learns from what they give.
    learning_rate : float
        The highest, unless another is set.
    replays : bool
        Whether it wants samples of earlier rounds; otherwise none is stored.
    """

    cut: ClassVar[int]
    learning_rate: ClassVar[float] = 1e-3
    replays: ClassVar[bool] = True

    @abstractmethod
    def learn(self, lesson: Lesson) -> list[float]:
        """Change the lesson's network; return the loss as it went, of epochs or iterations."""

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what the next round needs besides the network and the samples."""
        return {}

    def resume(self, state: dict[str, NDArray[Any]]) -> None:  # noqa: B027
        """Take over what `state` of the round before returned."""
