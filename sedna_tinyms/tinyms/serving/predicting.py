"""Predictions for requests: only so many at a time, each on a version that takes its input."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from threading import BoundedSemaphore

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.errors import did_you_mean
from sedna_tinyms.tinyms.serving.metrics import Metrics
from sedna_tinyms.tinyms.serving.refusal import Refusal
from sedna_tinyms.tinyms.serving.repository import Repository
from sedna_tinyms.tinyms.serving.runner import ReplacedError, Result, Runner
from sedna_tinyms.tinyms.serving.servable import Servable

__all__ = ["Predictor"]

PATIENCE_SECONDS = 60.0
"""How long a prediction may wait; a network that is being compiled delays it by seconds."""
HUNG_SECONDS = 120.0
"""What takes longer than this, one batch or one network to load, will not end any more."""


class Predictor:
    """What the routes ask for predictions.

    Parameters
    ----------
    repository : Repository
        Finds servables.
    runner : Runner
        Runs them.
    waiting_limit : int
        Predictions being worked on or waiting.
    metrics : Metrics
        Is told how many are.
    """

    def __init__(
        self, repository: Repository, runner: Runner, waiting_limit: int, metrics: Metrics
    ) -> None:
        self.repository = repository
        self._runner = runner
        self._places = BoundedSemaphore(waiting_limit)
        self._waiting = metrics.waiting

    @property
    def hangs(self) -> bool:
        """Whether what is under way takes so long that no prediction will be answered again."""
        return self._runner.busy_seconds > HUNG_SECONDS

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold one of the places for predictions; from before the request's body is read.

        Raises
        ------
        Refusal
            503 if all are taken.
        """
        if not self._places.acquire(blocking=False):
            raise Refusal(503, "too many predictions are waiting", code="busy", retry_after=1)
        try:
            with self._waiting.track_inprogress():
                yield
        finally:
            self._places.release()

    def find(self, name: object) -> Servable:
        """Return the servable in service under `name`.

        Raises
        ------
        Refusal
            404 if there is none, 503 if it could not be loaded.
        """
        states = self.repository.states
        state = states.get(name) if isinstance(name, str) else None
        if state is None:
            raise Refusal(
                404,
                f"no servable is named {name!r:.80}{did_you_mean(str(name), states)}",
                code="unknown-name",
            )
        if state.servable is None:
            raise Refusal(
                503,
                f"{state.entry.name} is not in service: {state.reason}",
                code="not-in-service",
                retry_after=5,
            )
        return state.servable

    def predict(
        self, name: object, inputs_for: Callable[[Servable], NDArray[np.float32]]
    ) -> Result:
        """Return the outputs of the servable `name` for what `inputs_for` makes for it.

        `inputs_for` is called again if the servable came to take other inputs meanwhile.

        Raises
        ------
        Refusal
            404 or 503 if there is no such servable; 503 if it takes too long; 500 if the outputs
            are no numbers; and whatever `inputs_for` raises.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            servable = self.find(name)
            future = self._runner.predict(servable.entry.name, inputs_for(servable))
            try:
                result = future.result(timeout=max(0.0, deadline - time.monotonic()))
            except ReplacedError:
                continue
            except (TimeoutError, FutureTimeoutError):
                self._runner.give_up(future)
                raise Refusal(
                    503, "the prediction took too long", code="timeout", retry_after=5
                ) from None
            if not np.isfinite(result.output).all():
                raise Refusal(
                    500,
                    "the network's output for this input is NaN or infinite",
                    code="not-finite",
                )
            return result
