"""How a worker that waits for work says that it goes on, and how others see that it does not.

A worker that loops calls `beat` each time round; ``SEDNA_TINYMS_HEARTBEAT`` names the file whose
time stamp that renews. ``sedna-tinyms doctor`` looks at it, which is how the worker images' health
check finds a worker that hangs.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

__all__ = ["HEARTBEAT", "beat", "seconds_since_last_beat"]

HEARTBEAT = "SEDNA_TINYMS_HEARTBEAT"
EVERY_SECONDS = 1.0

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
