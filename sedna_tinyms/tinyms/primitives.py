"""Operations on tensors, and what is done with functions of them: `grad`, `jit` and the like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mindspore import jit
from mindspore.ops import composite as _composite
from mindspore.ops import functional as _functional
from mindspore.ops import grad, value_and_grad
from mindspore.ops import operations as _operations
from mindspore.ops.composite import *  # noqa: F403
from mindspore.ops.functional import *  # noqa: F403
from mindspore.ops.operations import *  # noqa: F403

__all__ = ["grad", "jit", "value_and_grad"]
__all__ += sorted({*_composite.__all__, *_operations.__all__, *_functional.__all__} - {*__all__})

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...  # mypy does not look into MindSpore
