"""Training or prediction, cell by cell or as a graph: for a while, then as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import mindspore
from mindspore import nn

__all__ = ["eager", "kept_modes"]


@contextmanager
def kept_modes(network: nn.Cell) -> Iterator[None]:
    """Give every cell its mode, training or prediction, back at the end."""
    modes = [(cell, cell.training) for _, cell in network.cells_and_names()]
    try:
        yield
    finally:
        for cell, training in modes:
            cell.add_flags(training=training)


@contextmanager
def eager() -> Iterator[None]:
    """Run cell by cell (PYNATIVE_MODE), and in the user's mode again at the end."""
    mode = mindspore.get_context("mode")
    mindspore.set_context(mode=mindspore.PYNATIVE_MODE)
    try:
        yield
    finally:
        mindspore.set_context(mode=mode)
