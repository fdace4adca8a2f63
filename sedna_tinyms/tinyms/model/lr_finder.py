"""Tries learning rates from low to high, to see which one a training should start with.

Smith, "Cyclical Learning Rates for Training Neural Networks" (2017), section 3.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import mindspore
import numpy as np
from mindspore import Parameter, nn
from mindspore.train import Callback

from sedna_tinyms.errors import ConfigurationError
from sedna_tinyms.tinyms.callbacks.measurements import step_loss
from sedna_tinyms.tinyms.model.modes import kept_modes
from sedna_tinyms.tinyms.model.parameters import kept_parameters, set_value

__all__ = ["LearningRateCurve", "find_learning_rate"]

SMOOTHING = 0.9
DIVERGED = 4.0
FEWEST_LOSSES = 5


@dataclass(frozen=True)
class LearningRateCurve:
    """The loss at each learning rate that was tried.

    Attributes
    ----------
    rates : tuple of float
        Learning rates, rising by the same factor from step to step.
    losses : tuple of float
        The loss at each, before the step was taken.
    smoothed : tuple of float
        The losses as an exponential moving average.
    suggestion : float or None
        A tenth of the rate at which the smoothed loss is lowest; None if it never falls.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    suggestion: float | None

    def __str__(self) -> str:
        if not self.rates:
            return "no learning rate was tried"
        found = "none" if self.suggestion is None else f"{self.suggestion:.2g}"
        return (
            f"suggested learning rate: {found} (tried {len(self.rates)} from "
            f"{self.rates[0]:.2g} to {self.rates[-1]:.2g}; the loss fell from "
            f"{self.losses[0]:.3f} to {min(self.losses):.3f})"
        )


class _Sweep(Callback):  # type: ignore[misc]
    """Raises the learning rate with each step until the loss runs away."""

    def __init__(self, optimizer: nn.Optimizer, rates: list[float]) -> None:
        super().__init__()
        self.global_step = optimizer.global_step
        self.rate = _rate_parameter(optimizer)
        self.planned = rates
        self.rates: list[float] = []
        self.losses: list[float] = []
        self.smoothed: list[float] = []
        self.average = 0.0

    def on_train_step_begin(self, run_context: Any) -> None:  # noqa: ARG002
        rate = self.planned[len(self.losses)]
        # A schedule is an array with a rate for each step: fill it, and stay at its first.
        set_value(self.rate, np.full(self.rate.shape, rate))
        set_value(self.global_step, np.zeros(self.global_step.shape))

    def on_train_step_end(self, run_context: Any) -> None:
        loss = step_loss(run_context.original_args().net_outputs)
        if math.isfinite(loss):
            self.rates.append(self.planned[len(self.losses)])
            self.losses.append(loss)
            self.average = SMOOTHING * self.average + (1 - SMOOTHING) * loss
            # The average starts at 0; this takes that start out of it again.
            self.smoothed.append(self.average / (1 - SMOOTHING ** len(self.losses)))
        if not math.isfinite(loss) or len(self.losses) == len(self.planned) or self._ran_away():
            run_context.request_stop()

    def _ran_away(self) -> bool:
        return len(self.smoothed) >= FEWEST_LOSSES and self.losses[-1] > DIVERGED * abs(
            min(self.smoothed)
        )

    def curve(self) -> LearningRateCurve:
        lowest = int(np.argmin(self.smoothed)) if self.smoothed else 0
        suggestion = self.rates[lowest] / 10 if lowest else None
        return LearningRateCurve(
            tuple(self.rates), tuple(self.losses), tuple(self.smoothed), suggestion
        )


def find_learning_rate(
    model: mindspore.Model, train_dataset: Any, lowest: float, highest: float, steps: int
) -> LearningRateCurve:
    """Try learning rates on a compiled model; see `Model.lr_find`."""
    network = model.train_network
    optimizers = [c for _, c in network.cells_and_names() if isinstance(c, nn.Optimizer)]
    if not optimizers:
        raise ConfigurationError(
            "lr_find needs an optimizer: call compile with one before",
            code="missing-value",
            name="optimizer",
        )
    if not 0 < lowest < highest < math.inf:
        raise ConfigurationError(
            f"lowest is {lowest!r} and highest {highest!r}; it must be 0 < lowest < highest",
            code="out-of-range",
            lowest=lowest,
            highest=highest,
        )
    if steps < FEWEST_LOSSES:
        raise ConfigurationError(
            f"steps is {steps!r}; it must be at least {FEWEST_LOSSES}",
            code="out-of-range",
            name="steps",
            value=steps,
        )
    sweep = _Sweep(optimizers[0], np.geomspace(lowest, highest, steps).tolist())
    epochs = math.ceil(steps / train_dataset.get_dataset_size())
    with kept_modes(network), kept_parameters(network):
        model.train(epochs, train_dataset, callbacks=[sweep], dataset_sink_mode=False)
    return sweep.curve()


def _rate_parameter(optimizer: nn.Optimizer) -> Parameter:
    """Return what holds the optimizer's learning rate: one number, or one a step."""
    rate = optimizer.learning_rate
    if not optimizer.is_group_lr:
        rate = getattr(rate, "learning_rate", rate)
        if isinstance(rate, Parameter):
            return rate
    raise ConfigurationError(
        "lr_find needs an optimizer whose learning rate is a number or an array, the same for all "
        f"parameters; this {type(optimizer).__name__} has "
        f"{'groups of parameters' if optimizer.is_group_lr else type(rate).__name__}",
        code="unsupported",
        name="optimizer",
        value=type(optimizer).__name__,
    )
