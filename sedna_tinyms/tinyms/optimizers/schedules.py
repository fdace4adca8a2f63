"""Learning rates of every step of a training, as the Tensors that MindSpore's optimizers take."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from mindspore import Tensor
from numpy.typing import NDArray

from sedna_tinyms.errors import ConfigurationError, Problems

__all__ = ["cyclegan_lr", "mobilenetv2_lr", "warmup_cosine_lr", "warmup_polynomial_lr"]

Rates = NDArray[np.float64]


def warmup_cosine_lr(
    learning_rate: float,
    total_steps: int,
    warmup_steps: int = 0,
    start: float = 0.0,
    end: float = 0.0,
) -> Tensor:
    """Return rates that rise in a line from `start`, then fall along half a cosine to `end`.

    Step ``i`` of the warm-up's ``w`` steps has ``start + (learning_rate - start) * i / w``; each
    later one of the ``T`` steps in all has
    ``end + (learning_rate - end) * (1 + cos(pi * (i - w) / (T - w))) / 2``
    (Loshchilov and Hutter 2017, equation 5, without restarts).

    Parameters
    ----------
    learning_rate : float
        The rate at the end of the warm-up.
    total_steps : int
        Steps of the whole training: epochs times batches in an epoch.
    warmup_steps : int
        Steps of the warm-up.
    start, end : float
        The rate at the first step, and the one that would follow the last.

    Returns
    -------
    Tensor of float32, shape (total_steps,)
        Never below 0.

    Raises
    ------
    ConfigurationError
        If there are no steps, or the warm-up takes more than all of them.
    """
    return _tensor(_rates(_cosine, learning_rate, total_steps, warmup_steps, start, end))


def warmup_polynomial_lr(
    learning_rate: float,
    total_steps: int,
    warmup_steps: int = 0,
    start: float = 0.0,
    end: float = 0.0,
    power: float = 1.0,
) -> Tensor:
    """Return rates that rise in a line from `start`, then fall as a power of what is left.

    After the warm-up's ``w`` steps, step ``i`` of ``T`` has
    ``end + (learning_rate - end) * (1 - (i - w) / (T - w)) ** power``: a straight line down for a
    power of 1, as BERT is trained (Devlin et al. 2019, appendix A.2).

    Parameters
    ----------
    learning_rate, total_steps, warmup_steps, start, end
        As for `warmup_cosine_lr`.
    power : float
        Above 0; the greater, the sooner the rates fall.

    Returns
    -------
    Tensor of float32, shape (total_steps,)
        Never below 0.

    Raises
    ------
    ConfigurationError
        As for `warmup_cosine_lr`, or if `power` is not above 0.
    """
    if not power > 0:
        raise ConfigurationError(
            f"power is {power!r}; it must be above 0",
            code="out-of-range",
            name="power",
            value=power,
        )

    def polynomial(progress: Rates) -> Rates:
        return np.asarray(np.maximum(1 - progress, 0) ** power)

    return _tensor(_rates(polynomial, learning_rate, total_steps, warmup_steps, start, end))


def mobilenetv2_lr(
    global_step: int,
    lr_init: float,
    lr_end: float,
    lr_max: float,
    warmup_epochs: float,
    total_epochs: int,
    steps_per_epoch: int,
) -> Tensor:
    """Return TinyMS's rates for MobileNetV2: `warmup_cosine_lr`, counted in epochs.

    Parameters
    ----------
    global_step : int
        Steps already taken; the result begins after them.
    lr_init, lr_end, lr_max : float
        The rate at the first step, after the last, and at the end of the warm-up.
    warmup_epochs : float
        Length of the warm-up; a training that is shorter ends within it.
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
        If there are no steps, or fewer than `global_step`.
    """
    total = int(total_epochs * steps_per_epoch)
    warmup = int(warmup_epochs * steps_per_epoch)
    problems = Problems()
    if total < 1:
        problems.add(
            f"{total_epochs} epochs of {steps_per_epoch} steps are no training",
            code="out-of-range",
            name="total_epochs",
            value=total_epochs,
        )
    elif not 0 <= global_step <= total:
        problems.add(
            f"global_step is {global_step}; it must lie between 0 and {total}",
            code="out-of-range",
            name="global_step",
            value=global_step,
        )
    problems.raise_as(ConfigurationError, "there is no such schedule")
    rates = _rates(_cosine, lr_max, max(total, warmup), warmup, lr_init, lr_end)
    return _tensor(rates[global_step:total])


def cyclegan_lr(max_epoch: int, n_epoch: int, dataset_size: int) -> Tensor:
    """Return TinyMS's rates for CycleGAN: 2e-4, then a staircase down towards 0.

    Of ``D = max_epoch - n_epoch`` epochs after the first `n_epoch`, the ``k``-th (from 0) has
    ``2e-4 * (D - k) / D``.

    Parameters
    ----------
    max_epoch : int
        Length of the whole.
    n_epoch : int
        Epochs at the full rate.
    dataset_size : int
        Batches in an epoch.

    Returns
    -------
    Tensor of float32, shape (max_epoch * dataset_size,)

    Raises
    ------
    ConfigurationError
        If there are no steps, or more epochs at the full rate than epochs.
    """
    problems = Problems()
    if max_epoch * dataset_size < 1:
        problems.add(
            f"{max_epoch} epochs of {dataset_size} steps are no training",
            code="out-of-range",
            name="max_epoch",
            value=max_epoch,
        )
    if not 0 <= n_epoch <= max_epoch:
        problems.add(
            f"n_epoch is {n_epoch}; it must lie between 0 and {max_epoch}",
            code="out-of-range",
            name="n_epoch",
            value=n_epoch,
        )
    problems.raise_as(ConfigurationError, "there is no such schedule")
    falling = max_epoch - n_epoch
    epochs = np.minimum(max_epoch - np.arange(max_epoch), falling) / max(1, falling)
    epochs[:n_epoch] = 1
    return _tensor(np.repeat(2e-4 * epochs, dataset_size))


def _tensor(rates: Rates) -> Tensor:
    return Tensor(rates.astype(np.float32))


def _cosine(progress: Rates) -> Rates:
    return np.asarray((1 + np.cos(np.pi * progress)) / 2)


def _rates(
    fall: Callable[[Rates], Rates],
    highest: float,
    total: int,
    warmup: int,
    start: float,
    end: float,
) -> Rates:
    """Return the rates; `fall` takes 0 to 1, how much of the descent is done, and gives 1 to 0."""
    problems = Problems()
    if total < 1:
        problems.add(
            f"{total} steps are no training",
            code="out-of-range",
            name="total_steps",
            value=total,
        )
    elif not 0 <= warmup <= total:
        problems.add(
            f"the warm-up takes {warmup} steps; it must lie between 0 and {total}",
            code="out-of-range",
            name="warmup_steps",
            value=warmup,
        )
    problems.raise_as(ConfigurationError, "there is no such schedule")
    steps = np.arange(total)
    rising = start + (highest - start) * steps / max(1, warmup)
    falling = end + (highest - end) * fall((steps - warmup) / max(1, total - warmup))
    return np.maximum(np.where(steps < warmup, rising, falling), 0)
