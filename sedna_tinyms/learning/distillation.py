"""Distillation: a network in training is held to what it said before.

The temperature softens both sides, and its square keeps the gradients' size (Hinton, Vinyals &
Dean, "Distilling the knowledge in a neural network", 2015).
"""

from __future__ import annotations

import numpy as np
from mindspore import Tensor, nn, ops
from numpy.typing import NDArray

from sedna_tinyms.learning.descent import CrossEntropy

__all__ = ["Distillation", "taught_targets"]

TEMPERATURE = 2.0


class Distillation(nn.Cell):  # type: ignore[misc]
    """Cross-entropy with the labels, and with the teacher's softened probabilities.

    Parameters
    ----------
    class_count : int
        Outputs of the network.
    known : int
        How many of the first of them the teacher knows.
    """

    def __init__(self, class_count: int, known: int) -> None:
        super().__init__()
        self.class_count = class_count
        self.known = known
        self.cross_entropy = CrossEntropy()
        self.log_softmax = nn.LogSoftmax(axis=1)
        self.sum = ops.ReduceSum()
        self.mean = ops.ReduceMean()

    def construct(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return a scalar; `targets` come from `taught_targets`."""
        labels, taught = targets[:, : self.class_count], targets[:, self.class_count :]
        softened = self.log_softmax(logits[:, : self.known] / TEMPERATURE)
        kept = -self.mean(self.sum(taught * softened, 1))
        return self.cross_entropy(logits, labels) + TEMPERATURE**2 * kept


def taught_targets(
    labels: NDArray[np.float32], teacher: NDArray[np.float32], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Join labels as probabilities (N, classes) with a teacher's logits (N, known).

    Parameters
    ----------
    labels, teacher : ndarray
        As said.
    weights : ndarray, shape (N,)
        How much the teacher counts for each sample, against 1 for its label.
    """
    powers = np.exp((teacher - teacher.max(axis=1, keepdims=True)) / TEMPERATURE)
    taught = weights[:, None] * powers / powers.sum(axis=1, keepdims=True)
    targets: NDArray[np.float32] = np.concatenate([labels, taught], axis=1).astype(np.float32)
    return targets
