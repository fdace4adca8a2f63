"""Lets one process at a time do something, whatever happens to the others."""

from __future__ import annotations

import fcntl
import math
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from sedna_tinyms.errors import StorageError

__all__ = ["exclusively"]

PAUSE_SECONDS = 0.02
"""Between two tries to take a lock."""


@contextmanager
def exclusively(path: Path, limit_seconds: float = math.inf) -> Iterator[None]:
    """Wait until no other process is inside this block for the same lock file.

    The file is created with its directory, and deleted in the end; it says which process is inside.
    Whoever is inside may delete the directory as well. A process that dies inside lets the next one
    in.

    Parameters
    ----------
    path : Path
        The lock file.
    limit_seconds : float
        How long to wait; 0 tries once.

    Raises
    ------
    StorageError
        If another process is inside for as long, or the file cannot be created.
    """
    try:
        lock = _lock(path, time.monotonic() + limit_seconds)
    except BlockingIOError:
        process = _holder(path)
        holder = "an unknown process" if process is None else f"process {process}"
        raise StorageError(
            f"{path} was not free within {limit_seconds:g} s: {holder} holds it. Try again "
            "when that has ended, or end it",
            code="in-use",
            path=path,
            process=process,
        ) from None
    except OSError as error:
        raise StorageError(
            f"cannot create the lock file {path}: {error}", code="cannot-write", path=path
        ) from error
    with lock:
        try:
            yield
        finally:
            with suppress(OSError):  # one that stays is taken as well
                path.unlink()


def _lock(path: Path, deadline: float) -> IO[bytes]:
    """Return the lock file, locked; BlockingIOError if others have it until the deadline."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError), ExitStack() as undo:
            lock = undo.enter_context(path.open("ab"))
            _wait_for(lock, deadline)
            # Whoever had the lock has deleted the file, and another one may have taken its place.
            if os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                _sign(lock.fileno())
                undo.pop_all()
                return lock


def _wait_for(lock: IO[bytes], deadline: float) -> None:
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(PAUSE_SECONDS)


def _sign(handle: int) -> None:
    with suppress(OSError):  # whoever is inside may be about to make room on a full disk
        os.ftruncate(handle, 0)
        os.write(handle, b"%d\n" % os.getpid())


def _holder(path: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int(path.read_bytes()[:20])
    return None
