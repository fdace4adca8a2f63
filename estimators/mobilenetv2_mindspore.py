"""MobileNetV2 on MindSpore itself: the network and a training step, nothing in between."""

from __future__ import annotations

import mindspore
from mindspore import Tensor, nn, ops

from estimators.mobilenetv2 import MobileNetV2Estimator
from sedna_tinyms.learning.batches import Batches

__all__ = ["MindSporeMobileNetV2"]


class MindSporeMobileNetV2(MobileNetV2Estimator):
    """`MobileNetV2Estimator` trained by a functional step, as MindSpore's tutorials do."""

    def _fit(
        self, trained: nn.Cell, loss: nn.Cell, optimizer: nn.Optimizer, batches: Batches
    ) -> list[float]:
        step = _Step(trained, loss, optimizer)
        step.set_train(True)
        return [
            float(step(Tensor(inputs), Tensor(targets)).asnumpy())
            for inputs, targets in (batches[number] for number in range(len(batches)))
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

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss."""
        return self.loss(self.network(inputs), targets)

    def construct(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Take the step; return the loss before it."""
        loss, gradients = self.gradient(inputs, targets)
        return ops.depend(loss, self.optimizer(gradients))
