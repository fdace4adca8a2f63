"""An ONNX file's face - input, outputs, metadata, structure - read without the `onnx` package.

An edge device has an engine but not `onnx` (which would bring protobuf). The format is protobuf's:
a message is a run of (field number, value), and the few fields needed here are known by number
from ``onnx.proto``. Weights are skipped, not copied.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sedna_tinyms.artifact.protobuf import fields, submessage
from sedna_tinyms.artifact.weights_content import ExternalWeightsError, tensors_of_graph
from sedna_tinyms.errors import ForeignModelError, ModelFileError

__all__ = ["OnnxFile", "TensorInfo", "read_onnx"]

FREE = -1
"""An axis of any length."""

DTYPES: dict[int, np.dtype[Any]] = {1: np.dtype(np.float32), 2: np.dtype(np.uint8)}
"""ONNX's numbers of the element types that an input may have here."""


@dataclass(frozen=True)
class TensorInfo:
    """An input or output: its name, ONNX element type, and shape with the batch axis."""

    name: str
    element_type: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class OnnxFile:
    """A model that takes one array of samples.

    Attributes
    ----------
    content : bytes
        The file.
    source : str
        Where it came from, for messages.
    input : TensorInfo
        Its batch axis is free, its other axes are fixed.
    outputs : tuple of TensorInfo
        In the file's order.
    metadata : dict of str to str
        Its ``metadata_props``.
    structure : str
        SHA-256 of the graph and the shapes of its weights, not of their values: equal for all
        rounds of one network.
    """

    content: bytes
    source: str
    input: TensorInfo
    outputs: tuple[TensorInfo, ...]
    metadata: dict[str, str]
    structure: str

    @property
    def output_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each output for one sample."""
        return {output.name: output.shape[1:] for output in self.outputs}


def read_onnx(model: str | os.PathLike[str] | bytes) -> OnnxFile:
    """Read an ONNX file, or its content.

    Raises
    ------
    ModelFileError
        If it is missing or broken.
    ForeignModelError
        If it takes something else than one array of float32 or uint8 samples, any number at once.
    """
    if isinstance(model, bytes):
        content, source = model, f"the ONNX model in memory ({len(model)} bytes)"
    else:
        source = f"the model file {os.fspath(model)}"
        try:
            content = Path(model).read_bytes()
        except OSError as error:
            raise ModelFileError(
                f"{source} cannot be read: {error}",
                code="missing-file" if isinstance(error, FileNotFoundError) else "unreadable-file",
                path=model,
            ) from error
    try:
        _require_weights_inside(memoryview(content))
        inputs, outputs, metadata, structure = _parse(content)
    except (ValueError, IndexError, RecursionError) as error:
        raise ModelFileError(
            f"{source} is not a whole ONNX model ({error}): copy or export it again",
            code="external-weights" if isinstance(error, ExternalWeightsError) else "damaged",
            path=None if isinstance(model, bytes) else model,
        ) from error
    return OnnxFile(content, source, _only(inputs, source), outputs, metadata, structure)


def _only(inputs: tuple[TensorInfo, ...], source: str) -> TensorInfo:
    """Return the one input, if it is of the kind that an engine runs."""
    if len(inputs) != 1:
        names = ", ".join(tensor.name for tensor in inputs) or "none"
        raise ForeignModelError(
            f"{source} has the inputs {names}; an engine runs models with one",
            code="unsupported",
            value=[tensor.name for tensor in inputs],
        )
    tensor = inputs[0]
    if tensor.element_type not in DTYPES:
        raise ForeignModelError(
            f"{source} takes {tensor.name!r} of ONNX's element type {tensor.element_type}; "
            "an engine gives float32 (1) or uint8 (2)",
            code="wrong-type",
            name=tensor.name,
            value=tensor.element_type,
        )
    shape = tensor.shape
    if len(shape) < 2 or shape[0] != FREE or FREE in shape[1:]:
        shown = ", ".join("any" if size == FREE else str(size) for size in shape)
        raise ForeignModelError(
            f"{source} takes {tensor.name!r} of shape ({shown}); its first axis must be free (any "
            "number of samples) and the others fixed: export it again with a free batch axis",
            code="wrong-shape",
            name=tensor.name,
            value=shape,
        )
    return tensor


def _parse(
    content: bytes,
) -> tuple[tuple[TensorInfo, ...], tuple[TensorInfo, ...], dict[str, str], str]:
    metadata, graph = {}, None
    for number, value in fields(memoryview(content)):
        if number == 7:  # ModelProto.graph
            graph = submessage(value)
        elif number == 14:  # ModelProto.metadata_props
            entry = {n: bytes(submessage(v)).decode() for n, v in fields(submessage(value))}
            metadata[entry.get(1, "")] = entry.get(2, "")
    if graph is None:
        raise ValueError("it holds no graph")
    digest = hashlib.sha256()
    inputs, outputs, initializers = [], [], set()
    for number, value in fields(graph):
        if number == 1:  # GraphProto.node
            digest.update(submessage(value))
        elif number == 5:  # GraphProto.initializer
            name, shape = _initializer(submessage(value))
            initializers.add(name)
            digest.update(f"{name}{shape}".encode())
        elif number == 11:  # GraphProto.input
            inputs.append(_tensor_info(submessage(value)))
        elif number == 12:  # GraphProto.output
            outputs.append(_tensor_info(submessage(value)))
    # Before IR version 4, initializers were listed among the inputs.
    given = tuple(tensor for tensor in inputs if tensor.name not in initializers)
    digest.update(f"{given}{[tensor.name for tensor in outputs]}".encode())
    return given, tuple(outputs), metadata, digest.hexdigest()


def _require_weights_inside(model: memoryview) -> None:
    """Refuse weights in another file: a model from elsewhere could name any file to be read."""
    for number, value in fields(model):
        if number == 25:  # ModelProto.functions
            raise ValueError("it defines functions of its own, which no exporter here does")
        for tensor in tensors_of_graph(submessage(value)) if number == 7 else ():
            # TensorProto.external_data, and data_location unless it is 0
            if any(field in (13, 14) and what for field, what in fields(tensor)):
                raise ExternalWeightsError("it keeps weights in another file")


def _initializer(tensor: memoryview) -> tuple[str, list[str]]:
    """Return an initializer's name, and its element type and shape as written."""
    name, shape = "", []
    for number, value in fields(tensor):
        if number in (1, 2):  # TensorProto.dims, data_type
            shape.append(f"{number}:{value if isinstance(value, int) else bytes(value)!r}")
        elif number == 8:  # TensorProto.name
            name = bytes(submessage(value)).decode()
    return name, shape


def _tensor_info(info: memoryview) -> TensorInfo:
    name, element_type = "", 0
    shape: list[int] = []
    for number, value in fields(info):
        if number == 1:  # ValueInfoProto.name
            name = bytes(submessage(value)).decode()
        elif number == 2:  # ValueInfoProto.type
            for kind, tensor in fields(submessage(value)):
                if kind == 1:  # TypeProto.tensor_type
                    element_type, shape = _tensor_type(submessage(tensor))
    return TensorInfo(name, element_type, tuple(shape))


def _tensor_type(tensor: memoryview) -> tuple[int, list[int]]:
    element_type, shape = 0, []
    for number, value in fields(tensor):
        if number == 1 and isinstance(value, int):  # TypeProto.Tensor.elem_type
            element_type = value
        elif number == 2:  # TypeProto.Tensor.shape
            for _, axis in fields(submessage(value)):
                lengths = [v for n, v in fields(submessage(axis)) if n == 1 and isinstance(v, int)]
                shape.append(lengths[0] if lengths else FREE)
    return element_type, shape
