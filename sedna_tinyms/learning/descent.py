"""Gradient descent on the trained part of a network, as the strategies need it."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
from mindspore import Tensor, nn, ops
from numpy.typing import NDArray

from sedna_tinyms.learning.batches import Batches
from sedna_tinyms.learning.layers import frozen_statistics
from sedna_tinyms.learning.strategies.strategy import Lesson
from sedna_tinyms.tinyms.utils.train import mobilenetv2_lr

__all__ = ["CrossEntropy", "descend"]

SETTLED_STEPS = 60
LEAST_SETTLING_STEPS = 10
"""Moving statistics keep 0.9 of themselves a step: after 60 steps the first values are 0.2 %."""


class CrossEntropy(nn.Cell):  # type: ignore[misc]
    """Mean cross-entropy of logits with probabilities, both (N, classes)."""

    def __init__(self) -> None:
        super().__init__()
        self.log_softmax = nn.LogSoftmax(axis=1)
        self.sum = ops.ReduceSum()
        self.mean = ops.ReduceMean()

    def construct(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return a scalar."""
        return -self.mean(self.sum(targets * self.log_softmax(logits), 1))


def descend(
    lesson: Lesson,
    targets: NDArray[np.float32],
    *,
    most_steps: int | None = None,
    loss: nn.Cell | None = None,
    adaptive: bool = True,
    keep_statistics: bool = True,
) -> list[float]:
    """Train the lesson's part; return the mean loss of each epoch.

    Parameters
    ----------
    lesson : Lesson
        Its samples, and the part of the network that they are the input of.
    targets : ndarray, shape (N, ...)
        What the loss compares the logits with.
    most_steps : int, optional
        A bound on the steps, however many samples and epochs there are.
    loss : Cell, optional
        From (logits, targets) to a scalar; `CrossEntropy` by default.
    adaptive : bool
        Adam (Kingma & Ba, ICLR 2015), or gradient descent with momentum. With few steps, Adam comes
        much farther.
    keep_statistics : bool
        Whether batch normalizations go on using the moving statistics that they have. Otherwise
        they use each batch's own, and there are some more steps without a learning rate, in which
        the moving statistics settle on the new weights.
    """
    trained = lesson.part
    steps = lesson.epochs * -(-len(targets) // lesson.batch_size)
    steps = steps if most_steps is None else min(steps, most_steps)
    settling = 0 if keep_statistics else max(LEAST_SETTLING_STEPS, SETTLED_STEPS - steps)
    items = lesson.items
    batches = Batches(
        [items, items[..., ::-1]] if lesson.flip else [items],
        targets,
        lesson.domains,
        batch_size=lesson.batch_size,
        steps=steps + settling,
        seed=lesson.seed,
        prepare=lesson.prepare,
    )
    peak = lesson.learning_rate
    rates = mobilenetv2_lr(0, peak / 10, 0.0, peak, 0.1, 1, steps).asnumpy()
    rates = np.concatenate([rates, np.zeros(settling, np.float32)])
    with frozen_statistics(trained) if keep_statistics else nullcontext():
        trained.set_train(True)
        weights = trained.trainable_params()
        optimizer = (
            nn.Adam(weights, Tensor(rates))
            if adaptive
            else nn.Momentum(weights, Tensor(rates), 0.9, lesson.weight_decay)
        )
        losses = lesson.fit(trained, loss or CrossEntropy(), optimizer, batches)
        trained.set_train(False)
    epochs = np.array_split(np.array(losses[:steps], np.float64), min(lesson.epochs, steps))
    return [float(epoch.mean()) for epoch in epochs]
