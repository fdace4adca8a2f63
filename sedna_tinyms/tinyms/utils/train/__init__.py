"""What a training script needs: `mindspore.train`, loss scaling, schedules, sets of callbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mindspore import train as _train
from mindspore.train import *  # noqa: F403

from sedna_tinyms.tinyms.utils.train.cb_config import mobilenetv2_cb
from sedna_tinyms.tinyms.utils.train.loss_manager import (
    DynamicLossScaleManager,
    FixedLossScaleManager,
    LossScaleManager,
)
from sedna_tinyms.tinyms.utils.train.lr_generator import cyclegan_lr, mobilenetv2_lr

__all__ = [
    "DynamicLossScaleManager",
    "FixedLossScaleManager",
    "LossScaleManager",
    "cyclegan_lr",
    "mobilenetv2_cb",
    "mobilenetv2_lr",
]
__all__ += [name for name in _train.__all__ if name not in __all__]

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...  # mypy does not look into MindSpore
