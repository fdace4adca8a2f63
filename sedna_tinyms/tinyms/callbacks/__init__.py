"""Callbacks of a training: MindSpore's, TinyMS's monitors, progress, stopping, files of it all.

Our own take ``**kwargs`` in every hook, and their constructors refuse a keyword that they do not
know with the nearest one that they do. `EarlyStopping` takes MindSpore's arguments, but counts a
measured 0 as measured, keeps its ``baseline``, and restores the best weights however a training
ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mindspore.train import callback as _callback
from mindspore.train.callback import *  # noqa: F403

from sedna_tinyms.tinyms.callbacks.base import StrictCallback
from sedna_tinyms.tinyms.callbacks.best import BestCheckpoint, EarlyStopping
from sedna_tinyms.tinyms.callbacks.loggers import CSVLogger, JSONLLogger, TensorBoardLogger
from sedna_tinyms.tinyms.callbacks.measurements import step_loss as step_loss
from sedna_tinyms.tinyms.callbacks.mobilenetv2 import mobilenetv2_cb
from sedna_tinyms.tinyms.callbacks.monitors import LossTimeMonitor, LossTimeMonitorV2
from sedna_tinyms.tinyms.callbacks.progress import ProgressBar, ProgressMonitor
from sedna_tinyms.tinyms.left_out import left_out

__all__ = [
    "BestCheckpoint",
    "CSVLogger",
    "EarlyStopping",
    "JSONLLogger",
    "LossTimeMonitor",
    "LossTimeMonitorV2",
    "ProgressBar",
    "ProgressMonitor",
    "StrictCallback",
    "TensorBoardLogger",
    "mobilenetv2_cb",
]
__all__ += [name for name in _callback.__all__ if name not in __all__]

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...  # mypy does not look into MindSpore

else:
    __getattr__ = left_out(__name__)
