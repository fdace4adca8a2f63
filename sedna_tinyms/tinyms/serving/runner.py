"""The one thread that runs networks; everything else waits for it.

MindSpore 2.10 refuses a second compilation or execution in a process while one is under way, and
crashes where two threads call one network. So all of both happens here, in the order of
submission. Predictions that wait for the same network meanwhile are run as one batch: nobody waits
for a batch to fill, and a call's fixed cost is shared by those who had to wait anyway.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition, Thread
from typing import Any, TypeVar

import mindspore
import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.tinyms.serving.network import Network
from sedna_tinyms.tinyms.serving.servable import Servable

__all__ = ["ReplacedError", "Result", "Runner"]

T = TypeVar("T")


class ReplacedError(Exception):
    """The servable was removed, or takes other inputs, since the prediction was submitted."""


@dataclass(frozen=True)
class Result:
    """The outputs for a batch, and the version of the servable that gave them."""

    output: NDArray[np.float32]
    servable: Servable


@dataclass(eq=False)
class _Prediction:
    name: str
    batch: NDArray[np.float32]
    future: Future[Result] = field(default_factory=Future)


@dataclass(eq=False)
class _Call:
    function: Callable[[], Any]
    future: Future[Any] = field(default_factory=Future)


class Runner:
    """Owns the networks and runs them on its thread, from `start` to `stop`.

    Parameters
    ----------
    batch_limit : int
        Pictures in one batch at most, unless a single request brings more.
    observe_batch : callable
        Is told the servable's name and the number of pictures of each batch.
    """

    def __init__(self, batch_limit: int, observe_batch: Callable[[str, int], None]) -> None:
        self._batch_limit = batch_limit
        self._observe_batch = observe_batch
        self._networks: dict[str, tuple[Servable, Network]] = {}
        self._tasks: deque[_Prediction | _Call] = deque()
        self._changed = Condition()
        self._stopping = False
        self._began: float | None = None
        self._thread = Thread(target=self._work, name="networks", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what was submitted, then end."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def predict(self, name: str, batch: NDArray[np.float32]) -> Future[Result]:
        """Submit a batch of shape (N, C, H, W) for the servable `name`.

        The future raises `ReplacedError` if the servable no longer takes it.
        """
        prediction = _Prediction(name, batch)
        self._submit(prediction)
        return prediction.future

    def give_up(self, future: Future[Result]) -> None:
        """Forget a prediction that nobody waits for any more, unless it is under way."""
        with self._changed:
            self._tasks = deque(task for task in self._tasks if task.future is not future)

    @property
    def busy_seconds(self) -> float:
        """How long the work under way has taken; infinite if the thread has ended."""
        if not self._thread.is_alive():
            return math.inf
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    def call(self, function: Callable[[], T]) -> Future[T]:
        """Submit work of any kind; predictions submitted before are run before."""
        call = _Call(function)
        self._submit(call)
        return call.future

    def network(self, name: str) -> Network | None:
        """Return the network in service; only for work submitted with `call`."""
        return self._networks[name][1] if name in self._networks else None

    def install(self, servable: Servable, network: Network) -> None:
        """Put a network in service; only for work submitted with `call`."""
        self._networks[servable.entry.name] = (servable, network)

    def remove(self, name: str) -> None:
        """Take a network out of service; only for work submitted with `call`."""
        self._networks.pop(name, None)

    def _submit(self, task: _Prediction | _Call) -> None:
        with self._changed:
            self._tasks.append(task)
            self._changed.notify()

    def _work(self) -> None:
        # Each thread has a mode of its own.
        mindspore.set_context(mode=mindspore.GRAPH_MODE)
        while (task := self._next()) is not None:
            self._began = time.monotonic()
            if isinstance(task, _Call):
                self._call(task)
            else:
                self._run(task)
            self._began = None
        self._networks.clear()

    def _next(self) -> _Call | list[_Prediction] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._tasks or self._stopping)
            if not self._tasks:
                return None
            task = self._tasks.popleft()
            return task if isinstance(task, _Call) else self._with_same_network(task)

    def _with_same_network(self, first: _Prediction) -> list[_Prediction]:
        """Take the predictions that can share a batch with `first`, up to the next call."""
        chosen, pictures = [first], len(first.batch)
        for task in list(self._tasks):
            if isinstance(task, _Call) or pictures >= self._batch_limit:
                break
            fits = task.name == first.name and task.batch.shape[1:] == first.batch.shape[1:]
            if fits and pictures + len(task.batch) <= self._batch_limit:
                chosen.append(task)
                pictures += len(task.batch)
                self._tasks.remove(task)
        return chosen

    def _call(self, call: _Call) -> None:
        try:
            call.future.set_result(call.function())
        except Exception as error:
            call.future.set_exception(error)

    def _run(self, predictions: list[_Prediction]) -> None:
        batches = [prediction.batch for prediction in predictions]
        try:
            servable, output = self._output(predictions[0].name, np.concatenate(batches))
        except Exception as error:
            for prediction in predictions:
                prediction.future.set_exception(error)
            return
        ends = np.cumsum([len(batch) for batch in batches])[:-1]
        for prediction, part in zip(predictions, np.split(output, ends), strict=True):
            prediction.future.set_result(Result(part, servable))

    def _output(
        self, name: str, batch: NDArray[np.float32]
    ) -> tuple[Servable, NDArray[np.float32]]:
        if name not in self._networks:
            raise ReplacedError(name)
        servable, network = self._networks[name]
        if batch.shape[1:] != network.blueprint.input_shape:
            raise ReplacedError(name)
        self._observe_batch(name, len(batch))
        return servable, network(batch)
