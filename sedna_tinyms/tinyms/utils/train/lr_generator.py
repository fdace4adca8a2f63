"""Learning rate schedules."""

from __future__ import annotations

import numpy as np
from mindspore import Tensor

from sedna_tinyms.errors import ConfigurationError, Problems

__all__ = ["mobilenetv2_lr"]


def mobilenetv2_lr(
    global_step: int,
    lr_init: float,
    lr_end: float,
    lr_max: float,
    warmup_epochs: float,
    total_epochs: int,
    steps_per_epoch: int,
) -> Tensor:
    """Return the learning rate of every step: a linear warm-up, then half a cosine.

    Step ``i`` of the warm-up's ``w`` steps has ``lr_init + (lr_max - lr_init) * i / w``; each
    later one of the ``T`` steps in all has
    ``lr_end + (lr_max - lr_end) * (1 + cos(pi * (i - w) / (T - w))) / 2``.

    Parameters
    ----------
    global_step : int
        Steps already taken; the result begins after them.
    lr_init, lr_end, lr_max : float
        The rate at the first step, after the last, and at the end of the warm-up.
    warmup_epochs : float
        Length of the warm-up.
    total_epochs : int
        Length of the whole.
    steps_per_epoch : int
        Batches in an epoch.

    Returns
    -------
    Tensor of float32, shape (total_epochs * steps_per_epoch - global_step,)
        Never below 0.

    Raises
    ------
    ConfigurationError
        If there are no steps, or fewer than `global_step` or the warm-up takes.
    """
    total = int(total_epochs * steps_per_epoch)
    warmup = int(warmup_epochs * steps_per_epoch)
    problems = Problems()
    if total < 1:
        problems.add(f"{total_epochs} epochs of {steps_per_epoch} steps are no training")
    if not 0 <= global_step <= total:
        problems.add(f"global_step is {global_step}; it must lie between 0 and {total}")
    if not 0 <= warmup <= total:
        problems.add(f"warmup_epochs is {warmup_epochs}; it must lie between 0 and {total_epochs}")
    problems.raise_as(ConfigurationError, "there is no such schedule")

    steps = np.arange(total)
    rising = lr_init + (lr_max - lr_init) * steps / max(1, warmup)
    phase = np.pi * (steps - warmup) / max(1, total - warmup)
    falling = lr_end + (lr_max - lr_end) * (1 + np.cos(phase)) / 2
    rates = np.maximum(np.where(steps < warmup, rising, falling), 0)
    return Tensor(rates[global_step:].astype(np.float32))
