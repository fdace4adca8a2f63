"""ONNX's messages, written without the `onnx` package, whose pure-Python protobuf takes its time.

Fields are known by their numbers in ``onnx.proto``, as they are where such files are read
(`sedna_tinyms.engine.onnx_file`); they stand in ascending order, as protobuf itself writes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.artifact.protobuf import Pieces, field

__all__ = ["FLOAT", "UINT8", "Node", "model", "tensor", "value_info"]

FLOAT, UINT8 = 1, 2
"""Element types."""
INT, INTS = 2, 7
"""Types of attributes."""

Attribute = int | Sequence[int]


class Node(NamedTuple):
    """An operator of a graph, named as what it gives."""

    operator: str
    inputs: Sequence[str]
    output: str
    attributes: Mapping[str, Attribute]

    def message(self) -> Pieces:
        """Return a NodeProto."""
        message: Pieces = []
        for name in self.inputs:
            message += field(1, name)
        message += field(2, self.output) + field(3, self.output) + field(4, self.operator)
        for name, value in sorted(self.attributes.items()):
            message += field(5, _attribute(name, value))
        return message


def _attribute(name: str, value: Attribute) -> Pieces:
    if isinstance(value, int):
        return field(1, name) + field(3, value) + field(20, INT)
    numbers = [piece for number in value for piece in field(8, number)]
    return field(1, name) + numbers + field(20, INTS)


def tensor(name: str, array: NDArray[np.float32]) -> Pieces:
    """Return a TensorProto, which holds its numbers until it is written."""
    shape = [piece for length in array.shape for piece in field(1, length)]
    numbers = np.ascontiguousarray(array, "<f4").reshape(-1).view(np.uint8).data
    return shape + field(2, FLOAT) + field(8, name) + field(9, numbers)


def value_info(name: str, element_type: int, shape: Sequence[str | int]) -> Pieces:
    """Return a ValueInfoProto; an axis of any length has a name."""
    axes: Pieces = []
    for length in shape:
        axes += field(1, field(2 if isinstance(length, str) else 1, length))
    return field(1, name) + field(2, field(1, field(1, element_type) + field(2, axes)))


def model(
    name: str,
    nodes: Sequence[Node],
    initializers: Sequence[Pieces],
    inputs: Sequence[Pieces],
    outputs: Sequence[Pieces],
    *,
    metadata: Mapping[str, str],
    ir_version: int,
    opset: int,
) -> bytes:
    """Return a ModelProto as a file holds it."""
    graph: Pieces = []
    for node in nodes:
        graph += field(1, node.message())
    graph += field(2, name)
    for number, messages in ((5, initializers), (11, inputs), (12, outputs)):
        for message in messages:
            graph += field(number, message)
    whole = field(1, ir_version) + field(2, "sedna-tinyms") + field(7, graph)
    whole += field(8, field(2, opset))
    for key, text in metadata.items():
        whole += field(14, field(1, key) + field(2, text))
    return b"".join(whole)
