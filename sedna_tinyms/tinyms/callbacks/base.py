"""What our callbacks share: hooks that take more than they know, constructors that do not."""

from __future__ import annotations

import inspect
import time
from typing import Any

from mindspore.train.callback import Callback

from sedna_tinyms.errors import ConfigurationError, Problems, did_you_mean
from sedna_tinyms.tinyms.callbacks.measurements import step_loss

__all__ = ["EpochCallback", "StrictCallback"]


class StrictCallback(Callback):  # type: ignore[misc]
    """A callback whose hooks all take ``**kwargs``, so that a caller may pass more one day.

    Its constructor takes ``**kwargs`` too, only to refuse them by name: a subclass passes on what
    it does not know.

    Raises
    ------
    ConfigurationError
        If a keyword is unknown.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__()
        kind = type(self)
        known = [
            name
            for name, parameter in inspect.signature(kind).parameters.items()
            if parameter.kind is not parameter.VAR_KEYWORD
        ]
        problems = Problems()
        for name in kwargs:
            problems.add(
                f"unknown keyword {name!r}{did_you_mean(name, known)}",
                code="unknown-key",
                name=name,
                valid=tuple(known),
            )
        problems.raise_as(
            ConfigurationError,
            f"{kind.__name__} cannot be built (it takes {', '.join(known) or 'no keywords'})",
        )

    def on_train_begin(self, run_context: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Called once before the training."""
        super().on_train_begin(run_context)

    def on_train_epoch_begin(self, run_context: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Called before each epoch."""
        super().on_train_epoch_begin(run_context)

    def on_train_step_begin(self, run_context: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Called before each step."""
        super().on_train_step_begin(run_context)

    def on_train_step_end(self, run_context: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Called after each step."""
        super().on_train_step_end(run_context)

    def on_train_epoch_end(self, run_context: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Called after each epoch and its evaluation, if there was one."""
        super().on_train_epoch_end(run_context)

    def on_train_end(self, run_context: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Called once after the training."""
        super().on_train_end(run_context)

    def on_eval_begin(self, run_context: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Called once before an evaluation."""
        super().on_eval_begin(run_context)

    def on_eval_epoch_begin(self, run_context: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Called before the pass over the evaluation's data."""
        super().on_eval_epoch_begin(run_context)

    def on_eval_step_begin(self, run_context: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Called before each batch of an evaluation."""
        super().on_eval_step_begin(run_context)

    def on_eval_step_end(self, run_context: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Called after each batch of an evaluation."""
        super().on_eval_step_end(run_context)

    def on_eval_epoch_end(self, run_context: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Called after the pass over the evaluation's data."""
        super().on_eval_epoch_end(run_context)

    def on_eval_end(self, run_context: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Called once after an evaluation."""
        super().on_eval_end(run_context)


class EpochCallback(StrictCallback):
    """Keeps the losses and the time of the epoch.

    Attributes
    ----------
    losses : list of float
        One for each step of the epoch so far.
    step_seconds, epoch_seconds : float
        How long the last step took, and the epoch up to the end of it: without the evaluation.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.losses: list[float] = []
        self.step_seconds = self.epoch_seconds = 0.0
        self._epoch_start = self._step_start = 0.0

    def on_train_epoch_begin(self, run_context: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Forget the last epoch."""
        self.losses = []
        self.epoch_seconds = 0.0
        self._epoch_start = time.perf_counter()

    def on_train_step_begin(self, run_context: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Start the step's clock."""
        self._step_start = time.perf_counter()

    def on_train_step_end(self, run_context: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Keep the step's loss and time."""
        self.losses.append(step_loss(run_context.original_args().net_outputs))
        now = time.perf_counter()
        self.step_seconds = now - self._step_start
        self.epoch_seconds = now - self._epoch_start
