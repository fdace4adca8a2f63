"""Writes a file whole or not at all.

The content goes to a temporary name in the target's own directory, reaches the disk (fsync), and
takes the target's name in one rename; then the directory entry reaches the disk too. A reader, or
a restart after a power cut, finds the old file or the new one, never a part of either. The
temporary name starts with a dot and ends in ``.partial`` plus the target's suffix, because some
writers choose their format by it.
"""

from __future__ import annotations

import errno
import glob
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from sedna_tinyms.artifact.json_text import parse_json
from sedna_tinyms.errors import StorageError

__all__ = [
    "copy_file",
    "flush",
    "open_ordinary",
    "read_json",
    "remove_file",
    "remove_leftovers",
    "write_file",
    "write_json",
    "write_text",
]

READABLE_BY_ALL = 0o644
"""Another user's container reads what a worker wrote; MindSpore alone would leave 0400."""


@contextmanager
def write_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path` to write to, and put it in place at the end.

    Parameters
    ----------
    path : path
        The file to create or replace. Missing parent directories are created.

    Yields
    ------
    Path
        An existing empty file in the same directory; write to it, or replace it.

    Raises
    ------
    StorageError
        If the directory cannot be written, the disk is full, or `path` is a directory.
        The old file is then untouched and nothing new is left behind.
    """
    target = Path(path)
    if target.is_dir():
        raise StorageError(
            f"cannot write the file {target}: a directory of that name is in its place; "
            "remove it, or choose another name",
            code="not-a-file",
            path=target,
        )
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{target.stem}.", suffix=f".partial{target.suffix}", dir=target.parent
        )
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(READABLE_BY_ALL)
        flush(temporary)
        temporary.replace(target)
        flush(target.parent)
    except OSError as error:
        raise StorageError(
            f"cannot write {target}: {error}",
            code="no-space" if error.errno == errno.ENOSPC else "cannot-write",
            path=target,
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8, whole or not at all; errors as `write_file`."""
    with write_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all; errors as `write_file`.

    Raises
    ------
    ValueError
        If `value` holds NaN or infinity, which JSON has no word for.
    """
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Return what a JSON file holds.

    Raises
    ------
    StorageError
        If it is missing, unreadable, or no JSON.
    """
    try:
        return parse_json(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        raise StorageError(
            f"cannot read {path}: {error}",
            code="missing-file" if missing else "unreadable-file",
            path=path,
        ) from error
    except ValueError as error:
        raise StorageError(f"cannot read {path}: {error}", code="not-json", path=path) from error


@contextmanager
def open_ordinary(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file that somebody else placed, which may be a link to one, to read it.

    Raises
    ------
    OSError
        If it cannot be opened, or is no ordinary file: a pipe would block its reader, and some
        devices never end.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is no ordinary file", os.fspath(path))
        yield file


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove the temporary files of writers of `path` that were killed; none may be at work.

    Raises
    ------
    StorageError
        If one cannot be removed.
    """
    target = Path(path)
    for name in target.parent.glob(f".{glob.escape(target.stem)}.*.partial{target.suffix}"):
        remove_file(name)


def remove_file(path: str | os.PathLike[str]) -> None:
    """Remove a file if it is there.

    Raises
    ------
    StorageError
        If it cannot be removed.
    """
    try:
        Path(path).unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot remove {path}: {error}", code="cannot-write", path=path
        ) from error


def copy_file(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Copy the content of `source` to `target`, whole or not at all; errors as `write_file`."""
    with write_file(target) as temporary:
        shutil.copyfile(source, temporary)


def flush(path: Path) -> None:
    """Wait until a file's content, or a directory's entries, are on the disk; may raise OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
