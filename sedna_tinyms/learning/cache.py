"""Activations that were computed once, on disk, so that a round computes only what is new.

A row is found by its space and its picture's digest. The space says what was computed: with which
weights, from which pixels, up to which layer; other weights are another space, and their rows are
not found. Rows lie in segments (see `sedna_tinyms.learning.segments`), one a call of `write`, which
are never changed: reading needs no lock, and writers, of which there is one at a time, put whole
files in place. Small segments are merged; the least recently used ones make room for new ones.

A cache never fails a training: what is damaged is left out and computed again, and where nothing
can be written nothing is cached; either is logged, once.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import secrets
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sedna_tinyms.artifact.lock import exclusively
from sedna_tinyms.errors import ConfigurationError, StorageError
from sedna_tinyms.learning.segments import (
    DIGEST_BYTES,
    KINDS,
    BrokenSegmentError,
    Segment,
    fitting_rows,
    segment_bytes,
    write_segment,
)

__all__ = ["CACHE_DIRECTORY", "DEFAULT_BUDGET", "ActivationCache", "space_name"]

logger = logging.getLogger(__name__)

CACHE_DIRECTORY = "SEDNA_TINYMS_ACTIVATIONS"
"""Where activations are kept; ``~/.cache/sedna-tinyms/activations`` by default."""
DEFAULT_BUDGET = 2 << 30
"""Bytes on disk: 800,000 pooled features, or 130,000 activations of 7 x 7 x 160, in float16."""

SEGMENT_BYTES = 64 << 20
"""Most bytes of a segment, which is what is dropped at a time to make room."""
MOST_SMALL_SEGMENTS = 64
"""More of them than this are merged into one."""
SUFFIX = ".rows"
SPACE = re.compile(r"\w[\w.-]{0,199}", re.ASCII)


def space_name(
    *, transform: str, weights_digest: str, cut: object, dtype: DTypeLike = np.float16
) -> str:
    """Name what activations depend on besides the picture.

    Parameters
    ----------
    transform : str
        How a picture becomes pixels and these become the network's input: size, crop, mirrored or
        not, mean and deviation.
    weights_digest : str
        Digest of the frozen part's weights.
    cut : str or int
        The layer whose input is cached.
    dtype : dtype
        Of the activations.

    Returns
    -------
    str
        Of letters, digits, ``.``, ``_`` and ``-``; other arguments give another name.
    """
    kind = np.dtype(dtype).name
    what = json.dumps([transform, weights_digest, str(cut), kind]).encode()
    readable = re.sub(r"\W+", "_", str(cut), flags=re.ASCII)[:40]
    return f"cut_{readable}-{kind}-{hashlib.sha256(what).hexdigest()[:32]}"


class ActivationCache:
    """Rows of numbers on disk, by space and digest, for any number of processes at once.

    Threads of one process take an instance each.

    Parameters
    ----------
    directory : path, optional
        Where they are kept; `CACHE_DIRECTORY` from the environment, or a directory of the user's
        cache, by default. It is made when it is needed.
    budget_bytes : int
        Most bytes that all segments of the directory may take on disk; 0 caches nothing.

    Raises
    ------
    ConfigurationError
        If the budget is negative.

    Examples
    --------
    >>> import tempfile
    >>> cache = ActivationCache(tempfile.mkdtemp(), budget_bytes=10_000)
    >>> cache.write("space", ["aa" * 32], np.ones((1, 3), np.float16))
    >>> cache.read("space", ["aa" * 32, "bb" * 32])
    (array([ True, False]), array([[1., 1., 1.]], dtype=float16))
    """

    def __init__(
        self, directory: str | os.PathLike[str] | None = None, budget_bytes: int = DEFAULT_BUDGET
    ) -> None:
        if isinstance(budget_bytes, bool) or not isinstance(budget_bytes, int) or budget_bytes < 0:
            raise ConfigurationError(
                f"the budget of the activation cache is {budget_bytes!r}; it must be a whole "
                "number of bytes, 0 for no cache",
                code="out-of-range",
                name="budget_bytes",
                value=budget_bytes,
            )
        self.directory = _default_directory() if directory is None else Path(directory)
        self.budget_bytes = budget_bytes
        self._open: dict[Path, Segment] = {}
        self._warned: set[object] = set()

    @property
    def nbytes(self) -> int:
        """Bytes that the segments take on disk."""
        return sum(size for _, size, _ in self._on_disk())

    def read(self, space: str, digests: Sequence[str]) -> tuple[NDArray[np.bool_], NDArray[Any]]:
        """Return what is known of some pictures.

        Parameters
        ----------
        space : str
            See `space_name`.
        digests : sequence of str, length N
            SHA-256 of each picture, as 64 hexadecimal digits.

        Returns
        -------
        found : ndarray of bool, shape (N,)
            Which have a row.
        rows : ndarray, shape (found.sum(), ...)
            Their rows, in the order of `digests`; of shape (0,) if there is none.
        """
        keys = _keys(digests)
        found = np.zeros(len(keys), bool)
        rows: NDArray[Any] | None = None
        for segment in self._segments(_checked(space)):
            places = segment.find(keys)
            wanted = np.flatnonzero((places >= 0) & ~found)
            if not len(wanted):
                continue
            if rows is None:
                rows = np.empty((len(keys), *segment.shape), segment.dtype)
            if (rows.shape[1:], rows.dtype) != (segment.shape, segment.dtype):
                self._warn(segment.path, f"{segment.path} has rows of another shape: left out")
                continue
            whole, values = segment.read(places[wanted])
            if not whole.all():
                self._warn(segment.path, f"{segment.path} is damaged: its rows are computed again")
            rows[wanted[whole]] = values[whole]
            found[wanted[whole]] = True
            now = time.time_ns()  # the kernel's own stamp may lag milliseconds behind
            with suppress(OSError):
                os.utime(segment.path, ns=(now, now))
            if found.all():
                break
        if rows is None:
            return found, np.empty(0, np.float32)
        return found, rows if found.all() else rows[found]

    def write(self, space: str, digests: Sequence[str], rows: NDArray[Any]) -> None:
        """Keep rows, as far as the budget allows and they are not kept already.

        Parameters
        ----------
        space, digests
            As for `read`.
        rows : ndarray of numbers, shape (N, ...)
            The row of each; of one shape and dtype for the whole space.

        Raises
        ------
        ConfigurationError
            If the lengths differ, a digest is none, or the rows hold no numbers.
        """
        keys = _keys(digests)
        rows = np.asarray(rows)
        if len(keys) != len(rows):
            raise ConfigurationError(
                f"there are {len(rows)} rows but {len(keys)} digests",
                code="wrong-length",
                name="digests",
                value=len(keys),
                expected=len(rows),
            )
        if rows.dtype.kind not in KINDS:
            raise ConfigurationError(
                f"rows of {rows.dtype} cannot be cached; they must be numbers",
                code="wrong-type",
                name="rows",
                value=str(rows.dtype),
            )
        if not len(keys) or not self.budget_bytes:
            return
        keys, first = np.unique(keys, return_index=True)
        directory = self.directory / _checked(space)
        try:
            with exclusively(self.directory / "lock"):
                self._remove_leftovers()
                new = np.ones(len(keys), bool)
                for segment in self._segments(space):
                    new &= segment.find(keys) < 0
                self._store(directory, keys[new], rows[first[new]])
                self._merge(directory)
        except (StorageError, OSError) as error:
            self._warn(
                "write", f"activations are not cached, and computed again next time: {error}"
            )

    # --- reading ------------------------------------------------------------------------------

    def _segments(self, space: str) -> list[Segment]:
        """Return the space's segments, newest first; a file is opened once."""
        directory = self.directory / space
        try:
            paths = {path for path in directory.iterdir() if _is_segment(path)}
        except FileNotFoundError:
            paths = set()
        except OSError as error:
            self._warn("read", f"cached activations cannot be read: {error}")
            paths = set()
        for path in [p for p in self._open if p.parent == directory and p not in paths]:
            del self._open[path]
        for path in paths - self._open.keys():
            # A file that is gone was dropped, or merged, in the meantime: then, it is computed.
            with suppress(FileNotFoundError):
                self._try_to_open(path, space)
        opened = [path for path in paths if path in self._open]
        return [self._open[path] for path in sorted(opened, reverse=True)]

    def _try_to_open(self, path: Path, space: str) -> None:
        try:
            self._open[path] = Segment(path, space)
        except BrokenSegmentError as error:
            self._warn(path, f"{path} is damaged ({error}): its rows are computed again")
            with suppress(OSError):
                path.unlink()
        except FileNotFoundError:
            raise
        except (OSError, ValueError) as error:
            self._warn(path, f"{path} cannot be read ({error}): its rows are computed again")

    # --- writing, with the lock held ----------------------------------------------------------

    def _remove_leftovers(self) -> None:
        """Delete what a writer that was killed has left; there is no other one now."""
        for path in self.directory.glob(f"*/.*.partial{SUFFIX}"):
            path.unlink(missing_ok=True)

    def _store(self, directory: Path, keys: NDArray[np.bytes_], rows: NDArray[Any]) -> None:
        """Write new segments, as many rows as the budget has room for."""
        space, dtype, shape = directory.name, rows.dtype, rows.shape[1:]
        places = max(1, fitting_rows(SEGMENT_BYTES, space, dtype, shape))
        count = min(len(keys), fitting_rows(self.budget_bytes, space, dtype, shape))
        for start in range(0, count, places):
            part = slice(start, min(start + places, count))
            self._put(directory, keys[part], rows[part])

    def _put(self, directory: Path, keys: NDArray[np.bytes_], rows: NDArray[Any]) -> None:
        """Write one segment, after the least recently used ones have made room for it."""
        size = segment_bytes(directory.name, len(rows), rows.dtype, rows.shape[1:])
        segments = sorted(self._on_disk(), reverse=True)
        total = sum(segment.size for segment in segments)
        while segments and total + size > self.budget_bytes:
            oldest = segments.pop()
            oldest.path.unlink(missing_ok=True)
            total -= oldest.size
        name = f"{time.time_ns():020d}-{secrets.token_hex(4)}{SUFFIX}"  # newer ones sort last
        write_segment(directory / name, directory.name, keys, rows)

    def _merge(self, directory: Path) -> None:
        """Turn many small segments into one, so that a row is found fast among all."""
        most = min(SEGMENT_BYTES, self.budget_bytes // 4)
        opened = self._segments(directory.name)
        small = [s for s in opened if s.nbytes <= most // 2 and _kind(s) == _kind(opened[0])]
        if len(small) <= MOST_SMALL_SEGMENTS:
            return
        small.sort(key=lambda segment: segment.nbytes)
        fit = np.cumsum([segment.nbytes for segment in small]) <= most
        merged = [segment for segment, fits in zip(small, fit, strict=True) if fits]
        keys, rows = [], []
        for segment in merged:
            whole, values = segment.read(np.arange(len(segment.digests)))
            keys.append(segment.digests[whole])
            rows.append(values[whole])
        unique, first = np.unique(np.concatenate(keys), return_index=True)
        if len(unique):
            self._put(directory, unique, np.concatenate(rows)[first])
        for segment in merged:
            segment.path.unlink(missing_ok=True)

    # --- all spaces ---------------------------------------------------------------------------

    def _on_disk(self) -> list[_File]:
        files = []
        for path in filter(_is_segment, self.directory.glob("*/*")):
            with suppress(FileNotFoundError):
                found = path.stat()
                files.append(_File(found.st_mtime_ns, found.st_size, path))
        return files

    def _warn(self, about: object, message: str) -> None:
        if about not in self._warned:
            self._warned.add(about)
            logger.warning("%s", message)


class _File(NamedTuple):
    used: int
    size: int
    path: Path


def _is_segment(path: Path) -> bool:
    return path.suffix == SUFFIX and not path.name.startswith(".")


def _kind(segment: Segment) -> tuple[np.dtype[Any], tuple[int, ...]]:
    return segment.dtype, segment.shape


def _keys(digests: Iterable[str]) -> NDArray[np.bytes_]:
    try:
        keys = [bytes.fromhex(digest) for digest in digests]
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"a picture's digest is not hexadecimal: {error}", code="invalid-value", name="digests"
        ) from error
    odd = [key for key in keys if len(key) != DIGEST_BYTES]
    if odd:
        raise ConfigurationError(
            f"{odd[0].hex()!r} is no SHA-256: it has {2 * len(odd[0])} digits instead of "
            f"{2 * DIGEST_BYTES}",
            code="wrong-length",
            name="digests",
            value=2 * len(odd[0]),
            expected=2 * DIGEST_BYTES,
        )
    return np.array(keys, f"S{DIGEST_BYTES}")


def _checked(space: str) -> str:
    if not SPACE.fullmatch(space):
        raise ConfigurationError(
            f"{space!r} names no space of activations: it may have letters, digits, '.', '_' and "
            "'-' only; see space_name",
            code="invalid-value",
            name="space",
            value=space,
        )
    return space


def _default_directory() -> Path:
    if chosen := os.environ.get(CACHE_DIRECTORY):
        return Path(chosen).expanduser()
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base, "sedna-tinyms", "activations")
    try:
        return Path.home() / ".cache" / "sedna-tinyms" / "activations"
    except RuntimeError:  # a container's user without a home
        return Path(tempfile.gettempdir(), f"sedna-tinyms-{os.getuid()}", "activations")
