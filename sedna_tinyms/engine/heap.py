"""What a process has freed, and glibc keeps for it all the same."""

from __future__ import annotations

import ctypes
from contextlib import suppress

__all__ = ["release_freed_memory"]


def release_freed_memory() -> None:
    """Give memory that was freed back to the system; does nothing where glibc is not.

    Reading a model and preparing its engine takes several times the model's size for a moment.
    glibc keeps most of that for allocations to come, which an inference worker never makes.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
