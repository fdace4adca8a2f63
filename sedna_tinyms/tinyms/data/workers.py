"""No more threads than there are cores: MindSpore refuses to build a dataset with more."""

from __future__ import annotations

import functools
import inspect
import logging
import os
from collections.abc import Iterable
from typing import Any

__all__ = ["available_cores", "clamped_workers", "with_clamped_workers"]

logger = logging.getLogger(__name__)

WORKERS = "num_parallel_workers"


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def clamped_workers(requested: int) -> int:
    """Return as many threads as requested, but never more than there are cores; note it once."""
    cores = available_cores()
    if requested <= cores:
        return requested
    _note(requested, cores)
    return cores


def with_clamped_workers(kinds: Iterable[type]) -> dict[str, type]:
    """Return datasets by name, each as MindSpore's but for the threads: `clamped_workers`.

    They are subclasses, so that MindSpore's own classes stay as they are, and whatever takes one
    of those takes one of these. Classes without such a parameter are returned themselves.
    """
    return {
        kind.__name__: _clamped(kind)
        if WORKERS in inspect.signature(kind.__init__).parameters  # type: ignore[misc]
        else kind
        for kind in kinds
    }


def _clamped(kind: type) -> type:
    build = kind.__init__  # type: ignore[misc]
    signature = inspect.signature(build)

    @functools.wraps(build)
    def initialize(self: Any, *arguments: Any, **keywords: Any) -> None:
        bound = signature.bind(self, *arguments, **keywords)
        if isinstance(bound.arguments.get(WORKERS), int):  # MindSpore says what else is wrong.
            bound.arguments[WORKERS] = clamped_workers(bound.arguments[WORKERS])
        build(*bound.args, **bound.kwargs)

    # It goes by MindSpore's name and documentation, as a wrapped function does.
    names = {"__init__": initialize, "__module__": kind.__module__, "__doc__": kind.__doc__}
    return type(kind.__name__, (kind,), names)


@functools.cache
def _note(requested: int, cores: int) -> None:
    logger.warning(
        "num_parallel_workers is %d, this process may use %d cores: %d it is",
        requested,
        cores,
        cores,
    )
