"""Keeps Python's garbage collector out of thousands of small objects, none of which is garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["collector_paused"]


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the collector in this block, or decorated function.

    A checkpoint or an ONNX graph is made of protobuf messages, enough of them that it would go over
    all that MindSpore holds besides: 0.1 s, several times what the file takes.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
