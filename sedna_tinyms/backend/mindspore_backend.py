"""The backend for estimators that run on MindSpore."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.backend import device
from sedna_tinyms.backend.estimator_backend import EstimatorBackend
from sedna_tinyms.backend.networks import network_estimator, weights_kept_on_error
from sedna_tinyms.backend.weights import (
    get_weights,
    readable_weights,
    require_taken_over,
    set_weights,
)
from sedna_tinyms.tinyms.context import prefer_graph_mode

__all__ = ["MSBackend"]

MINDSPORE = threading.RLock()
"""Held while an estimator computes: two threads that run MindSpore at once crash it, or get wrong
numbers, even with a network each. To build and load a network meanwhile was seen to end the process
too, if seldom."""


class MSBackend(EstimatorBackend):
    """`EstimatorBackend` for estimators on MindSpore, a bare `Cell` or `Model` among them.

    What was loaded is looked at again: MindSpore itself takes nothing from a foreign checkpoint
    without a word.

    Parameters
    ----------
    estimator : class, callable, object, Cell or Model
        See `EstimatorBackend`; for `get_weights` and `set_weights` it has methods of these names,
        or holds one network.
    fine_tune : bool
        Begin a training from the model that ``BASE_MODEL_URL`` names.
    **kwargs
        What Sedna passes; for the device, see `device.wanted_target`.

    Raises
    ------
    ConfigurationError
        If `estimator` is none.
    DeviceError
        If the device wanted cannot be had.
    """

    framework = "mindspore"
    suffixes = (".ckpt", ".npz", ".safetensors")

    def __init__(self, estimator: Any, fine_tune: bool = True, **kwargs: Any) -> None:
        device.select_target(
            device.wanted_target(
                kwargs.get("device_category"),
                use_cuda=bool(kwargs.get("use_cuda")),
                use_npu=bool(kwargs.get("use_npu")),
            )
        )
        prefer_graph_mode()
        super().__init__(estimator, fine_tune, **kwargs)
        self._computing = MINDSPORE

    def get_weights(self) -> list[NDArray[np.float32]]:
        """Return the weights as arrays, for federated learning.

        The order is the estimator's own, or that of its network's `get_parameters`: by layer,
        and in a batch normalization moving mean, moving variance, gamma, beta.
        """
        with MINDSPORE:
            return get_weights(self.estimator)

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Take weights in the order of `get_weights`: all of them, or none.

        Parameters
        ----------
        weights : sequence
            Float arrays, or the nested lists of floats that Sedna's federated averaging gives.

        Raises
        ------
        ConfigurationError
            If their number or a shape is wrong, one holds integers, NaN or infinity.
        """
        with MINDSPORE:
            set_weights(self.estimator, weights)
        self.has_load = True
        self._served = None

    def _face(self, candidate: Any) -> Any | None:
        return network_estimator(candidate)

    @contextmanager
    def _unchanged_on_error(self, estimator: Any) -> Iterator[None]:
        with super()._unchanged_on_error(estimator), weights_kept_on_error(estimator):
            yield

    def _load_into(
        self,
        estimator: Any,
        path: Path,
        url: str,
        kwargs: dict[str, Any],
        *,
        to_train: bool = False,
    ) -> Any:
        weights = readable_weights(estimator, path)
        result = super()._load_into(estimator, path, url, kwargs, to_train=to_train)
        weights = weights or readable_weights(estimator, path)
        if weights is not None:
            require_taken_over(estimator, weights, url)
        return result
