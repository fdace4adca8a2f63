"""MindSpore's execution context: mode, device, parallelism."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mindspore import context as _context
from mindspore.context import *  # noqa: F403
from mindspore.context import GRAPH_MODE, get_context, set_context

__all__ = ["prefer_graph_mode"]
__all__ += _context.__all__

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...  # mypy does not look into MindSpore


def prefer_graph_mode() -> bool:
    """Switch to GRAPH_MODE unless the program chose a mode itself.

    On a CPU a compiled training step takes about half the time of an interpreted one.

    Returns
    -------
    bool
        Whether the mode is GRAPH_MODE now.
    """
    if not _mode_was_chosen():
        set_context(mode=GRAPH_MODE)
    return bool(get_context("mode") == GRAPH_MODE)


def _mode_was_chosen() -> bool:
    # MindSpore does not say in public whether its default mode was also asked for; it notes each
    # choice in this stack, of its own for each thread.
    switches = getattr(_context._context(), "_context_switches", None)
    return bool(getattr(switches, "context_stack", ()))
