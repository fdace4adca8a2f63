"""MobileNetV2 on MindSpore itself: the network and a training step, nothing in between."""

from __future__ import annotations

import mindspore
import numpy as np
from mindspore import Tensor, nn, ops
from numpy.typing import NDArray

from estimators.batches import Batches
from estimators.mobilenetv2 import MobileNetV2Estimator

__all__ = ["MindSporeMobileNetV2"]


class MindSporeMobileNetV2(MobileNetV2Estimator):
    """`MobileNetV2Estimator` trained by a functional step, as MindSpore's tutorials do."""

    def _fit(self, trained: nn.Cell, batches: Batches, rates: NDArray[np.float32]) -> list[float]:
        loss = nn.CrossEntropyLoss(label_smoothing=self.settings.label_smoothing)
        optimizer = nn.Momentum(
            trained.trainable_params(), Tensor(rates), 0.9, self.settings.weight_decay
        )
        step = _Step(trained, loss, optimizer)
        step.set_train(True)
        return [
            float(step(Tensor(inputs), Tensor(labels)).asnumpy())
            for inputs, labels in (batches[number] for number in range(len(batches)))
        ]


class _Step(nn.Cell):  # type: ignore[misc]
    """One step of gradient descent.

    It is a cell, not a function under `mindspore.jit`: on a CPU with MindSpore 2.10 the same step
    took 10 to 25 times as long as a jit function.
    """

    def __init__(self, network: nn.Cell, loss: nn.Cell, optimizer: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.loss = loss
        self.optimizer = optimizer
        self.gradient = mindspore.value_and_grad(self.forward, None, optimizer.parameters)

    def forward(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Return the loss."""
        return self.loss(self.network(inputs), labels)

    def construct(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Take the step; return the loss before it."""
        loss, gradients = self.gradient(inputs, labels)
        return ops.depend(loss, self.optimizer(gradients))
