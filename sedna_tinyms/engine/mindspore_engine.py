"""MindSpore: a network that is in memory anyway, behind the same face as an ONNX file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mindspore
import numpy as np
from mindspore import Tensor, nn
from numpy.typing import NDArray

from sedna_tinyms.engine.choice import Choice
from sedna_tinyms.engine.cpu import usable_cores
from sedna_tinyms.engine.engine import Engine

__all__ = ["MindSporeEngine"]


class MindSporeEngine(Engine):
    """Runs a MindSpore network as it stands, in its training or prediction mode.

    Parameters
    ----------
    network : Cell
        Takes ``(N, *input_shape)`` float32 and gives one tensor, or a tuple of tensors.
    input_shape : sequence of int
        Shape of one sample, without the batch axis.
    outputs : mapping of str to sequence of int
        The network's outputs in order, with their shapes for one sample; -1 where unknown.
    metadata : mapping, optional
        What to say about the network.
    """

    name = "mindspore"
    samples_at_once = 16

    def __init__(
        self,
        network: nn.Cell,
        input_shape: Sequence[int],
        outputs: Mapping[str, Sequence[int]],
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        choice = Choice(self.name, "f32", usable_cores(), "it was handed a network")
        shapes = {name: tuple(shape) for name, shape in outputs.items()}
        super().__init__(
            choice, tuple(input_shape), np.dtype(np.float32), shapes, dict(metadata or {})
        )
        self._network = network

    def _compute(self, inputs: NDArray[Any]) -> list[NDArray[Any]]:
        # Every other shape would be compiled anew, so there are two: one sample, or a full batch.
        size = 1 if len(inputs) == 1 else self.samples_at_once
        padding = [(0, size - len(inputs))] + [(0, 0)] * (inputs.ndim - 1)
        outputs = self._network(Tensor(np.pad(inputs, padding)))
        tensors = [outputs] if isinstance(outputs, mindspore.Tensor) else outputs
        return [tensor.asnumpy()[: len(inputs)] for tensor in tensors]

    def close(self) -> None:
        """Let go of the network."""
        super().close()
        self._network = None
