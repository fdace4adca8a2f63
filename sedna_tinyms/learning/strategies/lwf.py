"""`lwf`: learning without forgetting, for those who may not store samples."""

from __future__ import annotations

import numpy as np
from mindspore import Tensor, nn
from numpy.typing import NDArray

from sedna_tinyms.learning.descent import CrossEntropy, descend
from sedna_tinyms.learning.layers import forward
from sedna_tinyms.learning.strategies.strategy import Lesson, Strategy

__all__ = ["LwF"]

CUT = 15
TEMPERATURE = 2.0
WEIGHT = 1.0


class LwF(Strategy):
    """Train the last blocks on new samples, held to what the previous network said of them.

    Distillation on the new data alone (Li & Hoiem, "Learning without forgetting", ECCV 2016): the
    loss is the cross-entropy with the labels plus that between both networks' softened
    probabilities of the classes known before. Nothing of a sample is stored.
    """

    cut = CUT
    replays = False

    def learn(self, lesson: Lesson) -> list[float]:
        """See `Strategy.learn`; one loss an epoch."""
        known = lesson.known_classes
        if not known:
            return descend(lesson, lesson.targets())
        teacher = forward(lesson.part, lesson.items, lesson.batch_size, lesson.prepare)
        targets = np.concatenate([lesson.targets(), _softened(teacher[:, :known])], axis=1)
        loss = _Distillation(lesson.class_count, known)
        return descend(lesson, targets, loss=loss)


class _Distillation(nn.Cell):  # type: ignore[misc]
    """Cross-entropy with the labels, and with the teacher's softened probabilities behind them."""

    def __init__(self, class_count: int, known: int) -> None:
        super().__init__()
        self.class_count = class_count
        self.known = known
        self.cross_entropy = CrossEntropy()

    def construct(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return a scalar."""
        labels, taught = targets[:, : self.class_count], targets[:, self.class_count :]
        # The square keeps the gradients' size, whatever the temperature (Hinton et al. 2015).
        kept = self.cross_entropy(logits[:, : self.known] / TEMPERATURE, taught)
        return self.cross_entropy(logits, labels) + WEIGHT * TEMPERATURE**2 * kept


def _softened(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp((logits - logits.max(axis=1, keepdims=True)) / TEMPERATURE)
    probabilities: NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
    return probabilities
