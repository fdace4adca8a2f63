"""Callbacks of a training: MindSpore's, TinyMS's monitors, and one line an epoch for people."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from mindspore import Tensor
from mindspore.train import callback as _callback
from mindspore.train.callback import *  # noqa: F403
from mindspore.train.callback import Callback, CheckpointConfig, ModelCheckpoint
from numpy.typing import ArrayLike

from sedna_tinyms.errors import ConfigurationError, did_you_mean

__all__ = ["LossTimeMonitor", "LossTimeMonitorV2", "ProgressMonitor", "mobilenetv2_cb"]
__all__ += _callback.__all__

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...  # mypy does not look into MindSpore


def write_line(line: str) -> None:
    """Write a line to standard output, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def step_loss(outputs: Any) -> float:
    """Return the loss in what a training step gave: the first of several, the mean of many."""
    if isinstance(outputs, list | tuple) and outputs and isinstance(outputs[0], Tensor):
        outputs = outputs[0]
    return float(np.mean(outputs.asnumpy() if isinstance(outputs, Tensor) else outputs))


class _EpochMonitor(Callback):  # type: ignore[misc]
    """Keeps the losses of the epoch, and the time."""

    def __init__(self) -> None:
        super().__init__()
        self.losses: list[float] = []
        self.epoch_start = self.step_start = 0.0

    def on_train_epoch_begin(self, run_context: Any) -> None:  # noqa: ARG002
        self.losses = []
        self.epoch_start = time.perf_counter()

    def on_train_step_begin(self, run_context: Any) -> None:  # noqa: ARG002
        self.step_start = time.perf_counter()

    def on_train_step_end(self, run_context: Any) -> None:
        self.losses.append(step_loss(run_context.original_args().net_outputs))


class LossTimeMonitorV2(_EpochMonitor):
    """Writes loss and time of every step, and their means over the epoch.

    Epochs and steps count from 0; times are milliseconds.
    """

    def on_train_step_end(self, run_context: Any) -> None:
        """Write the step's line."""
        super().on_train_step_end(run_context)
        write_line(self.step_line(run_context.original_args()))

    def on_train_epoch_end(self, run_context: Any) -> None:  # noqa: ARG002
        """Write the epoch's line."""
        total = (time.perf_counter() - self.epoch_start) * 1000
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
            f"time:[{(time.perf_counter() - self.step_start) * 1000:5.3f}]"
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

    def __init__(self, lr_init: ArrayLike | None = None) -> None:
        super().__init__()
        rates = np.asarray(lr_init)
        if rates.ndim != 1 or rates.dtype.kind not in "iuf" or not len(rates):
            raise TypeError(f"lr_init takes one learning rate a step, not {lr_init!r:.80}")
        self.lr_init = rates

    def step_line(self, progress: Any) -> str:
        """Return the line for a step, with its learning rate."""
        rate = self.lr_init[min(progress.cur_step_num, len(self.lr_init)) - 1]
        return f"{super().step_line(progress)}, lr:[{rate:5.3f}]"


class ProgressMonitor(_EpochMonitor):
    """Writes one line an epoch: ``epoch 2/5  loss 0.412  134 images/s  11 s left``.

    Parameters
    ----------
    write : callable
        Takes a line; standard output by default.
    """

    def __init__(self, write: Callable[[str], None] = write_line) -> None:
        super().__init__()
        self.write = write
        self.train_start = 0.0

    def on_train_begin(self, run_context: Any) -> None:  # noqa: ARG002
        """Start the clock."""
        self.train_start = time.perf_counter()

    def on_train_epoch_end(self, run_context: Any) -> None:
        """Write the epoch's line."""
        progress = run_context.original_args()
        now = time.perf_counter()
        images = len(self.losses) * progress.train_dataset.get_batch_size()
        done, epochs = progress.cur_epoch_num, progress.epoch_num
        left = (now - self.train_start) / done * (epochs - done)
        self.write(
            f"epoch {done}/{epochs}  loss {np.mean(self.losses or [np.nan]):.3f}  "
            f"{images / (now - self.epoch_start):.0f} images/s  {left:.0f} s left"
        )


def mobilenetv2_cb(
    device_target: str,
    lr: Tensor,
    is_saving_checkpoint: bool,
    save_checkpoint_epochs: int,
    step_size: int,
) -> list[Callback] | None:
    """Return TinyMS's callbacks for training MobileNetV2.

    Parameters
    ----------
    device_target : {"CPU", "GPU", "Ascend"}
        Where the training runs.
    lr : Tensor
        The learning rate of every step, as from `mobilenetv2_lr`.
    is_saving_checkpoint : bool
        Whether to write checkpoints to the current directory.
    save_checkpoint_epochs : int
        Epochs between two checkpoints.
    step_size : int
        Steps in an epoch.

    Returns
    -------
    list of Callback, or None
        A `LossTimeMonitor` and, if asked for, a `ModelCheckpoint`; none on Ascend.

    Raises
    ------
    ConfigurationError
        If the device is unknown.
    """
    devices = ("CPU", "GPU", "Ascend")
    if device_target not in devices:
        raise ConfigurationError(
            f"unknown device_target {device_target!r}{did_you_mean(device_target, devices)}; "
            f"one of {', '.join(devices)}"
        )
    if device_target == "Ascend":
        return None
    callbacks: list[Callback] = [LossTimeMonitor(lr.asnumpy())]
    if is_saving_checkpoint:
        config = CheckpointConfig(
            save_checkpoint_steps=save_checkpoint_epochs * step_size, keep_checkpoint_max=10
        )
        callbacks.append(ModelCheckpoint("mobilenetv2_cifar10", directory="./", config=config))
    return callbacks
