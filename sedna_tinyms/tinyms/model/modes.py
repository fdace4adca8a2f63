"""Training or prediction: for a while, then as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mindspore import nn

__all__ = ["kept_modes"]


@contextmanager
def kept_modes(network: nn.Cell) -> Iterator[None]:
    """Give every cell its mode, training or prediction, back at the end."""
    modes = [(cell, cell.training) for _, cell in network.cells_and_names()]
    try:
        yield
    finally:
        for cell, training in modes:
            cell.add_flags(training=training)
