"""A network in two parts: one that stays as it is, and one that is trained."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from mindspore import Tensor, nn, ops
from numpy.typing import NDArray

from sedna_tinyms.tinyms.model import MobileNetV2

__all__ = ["CUTS", "FrozenPart", "TrainedPart", "forward"]

CUTS = {"head": 19, "last_blocks": 14, "all": 0}
"""How many of the backbone's 19 cells stay as they are, by what is trained."""


class FrozenPart(nn.Cell):  # type: ignore[misc]
    """The first `cut` cells of a backbone; all of them, and the pooling, for a head alone.

    Its parameters are the network's own and keep their names.
    """

    def __init__(self, network: MobileNetV2, cut: int) -> None:
        super().__init__(auto_prefix=False)
        cells = list(network.backbone.backbone)[:cut]
        self.blocks = nn.CellList(cells, auto_prefix=False)
        self.pools = cut == CUTS["head"]
        self.mean = ops.ReduceMean(keep_dims=True)

    def construct(self, x: Tensor) -> Tensor:
        """Return activations (N, C, H, W), with H and W of 1 after the pooling."""
        for block in self.blocks:
            x = block(x)
        if self.pools:
            x = self.mean(x, (2, 3))
        return x


class TrainedPart(nn.Cell):  # type: ignore[misc]
    """The cells of a backbone from `cut` on, and the head: activations to logits."""

    def __init__(self, network: MobileNetV2, cut: int) -> None:
        super().__init__(auto_prefix=False)
        cells = list(network.backbone.backbone)[cut:]
        self.blocks = nn.CellList(cells, auto_prefix=False)
        self.head = network.head

    def construct(self, x: Tensor) -> Tensor:
        """Return logits (N, classes)."""
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def forward(
    network: nn.Cell,
    inputs: NDArray[np.generic],
    batch_size: int,
    prepare: Callable[[NDArray[np.generic]], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Run a network over any number of inputs, in batches of one shape.

    A single input goes alone. The last batch is padded, because every other shape would be
    compiled anew.

    Parameters
    ----------
    network : Cell
        It is switched to prediction.
    inputs : ndarray, shape (N, ...)
        At least one.
    batch_size : int
        Inputs in a batch.
    prepare : callable
        Makes what the network takes out of a few inputs.
    """
    network.set_train(False)
    size = 1 if len(inputs) == 1 else batch_size
    outputs = []
    for start in range(0, len(inputs), size):
        batch = prepare(inputs[start : start + size])
        padding = [(0, size - len(batch))] + [(0, 0)] * (batch.ndim - 1)
        output = network(Tensor(np.pad(batch, padding))).asnumpy()
        outputs.append(output[: len(batch)])
    return np.concatenate(outputs)
