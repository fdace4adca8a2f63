"""MindSpore's optimizers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mindspore.nn import optim as _optim
from mindspore.nn.optim import *  # noqa: F403

__all__ = list(_optim.__all__)

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...  # mypy does not look into MindSpore
