"""The few lines of protobuf that model files need: reading, without a schema or the package.

A message is a run of (field number, value), each of which is a number or a piece of bytes: a text,
an array, or a message again. Nothing is copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

__all__ = ["Field", "fields", "submessage"]

Field: TypeAlias = tuple[int, "int | memoryview"]


def fields(message: memoryview) -> Iterator[Field]:
    """Yield the fields of a message: numbers as int, anything else as bytes.

    Raises
    ------
    ValueError, IndexError
        If the message is not whole.
    """
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        wire_type = key & 7
        if wire_type == 0:
            value, position = _varint(message, position)
            yield key >> 3, value
            continue
        if wire_type == 2:
            length, position = _varint(message, position)
        elif wire_type in (1, 5):
            length = 8 if wire_type == 1 else 4
        else:
            raise ValueError(f"there is no wire type {wire_type}")
        if position + length > len(message):
            raise ValueError(f"it ends {position + length - len(message)} bytes early")
        yield key >> 3, message[position : position + length]
        position += length


def submessage(value: int | memoryview) -> memoryview:
    """Return a field's value that must not be a number; `ValueError` if it is."""
    if isinstance(value, int):
        raise ValueError("a number stands where a message is due")
    return value


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Read a base-128 number; return it and the position behind it."""
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("a number is longer than 64 bits")
