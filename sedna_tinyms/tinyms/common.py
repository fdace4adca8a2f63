"""Tensors, dtypes, seeds and array functions: `mindspore.common` and `mindspore.numpy`.

`array`, `asarray` and `asfarray` take NumPy arrays as well, which MindSpore's refuse and TinyMS's
programs give them: ``ts.array(mnist_transform(image))``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from mindspore import Tensor
from mindspore import common as _common
from mindspore import numpy as _numpy
from mindspore.common import *  # noqa: F403
from mindspore.numpy import *  # noqa: F403

__all__ = sorted({*_common.__all__, *_numpy.__all__})

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...  # mypy does not look into MindSpore


def array(obj: Any, dtype: Any = None, copy: bool = True, ndmin: int = 0) -> Tensor:
    """Return a Tensor of numbers, nested lists, a Tensor or a NumPy array."""
    return _numpy.array(_without_numpy(obj), dtype, copy, ndmin)


def asarray(a: Any, dtype: Any = None) -> Tensor:
    """Return a Tensor of numbers, nested lists, a Tensor or a NumPy array."""
    return _numpy.asarray(_without_numpy(a), dtype)


def asfarray(a: Any, dtype: Any = _common.dtype.float32) -> Tensor:
    """Return a Tensor of floating-point numbers, of what `asarray` takes."""
    return _numpy.asfarray(_without_numpy(a), dtype)


def _without_numpy(value: Any) -> Any:
    # A compiled function understands a tuple of types, and no union.
    return Tensor(value) if isinstance(value, (np.ndarray, np.generic)) else value
