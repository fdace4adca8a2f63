"""Callbacks that watch one measured value: they keep the best weights, or stop in time."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.errors import ConfigurationError, did_you_mean
from sedna_tinyms.tinyms.callbacks.base import EpochCallback
from sedna_tinyms.tinyms.callbacks.measurements import evaluation
from sedna_tinyms.tinyms.context import mean_over_processes

__all__ = ["BestCheckpoint", "EarlyStopping"]

logger = logging.getLogger(__name__)

MODES = ("auto", "min", "max")
SMALLER_IS_BETTER = ("loss", "error", "mae", "mse", "distance", "perplexity")
"""A value is better the smaller it is if its name ends in one of these."""


class _Watch(EpochCallback):
    """Knows the monitored value of each epoch, and which of two is better.

    ``loss`` is the mean over the steps of the epoch; all other values come from the evaluation.
    """

    def __init__(self, monitor: str, mode: str, min_delta: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if mode not in MODES:
            raise ConfigurationError(
                f"mode is {mode!r}{did_you_mean(mode, MODES)}; it must be one of "
                f"{', '.join(MODES)}",
                code="unknown-name",
                name="mode",
                value=mode,
                valid=MODES,
            )
        if not abs(min_delta) < math.inf:
            raise ConfigurationError(
                f"min_delta is {min_delta!r}; it must be a finite number",
                code="not-finite",
                name="min_delta",
                value=min_delta,
            )
        self.monitor = monitor
        self.min_delta = abs(min_delta)
        smaller = mode == "min" or (mode == "auto" and monitor.endswith(SMALLER_IS_BETTER))
        self._sign = -1 if smaller else 1
        self.best: float | None = None

    def measured(self, progress: Any) -> float | None:
        """Return the epoch's value; None if the epoch had no evaluation.

        Raises
        ------
        ConfigurationError
            If the evaluation measured other values only.
        """
        values = evaluation(progress)
        if self.losses:
            values["loss"] = float(np.mean(self.losses))
        if self.monitor not in values and "eval_results" in progress:
            raise ConfigurationError(
                f"{type(self).__name__} monitors {self.monitor!r}, which was not measured"
                f"{did_you_mean(self.monitor, values)}; measured: {', '.join(sorted(values))}",
                code="unknown-name",
                name="monitor",
                value=self.monitor,
                valid=tuple(sorted(values)),
            )
        return values.get(self.monitor)

    def improves(self, value: float, on: float | None) -> bool:
        """Return whether `value` is better by more than `min_delta`; NaN never is."""
        if on is None:
            return not math.isnan(value)
        return self._sign * (value - on) > self.min_delta


class BestCheckpoint(_Watch):
    """Keeps the weights of the best epoch in one file, which is never without them.

    The new best takes the old one's place in a single rename once it is whole on the disk. The
    value stands in the file itself, so a training that is started again replaces the file only
    by something better. In a data-parallel training one process is enough.

    Parameters
    ----------
    path : path
        The ``.ckpt`` file, which `load_weights` reads.
    monitor : str
        ``loss`` (of training), ``eval_loss`` or the name of a metric; all but ``loss`` need
        `Model.fit` with a validation set.
    mode : {"auto", "min", "max"}
        Whether small or large values are good; ``auto`` goes by the name.
    min_delta : float
        An epoch must be better by more than this.
    metadata : mapping, optional
        Stored with the weights, besides ``monitor``, ``monitored_value`` and ``epoch``.

    Attributes
    ----------
    best : float or None
        The best value so far, of earlier trainings too.

    Raises
    ------
    ConfigurationError
        If the file exists but is no best checkpoint by the same value.
    StorageError
        If the file cannot be written; the old one is then untouched.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        monitor: str = "eval_loss",
        mode: str = "auto",
        min_delta: float = 0.0,
        metadata: Mapping[str, str | int | float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(monitor, mode, min_delta, **kwargs)
        self.path = Path(path)
        self.metadata = dict(metadata or {})

    def on_train_begin(self, run_context: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Learn the best value so far from the file, if there is one."""
        self.best = self._stored() if self.path.exists() else None

    def on_train_epoch_end(self, run_context: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Write the weights if the epoch was the best."""
        from sedna_tinyms.tinyms.model.weights_file import save_weights

        progress = run_context.original_args()
        value = self.measured(progress)
        if value is None or not self.improves(value, on=self.best):
            return
        facts = {
            "monitor": self.monitor,
            "monitored_value": repr(value),
            "epoch": progress.cur_epoch_num,
        }
        save_weights(progress.network, self.path, self.metadata | facts)
        self.best = value

    def on_train_end(self, run_context: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Warn if there is no best epoch."""
        if self.best is None:
            logger.warning(
                "%s was not written: no epoch measured %r as a number", self.path, self.monitor
            )

    def _stored(self) -> float:
        from sedna_tinyms.tinyms.model.weights_file import read_weights

        facts = read_weights(self.path).metadata
        if facts.get("monitor") != self.monitor:
            found = (
                f"by {facts['monitor']!r}" if "monitor" in facts else "no best checkpoint at all"
            )
            raise ConfigurationError(
                f"{self.path} exists, and is not the best by {self.monitor!r} but {found}; "
                "move it away, or name another file",
                code="conflict",
                path=str(self.path),
                value=facts.get("monitor"),
                expected=self.monitor,
            )
        return float(facts["monitored_value"])


class EarlyStopping(_Watch):
    """Stops a training whose monitored value no longer improves.

    In a data-parallel training every process needs it: they go by the mean of their values, and
    so stop together.

    Parameters
    ----------
    monitor : str
        As for `BestCheckpoint`.
    min_delta : float
        An epoch must be better by more than this to count as an improvement.
    patience : int
        The training stops after so many epochs without improvement, and not before one; epochs
        that measured nothing do not count.
    verbose : bool
        Whether to log why the training stopped.
    mode : {"auto", "min", "max"}
        As for `BestCheckpoint`.
    baseline : float, optional
        Values that are not better than this are no improvement.
    restore_best_weights : bool
        Whether the network ends with the weights of its best epoch.

    Attributes
    ----------
    best : float or None
        The best value.
    stopped_epoch : int
        The epoch that was the last; 0 if the training ran to its end.
    """

    def __init__(
        self,
        monitor: str = "eval_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: bool = False,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(monitor, mode, min_delta, **kwargs)
        if isinstance(patience, bool) or not isinstance(patience, int) or patience < 0:
            raise ConfigurationError(
                f"patience is {patience!r}; it must be 0 or a whole number",
                code="out-of-range",
                name="patience",
                value=patience,
            )
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.wait = self.stopped_epoch = 0
        self._best_weights: dict[str, NDArray[Any]] = {}

    def on_train_begin(self, run_context: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Forget an earlier training."""
        self.best = self.baseline
        self.wait = self.stopped_epoch = 0
        self._best_weights = {}

    def on_train_epoch_end(self, run_context: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Stop if there was no improvement for too long."""
        progress = run_context.original_args()
        value = self.measured(progress)
        if value is None:
            return
        value = mean_over_processes(value)
        if self.improves(value, on=self.best):
            self.best = value
            self.wait = 0
            if self.restore_best_weights:
                self._best_weights = {
                    p.name: p.asnumpy().copy() for p in progress.network.get_parameters()
                }
            return
        self.wait += 1
        if self.wait >= max(1, self.patience):
            self.stopped_epoch = progress.cur_epoch_num
            run_context.request_stop()

    def on_train_end(self, run_context: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Restore the best weights, and say why the training stopped."""
        from sedna_tinyms.tinyms.model.parameters import set_value

        if self.verbose and self.stopped_epoch:
            logger.warning(
                "stopped after epoch %d: %s did not get better than %s for %d epochs",
                self.stopped_epoch,
                self.monitor,
                self.best,
                self.wait,
            )
        for parameter in run_context.original_args().network.get_parameters():
            if parameter.name in self._best_weights:
                set_value(parameter, self._best_weights[parameter.name])
