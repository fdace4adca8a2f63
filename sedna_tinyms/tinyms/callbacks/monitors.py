"""TinyMS's monitors: loss and time of every step on standard output."""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sedna_tinyms.tinyms.callbacks.base import EpochCallback

__all__ = ["LossTimeMonitor", "LossTimeMonitorV2", "write_line"]


def write_line(line: str) -> None:
    """Write a line to standard output, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class LossTimeMonitorV2(EpochCallback):
    """Writes loss and time of every step, and their means over the epoch.

    Epochs and steps count from 0; times are milliseconds.
    """

    def on_train_step_end(self, run_context: Any, **kwargs: Any) -> None:
        """Write the step's line."""
        super().on_train_step_end(run_context, **kwargs)
        write_line(self.step_line(run_context.original_args()))

    def on_train_epoch_end(self, run_context: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Write the epoch's line."""
        total = (time.perf_counter() - self._epoch_start) * 1000
        steps = max(1, len(self.losses))
        write_line(
            f"epoch time: {total:5.3f}, per step time: {total / steps:5.3f}, "
            f"avg loss: {np.mean(self.losses or [np.nan]):5.3f}"
        )

    def step_line(self, progress: Any) -> str:
        """Return the line for a step, from MindSpore's callback parameters."""
        step = (progress.cur_step_num - 1) % progress.batch_num
        return (
            f"epoch: [{progress.cur_epoch_num - 1:3d}/{progress.epoch_num:3d}], "
            f"step:[{step:5d}/{progress.batch_num:5d}], "
            f"loss:[{self.losses[-1]:5.3f}/{np.mean(self.losses):5.3f}], "
            f"time:[{self.step_seconds * 1000:5.3f}]"
        )


class LossTimeMonitor(LossTimeMonitorV2):
    """As `LossTimeMonitorV2`, with the learning rate of each step.

    Parameters
    ----------
    lr_init : array of float
        The learning rate of every step of the training.

    Raises
    ------
    TypeError
        If it is no array of numbers.
    """

    def __init__(self, lr_init: ArrayLike | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        rates = np.asarray(lr_init)
        if rates.ndim != 1 or rates.dtype.kind not in "iuf" or not len(rates):
            raise TypeError(f"lr_init takes one learning rate a step, not {lr_init!r:.80}")
        self.lr_init = rates

    def step_line(self, progress: Any) -> str:
        """Return the line for a step, with its learning rate."""
        rate = self.lr_init[min(progress.cur_step_num, len(self.lr_init)) - 1]
        return f"{super().step_line(progress)}, lr:[{rate:5.3f}]"
