"""MindSpore's execution context: mode, device, parallelism."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mindspore import context as _context
from mindspore.context import *  # noqa: F403
from mindspore.context import (
    GRAPH_MODE,
    ParallelMode,
    get_auto_parallel_context,
    get_context,
    set_auto_parallel_context,
    set_context,
)

__all__ = [
    "init_data_parallel",
    "mean_over_processes",
    "prefer_graph_mode",
    "preferred_graph_mode",
    "temporary_mode",
]
__all__ += _context.__all__

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...  # mypy does not look into MindSpore


def prefer_graph_mode() -> bool:
    """Switch to GRAPH_MODE, from now on, unless the program chose a mode itself.

    On a CPU a compiled training step takes about half the time of an interpreted one.

    Returns
    -------
    bool
        Whether the mode is GRAPH_MODE now.
    """
    if not _chosen_modes():
        set_context(mode=GRAPH_MODE)
    return bool(get_context("mode") == GRAPH_MODE)


@contextmanager
def preferred_graph_mode() -> Iterator[None]:
    """Run in GRAPH_MODE, unless the program chose a mode itself; then in the mode of before."""
    if _chosen_modes():
        yield
    else:
        with temporary_mode(GRAPH_MODE):
            yield


@contextmanager
def temporary_mode(mode: int) -> Iterator[None]:
    """Run in a mode, then in that of before; it does not count as chosen by the program."""
    chosen = _chosen_modes()
    count, before = len(chosen), get_context("mode")
    set_context(mode=mode)
    try:
        yield
    finally:
        set_context(mode=before)
        del chosen[count:]


def init_data_parallel() -> tuple[int, int]:
    """Join the processes that MindSpore's launcher ``msrun`` started, to train as one.

    From then on every training step averages the gradients over all processes, each of which
    trains on its own part of a batch. The result is that of one process on the whole batches, so
    far as the network treats each sample by itself: batch normalization sees its part only. All
    processes must start from the same weights, by the same seed or the same file. Call it before
    the first operator runs.

    Returns
    -------
    rank : int
        Which of the processes this is, from 0: the ``shard_id`` of its dataset.
    processes : int
        How many there are: the ``num_shards`` of its dataset. Without ``msrun`` it is 1, and
        nothing was done.
    """
    if "MS_ROLE" not in os.environ:
        return 0, 1
    from mindspore.communication import get_group_size, get_rank, init

    init()
    set_auto_parallel_context(parallel_mode=ParallelMode.DATA_PARALLEL, gradients_mean=True)
    return get_rank(), get_group_size()


def mean_over_processes(value: float) -> float:
    """Return the mean of what all processes of a data-parallel training pass; each must call it.

    Without `init_data_parallel` there is only this process, whose value it is.
    """
    if get_auto_parallel_context("parallel_mode") != ParallelMode.DATA_PARALLEL:
        return value
    from mindspore import Tensor, float32, ops
    from mindspore.communication import get_group_size

    total = ops.AllReduce()(Tensor([value], float32))
    return float(total.asnumpy()[0]) / int(get_group_size())


def _chosen_modes() -> list[Any]:
    """Return the modes that this thread has chosen so far, the last one last."""
    # MindSpore does not say in public whether its default mode was also asked for; it notes each
    # choice in this stack, of its own for each thread.
    switches = getattr(_context._context(), "_context_switches", None)
    return getattr(switches, "context_stack", [])
