"""Tensors, dtypes, seeds and array functions: `mindspore.common` and `mindspore.numpy`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mindspore import common as _common
from mindspore import numpy as _numpy
from mindspore.common import *  # noqa: F403
from mindspore.numpy import *  # noqa: F403

__all__ = sorted({*_common.__all__, *_numpy.__all__})

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...  # mypy does not look into MindSpore
