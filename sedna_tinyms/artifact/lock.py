"""Lets one process at a time do something, whatever happens to the others."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from sedna_tinyms.errors import StorageError

__all__ = ["exclusively"]


@contextmanager
def exclusively(path: Path) -> Iterator[None]:
    """Wait until no other process is inside this block for the same lock file.

    The file is created with its directory, and deleted in the end. Whoever is inside may delete
    the directory as well. A process that dies inside lets the next one in.

    Raises
    ------
    StorageError
        If the file cannot be created.
    """
    try:
        lock = _lock(path)
    except OSError as error:
        raise StorageError(f"cannot create the lock file {path}: {error}") from error
    with lock:
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _lock(path: Path) -> IO[bytes]:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError), ExitStack() as undo:
            lock = undo.enter_context(path.open("ab"))
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Whoever had the lock has deleted the file, and another one may have taken its place.
            if os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                undo.pop_all()
                return lock
