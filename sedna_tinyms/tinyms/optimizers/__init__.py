"""MindSpore's optimizers and their learning rate schedules, and schedules with a warm-up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mindspore.nn import dynamic_lr as _dynamic_lr
from mindspore.nn import learning_rate_schedule as _learning_rate_schedule
from mindspore.nn import optim as _optim
from mindspore.nn.dynamic_lr import *  # noqa: F403
from mindspore.nn.learning_rate_schedule import *  # noqa: F403
from mindspore.nn.optim import *  # noqa: F403

from sedna_tinyms.tinyms.left_out import left_out
from sedna_tinyms.tinyms.optimizers.schedules import (
    cyclegan_lr,
    mobilenetv2_lr,
    warmup_cosine_lr,
    warmup_polynomial_lr,
)

__all__ = ["cyclegan_lr", "mobilenetv2_lr", "warmup_cosine_lr", "warmup_polynomial_lr"]
__all__ += [*_optim.__all__, *_dynamic_lr.__all__, *_learning_rate_schedule.__all__]

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...  # mypy does not look into MindSpore

else:
    __getattr__ = left_out(__name__)
