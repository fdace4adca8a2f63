"""A network in two parts: one that stays as it is, and one that is trained."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from mindspore import Tensor, nn, ops
from numpy.typing import NDArray

from sedna_tinyms.tinyms.model import MobileNetV2
from sedna_tinyms.tinyms.model.mobilenetv2_onnx import BACKBONE_CELLS
from sedna_tinyms.tinyms.model.parameters import set_value

__all__ = [
    "FrozenPart",
    "Outputs",
    "TrainedPart",
    "copy_weights",
    "forward",
    "frozen_statistics",
    "head_of",
    "set_head",
    "weights_digest",
]


class FrozenPart(nn.Cell):  # type: ignore[misc]
    """The first `cut` cells of a backbone; all of them, and the pooling, for a head alone.

    Its parameters are the network's own and keep their names.
    """

    def __init__(self, network: MobileNetV2, cut: int) -> None:
        super().__init__(auto_prefix=False)
        cells = list(network.backbone.backbone)[:cut]
        self.blocks = nn.CellList(cells, auto_prefix=False)
        self.pools = cut == BACKBONE_CELLS
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


class Outputs(nn.Cell):  # type: ignore[misc]
    """What a trained part gives, and the pooled features that it comes from."""

    def __init__(self, part: TrainedPart) -> None:
        super().__init__(auto_prefix=False)
        self.blocks = part.blocks
        self.head = part.head
        self.mean = ops.ReduceMean()
        self.join = ops.Concat(axis=1)
        self.classes = int(part.head.head[1].weight.shape[0])

    def construct(self, x: Tensor) -> Tensor:
        """Return logits and features side by side, (N, classes + D)."""
        for block in self.blocks:
            x = block(x)
        return self.join((self.head(x), self.mean(x, (2, 3))))

    def of(
        self,
        inputs: NDArray[np.generic],
        batch_size: int,
        prepare: Callable[[NDArray[np.generic]], NDArray[np.float32]],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return logits (N, classes) and features (N, D) of inputs, as `forward` does."""
        together = forward(self, inputs, batch_size, prepare)
        return together[:, : self.classes], together[:, self.classes :]


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


@contextmanager
def frozen_statistics(part: nn.Cell) -> Iterator[None]:
    """Let batch normalizations use their moving statistics in training too, and keep them."""
    normalizations = [
        (cell, cell.use_batch_statistics)
        for _, cell in part.cells_and_names()
        if isinstance(cell, nn.BatchNorm2d)
    ]
    for cell, _ in normalizations:
        cell.use_batch_statistics = False
    try:
        yield
    finally:
        for cell, before in normalizations:
            cell.use_batch_statistics = before


def head_of(network: MobileNetV2) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return copies of the classifier's weight (classes, features) and bias (classes,)."""
    dense = network.head.head[1]
    return dense.weight.asnumpy().copy(), dense.bias.asnumpy().copy()


def set_head(network: MobileNetV2, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
    """Replace the classifier's numbers by others of the same shape."""
    dense = network.head.head[1]
    set_value(dense.weight, weight)
    set_value(dense.bias, bias)


def copy_weights(source: MobileNetV2, target: MobileNetV2) -> None:
    """Bring a network's weights into one with as many classes or more.

    The rows of its head come first, bit by bit; those of further classes are 0.
    """
    wanted = {parameter.name: parameter for parameter in target.get_parameters()}
    for parameter in source.get_parameters():
        value, place = parameter.asnumpy(), wanted[parameter.name]
        if value.shape != tuple(place.shape):
            rows = np.zeros(tuple(place.shape), np.float32)
            rows[: len(value)] = value
            value = rows
        set_value(place, value)


def weights_digest(network: MobileNetV2, cut: int = BACKBONE_CELLS) -> str:
    """Return the SHA-256 of the first `cut` cells of the backbone."""
    digest = hashlib.sha256()
    for cell in list(network.backbone.backbone)[:cut]:
        for parameter in cell.get_parameters():
            digest.update(parameter.asnumpy().tobytes())
    return digest.hexdigest()
