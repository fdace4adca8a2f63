"""Sets parameters so that a training in progress notices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mindspore import Parameter, Tensor, nn, ops
from numpy.typing import NDArray

__all__ = ["kept_parameters", "set_value"]


def set_value(parameter: Parameter, value: NDArray[Any]) -> None:
    """Write `value` into a parameter, as its type.

    Not `Parameter.set_data`: that gives the parameter other memory, and in PYNATIVE_MODE an
    optimizer that has taken a step goes on working on the old, so that training has no effect.
    """
    ops.assign(parameter, Tensor(value.astype(parameter.asnumpy().dtype)))


@contextmanager
def kept_parameters(network: nn.Cell) -> Iterator[None]:
    """Give every parameter its value back at the end, also after an error or Ctrl-C."""
    values = [(parameter, parameter.asnumpy().copy()) for parameter in network.get_parameters()]
    try:
        yield
    finally:
        for parameter, value in values:
            set_value(parameter, value)
