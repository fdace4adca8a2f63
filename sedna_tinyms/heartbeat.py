"""How a worker that waits for work says that it goes on, and how others see that it does not.

A worker that loops calls `beat` each time round; ``SEDNA_TINYMS_HEARTBEAT`` names the file whose
time stamp that renews. On one machine the runner follows it with a `Pulse`; in a container
``sedna-tinyms doctor`` looks at it, which is how the worker images' health check finds a worker
that hangs.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from sedna_tinyms.errors import StorageError

__all__ = ["HEARTBEAT", "LONGEST_SILENCE_SECONDS", "Pulse", "beat", "seconds_since_last_beat"]

HEARTBEAT = "SEDNA_TINYMS_HEARTBEAT"
EVERY_SECONDS = 1.0
LONGEST_SILENCE_SECONDS = 120.0
"""A worker that loads a model meanwhile says nothing for seconds, not for minutes."""

_last = -EVERY_SECONDS


def beat() -> None:
    """Say that this process goes on; nothing, where no file is named or it cannot be written."""
    global _last
    name, now = os.environ.get(HEARTBEAT), time.monotonic()
    if not name or now - _last < EVERY_SECONDS:
        return
    _last = now
    try:
        Path(name).touch()
    except OSError:
        return  # a worker that answers is worth more than one that says so


def seconds_since_last_beat() -> float | None:
    """Return how long ago a worker last said that it goes on; None if none did yet."""
    name = os.environ.get(HEARTBEAT)
    if not name:
        return None
    try:
        return time.time() - Path(name).stat().st_mtime
    except OSError:
        return None


class Pulse:
    """Follows another process's heartbeat.

    What counts is that the file changes, not its time: a clock may be set back.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last: int | None = None
        self._since = time.monotonic()

    def begin(self) -> None:
        """Follow a process that has not beaten yet.

        Raises
        ------
        StorageError
            If an earlier process's heartbeat cannot be removed.
        """
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"cannot remove {self._path}: {error.strerror}",
                code="cannot-write",
                path=str(self._path),
            ) from error
        self._since = time.monotonic()

    def silence(self) -> float:
        """Return the seconds since the last beat, or the start; 0 for one that never beat."""
        now = time.monotonic()
        try:
            seen: int | None = self._path.stat().st_mtime_ns
        except OSError:
            seen = self._last
        if seen != self._last:
            self._last, self._since = seen, now
        return 0.0 if self._last is None else now - self._since
