"""Rows of numbers in a file that is written once and then only read.

A segment holds the activations of several pictures in one space, all of one shape and dtype::

    magic          8 bytes
    lengths        2 x uint32, little-endian: of the header; of digests and row checksums
    checksum       uint32, CRC-32 of header, digests and row checksums
    header         JSON: space, dtype, shape (of one row), rows (how many)
    digests        32 bytes a row, ascending
    row checksums  uint32, CRC-32, a row
    padding        up to a multiple of 64 bytes
    rows           one after another

What was cut short or changed on its way is told by the sizes and checksums. Only the part in front
of the rows is read when a segment is opened; a row is checked when it is asked for.
"""

from __future__ import annotations

import json
import math
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sedna_tinyms.artifact.files import write_file
from sedna_tinyms.artifact.json_text import parse_json

__all__ = [
    "DIGEST_BYTES",
    "KINDS",
    "BrokenSegmentError",
    "Segment",
    "fitting_rows",
    "segment_bytes",
    "write_segment",
]

MAGIC = b"STMSACT1"
PREFIX = struct.Struct("<8sIII")
ALIGNMENT = 64
DIGEST_BYTES = 32
CHECKSUM = np.dtype("<u4")
KINDS = "fiu"
"""Kinds of dtype that a row may have."""


class BrokenSegmentError(Exception):
    """A file is no segment of the space that it lies in, or a damaged one."""


class Segment:
    """A segment on disk, its rows mapped into memory.

    Parameters
    ----------
    path : Path
        The file.
    space : str
        What its rows must be: see `sedna_tinyms.learning.cache.space_name`.

    Attributes
    ----------
    digests : ndarray of 32 bytes, shape (N,)
        Ascending.
    dtype, shape
        Of one row.
    nbytes : int
        Size of the file.

    Raises
    ------
    BrokenSegmentError
        If it is not what `write_segment` wrote for this space.
    OSError
        If it cannot be read.
    """

    def __init__(self, path: Path, space: str) -> None:
        self.path = path
        with path.open("rb") as stream:
            self.nbytes = os.fstat(stream.fileno()).st_size
            if self.nbytes < PREFIX.size:
                raise BrokenSegmentError("it is cut short")
            magic, *lengths, checksum = PREFIX.unpack(stream.read(PREFIX.size))
            if magic != MAGIC or sum(lengths) > self.nbytes:
                raise BrokenSegmentError("it does not begin as a segment does")
            header, index = map(stream.read, lengths)
            if zlib.crc32(index, zlib.crc32(header)) != checksum:
                raise BrokenSegmentError("its checksum is wrong")
            count, self.dtype, self.shape = _parsed(header, space)
            if self.nbytes != segment_bytes(space, count, self.dtype, self.shape):
                raise BrokenSegmentError("its size is not that of its rows")
            start = _aligned(PREFIX.size + len(header) + len(index))
            self._rows: NDArray[np.uint8] = np.memmap(
                stream, np.uint8, "r", start, (count, _row_bytes(self.dtype, self.shape))
            )
        self.digests: NDArray[np.bytes_] = np.frombuffer(index, f"S{DIGEST_BYTES}", count)
        self._checksums = np.frombuffer(index, CHECKSUM, count, count * DIGEST_BYTES)
        self._lost = np.zeros(count, bool)

    def find(self, digests: NDArray[np.bytes_]) -> NDArray[np.int64]:
        """Return the row of each digest, -1 where it has none or a damaged one."""
        places = np.searchsorted(self.digests, digests)
        places[places == len(self.digests)] = 0
        absent = (self.digests[places] != digests) | self._lost[places]
        return np.where(absent, -1, places)

    def read(self, places: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[Any]]:
        """Copy rows, and say which of them are as they were written.

        Returns
        -------
        whole : ndarray of bool, shape (len(places),)
            False for a row that is damaged: `find` will not find it again.
        rows : ndarray, shape (len(places), *shape)
            Those at `places`, the damaged ones included.
        """
        if not self._has_its_size():  # the map has no pages behind the file's end
            self._lost[:] = True
            return np.zeros(len(places), bool), np.zeros((len(places), *self.shape), self.dtype)
        rows = self._rows[places]
        whole = np.array([zlib.crc32(row) for row in rows], CHECKSUM) == self._checksums[places]
        self._lost[places[~whole]] = True
        return whole, rows.view(self.dtype).reshape(len(places), *self.shape)

    def _has_its_size(self) -> bool:
        try:
            return self.path.stat().st_size == self.nbytes
        except OSError:  # deleted: what is mapped stays
            return True


def write_segment(path: Path, space: str, digests: NDArray[np.bytes_], rows: NDArray[Any]) -> None:
    """Write rows, and the digest of each, whole or not at all.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    order = np.argsort(digests)
    rows = np.ascontiguousarray(rows[order])
    as_bytes = rows.reshape(len(rows), -1).view(np.uint8)
    checksums = np.array([zlib.crc32(row) for row in as_bytes], CHECKSUM)
    header = _header(space, len(rows), rows.dtype, rows.shape[1:])
    index = digests[order].tobytes() + checksums.tobytes()
    checksum = zlib.crc32(index, zlib.crc32(header))
    front = PREFIX.pack(MAGIC, len(header), len(index), checksum) + header + index
    with write_file(path) as temporary, temporary.open("wb") as stream:
        stream.write(front.ljust(_aligned(len(front)), b"\0"))
        stream.write(as_bytes.data)


def segment_bytes(space: str, count: int, dtype: DTypeLike, shape: Sequence[int]) -> int:
    """Return the size of a segment with `count` rows."""
    header = _header(space, count, np.dtype(dtype), shape)
    front = PREFIX.size + len(header) + count * (DIGEST_BYTES + CHECKSUM.itemsize)
    return _aligned(front) + count * _row_bytes(np.dtype(dtype), shape)


def fitting_rows(most_bytes: int, space: str, dtype: DTypeLike, shape: Sequence[int]) -> int:
    """Return how many rows a segment may have that takes `most_bytes` at most."""
    front = PREFIX.size + len(_header(space, most_bytes, np.dtype(dtype), shape)) + ALIGNMENT
    row = DIGEST_BYTES + CHECKSUM.itemsize + _row_bytes(np.dtype(dtype), shape)
    return max(0, (most_bytes - front) // row)


def _header(space: str, count: int, dtype: np.dtype[Any], shape: Sequence[int]) -> bytes:
    return json.dumps(
        {"space": space, "dtype": dtype.str, "shape": list(shape), "rows": count}
    ).encode()


def _parsed(header: bytes, space: str) -> tuple[int, np.dtype[Any], tuple[int, ...]]:
    try:
        described = parse_json(header)
        found, count = described["space"], described["rows"]
        dtype, shape = np.dtype(described["dtype"]), tuple(described["shape"])
    except (ValueError, TypeError, KeyError, SyntaxError) as error:
        raise BrokenSegmentError(f"its header cannot be read: {error!r}") from error
    if found != space:
        raise BrokenSegmentError(f"its rows are of the space {found!r}")
    if dtype.kind not in KINDS or not all(type(n) is int and n > 0 for n in (count, *shape)):
        raise BrokenSegmentError(f"its header is {described}")
    return count, dtype, shape


def _row_bytes(dtype: np.dtype[Any], shape: Sequence[int]) -> int:
    return dtype.itemsize * math.prod(shape)


def _aligned(position: int) -> int:
    return -(-position // ALIGNMENT) * ALIGNMENT
