"""What a training has measured, as plain floats."""

from __future__ import annotations

from typing import Any

import numpy as np
from mindspore import Tensor

__all__ = ["evaluation", "learning_rate", "step_loss"]


def step_loss(outputs: Any) -> float:
    """Return the loss in what a training step gave: the first of several, the mean of many."""
    if isinstance(outputs, list | tuple) and outputs and isinstance(outputs[0], Tensor):
        outputs = outputs[0]
    return float(np.mean(outputs.asnumpy() if isinstance(outputs, Tensor) else outputs))


def evaluation(progress: Any) -> dict[str, float]:
    """Return what the evaluation of this epoch measured: nothing, where there was none.

    A metric of several values, such as the precision of each class, gives one entry a value:
    ``precision_0``, ``precision_1`` and so on.

    Parameters
    ----------
    progress : dict
        MindSpore's callback parameters, at the end of an epoch.
    """
    measured: dict[str, float] = {}
    for name, value in (progress.get("eval_results") or {}).items():
        array = np.asarray(value.asnumpy() if isinstance(value, Tensor) else value)
        if array.dtype.kind not in "biuf":
            continue
        for index in np.ndindex(array.shape):
            measured["_".join([name, *map(str, index)])] = float(array[index])
    return measured


def learning_rate(progress: Any) -> float | None:
    """Return the learning rate of the step just taken; None where there is not exactly one."""
    optimizer = progress.get("optimizer")
    rate = getattr(optimizer, "learning_rate", None)
    if rate is None or getattr(optimizer, "is_group_lr", False):
        return None
    if optimizer.dynamic_lr:
        rate = rate(optimizer.global_step - 1)
    return float(rate.asnumpy().item())
