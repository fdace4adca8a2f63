"""What a weights file holds, read by its bytes: without MindSpore, without `onnx`, without pickle.

Two formats are read, both protobuf: MindSpore's checkpoint (``.ckpt``, with its checksum where
there is one) and ONNX (``.onnx``). Arrays are views of the content wherever its numbers are stored
as such.
"""

from __future__ import annotations

import math
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.artifact.protobuf import fields, submessage
from sedna_tinyms.errors import ModelFileError

__all__ = [
    "ExternalWeightsError",
    "WeightsContent",
    "read_content",
    "require_finite",
    "require_whole",
    "tensors_of_graph",
]

CRC_MARK = b"crc_num"
CRC_TRAILER_SIZE = len(CRC_MARK) + 10
TEXT = "str"
"""MindSpore's element type of a text, which is UTF-32."""
CKPT_TYPES: dict[str, str] = {
    **{f"{sign}Int{bits}": f"<{kind}{bits // 8}" for sign, kind in (("", "i"), ("U", "u"))
       for bits in (8, 16, 32, 64)},
    **{f"Float{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
    **{"Bool": "?", "BFloat16": "bfloat16", "Complex64": "<c8", "Complex128": "<c16"},
}  # fmt: skip
ONNX_TYPES = {
    **{1: "<f4", 2: "u1", 3: "i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8", 9: "?", 10: "<f2"},
    **{11: "<f8", 12: "<u4", 13: "<u8", 14: "<c8", 15: "<c16", 16: "bfloat16"},
}
ONNX_LISTS = {4: ("<f4", (1, 14)), 10: ("<f8", (11, 15))}
"""TensorProto.float_data and double_data: what an entry is, and in which element types."""


class ExternalWeightsError(ValueError):
    """An ONNX model keeps weights in another file."""


class WeightsContent(NamedTuple):
    """What a weights file holds.

    Attributes
    ----------
    arrays : dict
        Parameters and constants by their name in the file; bfloat16 as float32.
    metadata : dict
        Texts stored with them, such as class names.
    """

    arrays: dict[str, NDArray[Any]]
    metadata: dict[str, str]


def read_content(content: bytes, name: str) -> WeightsContent:
    """Read the content of a weights file.

    Parameters
    ----------
    content : bytes
        The whole file.
    name : str
        Its name; the suffix says the format.

    Raises
    ------
    ModelFileError
        If the name ends neither in .ckpt nor in .onnx, or the content is not a whole file of it.
    """
    reader = _READERS.get(_suffix(name))
    if reader is None:
        raise ModelFileError(
            f"{name} is no weights file (*.ckpt, *.onnx)", code="unknown-format", path=name
        )
    with _damage_told(content, name):
        found = reader(memoryview(content))
    if not found.arrays:
        raise ModelFileError(
            f"{name} ({len(content)} bytes) holds no parameters", code="empty", path=name
        )
    return found


def require_whole(content: bytes, name: str) -> None:
    """Raise `ModelFileError` if a file is not all of what it begins as, or its name says.

    That is looser than `read_content`: other frameworks have files called ``*.ckpt`` too, and ONNX
    has element types, functions and weights elsewhere that are not read here. A file of another
    name is anything.
    """
    suffix = _suffix(name)
    if suffix in _READERS and not content:
        raise ModelFileError(f"{name} is empty (0 bytes)", code="empty", path=name)
    if suffix == ".ckpt" and _begins_as_checkpoint(memoryview(content)):
        read_content(content, name)
    elif suffix == ".onnx":
        with _damage_told(content, name):
            _walk_onnx(memoryview(content))


@contextmanager
def _damage_told(content: bytes, name: str) -> Iterator[None]:
    """Turn what a reader trips over into an error that names the file."""
    try:
        yield
    except (ValueError, IndexError, TypeError, OverflowError, RecursionError) as error:
        raise ModelFileError(
            f"{name} ({len(content)} bytes) is truncated, damaged or of another format: {error}",
            code="external-weights" if isinstance(error, ExternalWeightsError) else "damaged",
            path=name,
        ) from error


def _suffix(name: str) -> str:
    return name[name.rfind(".") :]


def require_finite(arrays: Mapping[str, NDArray[Any]], name: str) -> None:
    """Raise `ModelFileError` if one of the arrays of the file `name` holds NaN or infinity."""
    for parameter, array in arrays.items():
        if array.dtype.kind in "fc" and not np.isfinite(array).all():
            raise ModelFileError(
                f"{name} holds NaN or infinity in the parameter {parameter!r}: the training that "
                "wrote it diverged, or the file is damaged",
                code="not-finite",
                path=name,
                name=parameter,
            )


# --- MindSpore's checkpoints ------------------------------------------------------------------


def _read_checkpoint(content: memoryview) -> WeightsContent:
    entries: dict[str, tuple[str, tuple[int, ...]]] = {}
    pieces: dict[str, list[memoryview]] = defaultdict(list)
    for number, value in fields(_without_checksum(content)):
        if number != 1:  # Checkpoint.value
            raise ValueError(f"a checkpoint has no field {number}")
        name, (kind, shape, piece) = _checkpoint_entry(submessage(value))
        if entries.setdefault(name, (kind, shape)) != (kind, shape):
            raise ValueError(f"{name!r} is there twice, as different arrays")
        pieces[name].append(piece)  # large arrays come in several
    arrays, metadata = {}, {}
    for name, (kind, shape) in entries.items():
        data = pieces[name][0] if len(pieces[name]) == 1 else b"".join(pieces[name])
        if kind == TEXT:
            metadata[name] = bytes(data).decode("utf-32-le")
        elif kind in CKPT_TYPES:
            arrays[name] = _array(data, CKPT_TYPES[kind], shape, name)
        else:
            raise ValueError(f"{name!r} is of the unknown type {kind!r}")
    return WeightsContent(arrays, metadata)


def _begins_as_checkpoint(content: memoryview) -> bool:
    """Tell whether the first thing in a file is a parameter as MindSpore writes them."""
    try:
        number, entry = next(fields(content))
        _, (kind, _, _) = _checkpoint_entry(submessage(entry))
    except (ValueError, IndexError):
        return False
    return number == 1 and kind in (TEXT, *CKPT_TYPES)


def _without_checksum(content: memoryview) -> memoryview:
    start = len(content) - CRC_TRAILER_SIZE
    if start < 0 or content[start : start + len(CRC_MARK)] != CRC_MARK:
        return content
    expected = int.from_bytes(content[start + len(CRC_MARK) :], "big")
    if zlib.crc32(content[:start]) != expected:
        raise ValueError("its checksum is wrong")
    return content[:start]


def _checkpoint_entry(entry: memoryview) -> tuple[str, tuple[str, tuple[int, ...], memoryview]]:
    parts = dict(fields(entry))
    if set(parts) != {1, 2}:  # Value.tag, Value.tensor
        raise ValueError("an entry is not a name with an array")
    name = bytes(submessage(parts[1])).decode()
    shape, kind, data = [], "", memoryview(b"")
    for number, value in fields(submessage(parts[2])):
        if number == 1:  # TensorProto.dims
            shape.append(_number(value))
        elif number == 2:  # TensorProto.tensor_type
            kind = bytes(submessage(value)).decode()
        elif number == 3:  # TensorProto.tensor_content
            data = submessage(value)
    return name, (kind, tuple(shape), data)


# --- ONNX -------------------------------------------------------------------------------------


def _read_onnx(content: memoryview) -> WeightsContent:
    arrays: dict[str, NDArray[Any]] = {}
    metadata = {}
    for number, value in fields(content):
        if number == 14:  # ModelProto.metadata_props
            entry = {n: bytes(submessage(v)).decode() for n, v in fields(submessage(value))}
            metadata[entry.get(1, "")] = entry.get(2, "")
        elif number == 25:  # ModelProto.functions
            raise ValueError("it defines functions of its own, which no exporter here does")
        for tensor in tensors_of_graph(submessage(value)) if number == 7 else ():
            name, array = _onnx_array(tensor)
            arrays[name or f"constant {len(arrays)}"] = array
        for listed in _floats_of_graph(submessage(value)) if number == 7 else ():
            arrays[f"constant {len(arrays)}"] = listed
    return WeightsContent(arrays, metadata)


def _walk_onnx(content: memoryview) -> None:
    """Read every part of a model, down to the fields of its tensors, and understand none."""
    graphs = [submessage(value) for number, value in fields(content) if number == 7]
    if not graphs:
        raise ValueError("it has no graph")
    for graph in graphs:
        for tensor in tensors_of_graph(graph):
            list(fields(tensor))


def tensors_of_graph(graph: memoryview) -> Iterator[memoryview]:
    """Yield every TensorProto of an ONNX graph, whether weight or constant, at any depth."""
    for attribute in _attributes(graph):
        for number, value in fields(attribute):
            if number in (5, 10):  # AttributeProto.t, tensors
                yield submessage(value)
            elif number in (6, 11):  # AttributeProto.g, graphs
                yield from tensors_of_graph(submessage(value))
    for number, value in fields(graph):
        if number == 5:  # GraphProto.initializer
            yield submessage(value)
        elif number == 15:  # GraphProto.sparse_initializer
            yield from (submessage(part) for field, part in fields(submessage(value)) if field < 3)


def _floats_of_graph(graph: memoryview) -> Iterator[NDArray[np.float32]]:
    """Yield what attributes hold as floats: a Constant's ``value_floats`` is weights too."""
    for attribute in _attributes(graph):
        parts = list(fields(attribute))
        floats = b"".join(submessage(v) for number, v in parts if number in (2, 7))  # f, floats
        if floats:
            yield np.frombuffer(floats, "<f4")
        for number, value in parts:
            if number in (6, 11):  # AttributeProto.g, graphs
                yield from _floats_of_graph(submessage(value))


def _attributes(graph: memoryview) -> Iterator[memoryview]:
    for number, node in fields(graph):
        for field, attribute in fields(submessage(node)) if number == 1 else ():  # GraphProto.node
            if field == 5:  # NodeProto.attribute
                yield submessage(attribute)


def _onnx_array(tensor: memoryview) -> tuple[str, NDArray[Any]]:
    name, kind, shape, lists = "", 0, [], []
    data: memoryview | None = None
    for number, value in fields(tensor):
        if number == 1:  # TensorProto.dims, packed or not
            shape += [value] if isinstance(value, int) else list(_numbers(value))
        elif number == 2:  # TensorProto.data_type
            kind = _number(value)
        elif number == 8:  # TensorProto.name
            name = bytes(submessage(value)).decode()
        elif number == 9:  # TensorProto.raw_data
            data = submessage(value)
        elif number in (13, 14) and value:  # TensorProto.external_data, data_location
            raise ExternalWeightsError(f"it keeps the weights {name!r} in another file")
        elif number in (4, 5, 6, 7, 10, 11):  # TensorProto.float_data and the other lists
            lists.append((number, value))
    if data is not None:
        if kind not in ONNX_TYPES:
            raise ValueError(f"{name!r} is of the element type {kind}, which is not read here")
        return name, _array(data, ONNX_TYPES[kind], tuple(shape), name)
    return name, _onnx_list(kind, lists)


def _onnx_list(kind: int, lists: list[tuple[int, int | memoryview]]) -> NDArray[Any]:
    """Return the floats that a tensor lists; of integers, which are all finite, none."""
    for number, (dtype, kinds) in ONNX_LISTS.items():
        if kind in kinds:
            data = b"".join(submessage(value) for listed, value in lists if listed == number)
            return np.frombuffer(data, dtype)
    if kind not in (10, 16):
        return np.empty(0, np.int64)
    bits: list[int] = []  # 16-bit floats are listed in TensorProto.int32_data
    for listed, value in lists:
        if listed == 5:
            bits += [value] if isinstance(value, int) else _numbers(value)
    return _flat(np.array(bits, np.uint16).tobytes(), ONNX_TYPES[kind])


# --- both -------------------------------------------------------------------------------------

_READERS: dict[str, Callable[[memoryview], WeightsContent]] = {
    ".ckpt": _read_checkpoint,
    ".onnx": _read_onnx,
}


def _array(data: bytes | memoryview, dtype: str, shape: tuple[int, ...], name: str) -> NDArray[Any]:
    flat = _flat(data, dtype)
    if shape == (0,) and flat.size == 1:
        shape = ()  # how MindSpore writes a single number
    if math.prod(shape) != flat.size:
        raise ValueError(f"{name!r} of shape {shape} has {flat.size} numbers")
    return flat.reshape(shape)


def _flat(data: bytes | memoryview, dtype: str) -> NDArray[Any]:
    if dtype == "bfloat16":
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, dtype)


def _number(value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise ValueError("bytes stand where a number is due")
    return value


def _numbers(packed: memoryview) -> Iterator[int]:
    # A packed list is the values of a message without their keys: each gets one here.
    value = shift = 0
    for byte in packed:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield value
            value = shift = 0
