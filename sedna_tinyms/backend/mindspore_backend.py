"""The backend between Sedna's job classes and an estimator that runs on MindSpore."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.artifact.remote import is_remote
from sedna_tinyms.backend import device
from sedna_tinyms.backend.blueprint import Blueprint, unchanged_on_error
from sedna_tinyms.backend.calling import accepted
from sedna_tinyms.backend.model_files import (
    exists,
    local_path,
    named_model,
    publish,
)
from sedna_tinyms.backend.weights import (
    get_weights,
    readable_weights,
    require_taken_over,
    set_weights,
)
from sedna_tinyms.controller_metrics import plain_metrics
from sedna_tinyms.errors import ConfigurationError, StorageError
from sedna_tinyms.tinyms.context import prefer_graph_mode

__all__ = ["MSBackend"]

MINDSPORE = threading.RLock()
"""Held while an estimator computes: two threads that run MindSpore at once crash it, or get wrong
numbers, even with a network each. Building a network and loading weights may go on meanwhile."""


class MSBackend:
    """What Sedna's `set_backend` returns, for estimators on MindSpore.

    An estimator has ``train(train_data, valid_data=None, **keywords)``, ``evaluate(data,
    **keywords)``, ``predict(data, **keywords)``, ``save(path)`` and ``load(model_url=path)``;
    optionally ``load_weights(path)`` to begin a training from, and `get_weights` and
    `set_weights`. It may be given as a class, an instance, a factory, a `Cell` or a `Model`.

    Predictions go on while a model is loaded: it is loaded into a new estimator, which takes the
    old one's place in one assignment, between two predictions. Only for an instance that cannot
    be copied (a compiled `Model`, say) do they wait instead.

    Parameters
    ----------
    estimator : class, callable, object, Cell or Model
        See above; a class or factory is called without arguments.
    fine_tune : bool
        Begin a training from the model that ``BASE_MODEL_URL`` names.
    **kwargs
        What Sedna passes: `model_save_path` and `model_name` say where models are; `use_cuda`,
        `use_npu` and `device_category`, which device to use (see `device.wanted_target`).

    Attributes
    ----------
    estimator : object
        The estimator in service.
    has_load : bool
        Whether it has weights: from a file, a training or `set_weights`.

    Raises
    ------
    ConfigurationError
        If `estimator` is none.
    DeviceError
        If the device wanted cannot be had.
    """

    framework = "mindspore"

    def __init__(self, estimator: Any, fine_tune: bool = True, **kwargs: Any) -> None:
        self.use_cuda = bool(kwargs.get("use_cuda"))
        self.use_npu = bool(kwargs.get("use_npu"))
        device.select_target(
            device.wanted_target(
                kwargs.get("device_category"), use_cuda=self.use_cuda, use_npu=self.use_npu
            )
        )
        prefer_graph_mode()
        self.fine_tune = fine_tune
        self.model_save_path: str = kwargs.get("model_save_path") or tempfile.gettempdir()
        self.default_name: str | None = kwargs.get("model_name")
        self.has_load = False
        self._blueprint = Blueprint(estimator)
        self.estimator = self._blueprint.first
        self._loading = threading.Lock()
        self._served: tuple[object, ...] | None = None
        self._served_directory = self.model_save_path
        self._base: str | None = None

    @property
    def model_name(self) -> str:
        """Name of the model file; always ends in ``.ckpt``, as MindSpore insists on."""
        tuned = "_finetune_" if self.fine_tune else ""
        return _with_suffix(self.default_name or f"model{tuned}{self.framework}")

    def train(
        self, train_data: Any, valid_data: Any = None, **kwargs: Any
    ) -> dict[str, list[float]]:
        """Train the estimator, from the model at ``BASE_MODEL_URL`` if that is set.

        Returns
        -------
        dict
            The estimator's metrics, each a list of floats; empty if it gave none.

        Raises
        ------
        ModelFileError
            If the base model is missing, broken or foreign.
        MetricsError
            If the metrics cannot be compared, because the training diverged, say.
        """
        base = os.environ.get("BASE_MODEL_URL")
        if self.fine_tune and base and base != self._base:
            self.load_weights(base)
            self._base = base
        train = self.estimator.train
        with MINDSPORE:
            result = train(
                train_data=train_data,
                **accepted(train, {"valid_data": valid_data, **kwargs}, offered=("valid_data",)),
            )
        self.has_load = True
        self._served = None
        self._served_directory = self.model_save_path
        source = f"{type(self.estimator).__name__}.train"
        return {} if result is None else plain_metrics(result, source=source)

    def predict(self, data: Any, **kwargs: Any) -> Any:
        """Return what the estimator in service makes of `data`; load the model first if needed."""
        if not self.has_load:
            self.load()
        predict = self.estimator.predict  # one snapshot: an update meanwhile does not touch it
        with MINDSPORE:
            return predict(data, **accepted(predict, kwargs))

    def evaluate(self, data: Any, **kwargs: Any) -> dict[str, list[float]]:
        """Evaluate the model at `model_path`, or else at `model_save_path`.

        The model is loaded whenever that names another file, or the file has changed, since the
        last time; so each of ``new;old`` is measured as it is.

        Returns
        -------
        dict
            The estimator's metrics, each a list of floats.
        """
        model_path = kwargs.get("model_path") or ""
        moved = self.model_save_path != self._served_directory
        if model_path:
            if self._served is None or self._served != _identity(model_path):
                self.load(model_path)
        elif moved or not self.has_load:
            self.load()
        evaluate = self.estimator.evaluate
        with MINDSPORE:
            result = evaluate(data, **accepted(evaluate, kwargs, offered=("model_path",)))
        return plain_metrics(result, source=f"{type(self.estimator).__name__}.evaluate")

    def save(self, model_url: str = "", model_name: str | None = None) -> str:
        """Save the estimator below `model_save_path`, and at `model_url` too if that is elsewhere.

        The estimator saves to a temporary directory; what it wrote there (the model, and files of
        the same stem such as a replay memory or an ONNX export) is then put into place, each file
        whole or not at all, the model last, readable by everyone.

        Parameters
        ----------
        model_url : str
            Path or URL of a file, or of an existing directory.
        model_name : str, optional
            Name of the local file; `model_name` by default.

        Returns
        -------
        str
            Path or URL of the model: `model_url` if that was given.

        Raises
        ------
        StorageError
            If it cannot be written, or the estimator's `save` wrote no such file.
        """
        name = _with_suffix(model_name) if model_name else self.model_name
        targets = self._targets(model_url, name)
        with tempfile.TemporaryDirectory(prefix="sedna-tinyms-") as directory:
            path = Path(directory, name)
            with MINDSPORE:
                self.estimator.save(str(path))
            if not path.is_file():
                written = sorted(entry.name for entry in path.parent.iterdir())
                raise StorageError(
                    f"{type(self.estimator).__name__}.save({str(path)!r}) wrote no such file"
                    + (f", but {', '.join(written)}" if written else "")
                )
            for target in targets:
                publish(path.parent, name, target)
        return targets[-1]

    def load(self, model_url: str = "", model_name: str | None = None, **kwargs: Any) -> Any:
        """Load a model and put it into service; the old one serves until then, and if this fails.

        Parameters
        ----------
        model_url : str
            Path or URL of a file, whatever its name, or a directory; `model_save_path` by default.
        model_name : str, optional
            Name of the model in a directory; `model_name` by default.
        **kwargs
            Passed to the estimator's `load`.

        Returns
        -------
        object
            What the estimator's `load` returned.

        Raises
        ------
        ModelFileError
            If the file is missing, a directory, empty, truncated, or holds NaN.
        ForeignModelError
            If it belongs to another network.
        """
        url = str(model_url or self.model_save_path)
        name = _with_suffix(model_name) if model_name else self.model_name
        with self._loading:
            identity = _identity(url)
            with named_model(url, name) as path:
                if self._blueprint.can_make:
                    estimator = self._blueprint.make()
                    result = _load(estimator, path, url, kwargs)
                    self.estimator = estimator
                else:
                    with MINDSPORE, unchanged_on_error(self.estimator):
                        result = _load(self.estimator, path, url, kwargs)
            self.has_load = True
            self._served = identity
            self._served_directory = self.model_save_path
        return result

    def load_weights(self, model_url: str = "") -> None:
        """Give the estimator in service the weights to begin a training from.

        Its `load_weights` is called, which may be more lenient than `load` (a backbone with a new
        head, say), or `load` if it has none.

        Parameters
        ----------
        model_url : str
            As for `load`.

        Raises
        ------
        ModelFileError
            As for `load`; the estimator then is as it was.
        """
        url = str(model_url or self.model_save_path)
        with (
            named_model(url, self.model_name, with_memory=True) as path,
            MINDSPORE,
            unchanged_on_error(self.estimator),
        ):
            _load(self.estimator, path, url, {}, to_train=True)
        self.has_load = True
        self._served = None
        self._served_directory = self.model_save_path

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

    def model_info(
        self, model: str, relpath: str | None = None, result: Any = None
    ) -> list[dict[str, Any]]:
        """Describe a model file as Sedna's controller wants it reported.

        Parameters
        ----------
        model : str
            Path or URL of the model.
        relpath : str, optional
            Directory that the container has and the host has not; it is cut off.
        result : mapping, optional
            Metrics.

        Returns
        -------
        list of dict
            `format`, `url` and `metrics` of the checkpoint; then of the ONNX file of the same
            stem, if there is one.
        """
        model = str(model)
        metrics = {} if result is None else plain_metrics(result, source="the evaluation")
        form = PurePosixPath(model).suffix.removeprefix(".")
        urls = {form or "ckpt": model}
        exported = f"{model.removesuffix(f'.{form}')}.onnx"
        if form != "onnx" and exists(exported):
            urls["onnx"] = exported
        return [
            {"format": form, "url": _without_prefix(url, relpath), "metrics": metrics}
            for form, url in urls.items()
        ]

    def _targets(self, model_url: str, name: str) -> list[str]:
        """List where to save: on this machine first, then at `model_url` if that is elsewhere."""
        targets = []
        if not is_remote(self.model_save_path):
            path = local_path(self.model_save_path)
            targets.append(str(path.with_name(name) if path.is_file() else path / name))
        url = str(model_url)
        if not url and not targets:
            return [f"{self.model_save_path.rstrip('/')}/{name}"]
        if url and not is_remote(url):
            path = local_path(url)
            inside = path.is_dir() and path.suffix != PurePosixPath(name).suffix
            url = str(path / name if inside else path)
        if url and url not in targets:
            targets.append(url)
        return targets


def _load(
    estimator: Any, path: Path, url: str, kwargs: dict[str, Any], *, to_train: bool = False
) -> Any:
    """Let `estimator` load a file, and make sure that it did."""
    methods = ("load_weights", "load") if to_train else ("load", "load_weights")
    method = next((m for m in methods if callable(getattr(estimator, m, None))), None)
    if method is None:
        raise ConfigurationError(
            f"{type(estimator).__name__} can load no model: it needs load(model_url=path)"
        )
    function = getattr(estimator, method)
    weights = readable_weights(estimator, path)
    if method == "load":
        result = function(model_url=str(path), **accepted(function, kwargs))
    else:
        result = function(str(path))
    weights = weights or readable_weights(estimator, path)
    if weights is not None:
        require_taken_over(estimator, weights, url)
    return result


def _with_suffix(name: str) -> str:
    return name if name.endswith(".ckpt") else f"{name}.ckpt"


def _identity(url: str) -> tuple[object, ...]:
    """Return what tells one content of `url` from the next; unique where that is unknown."""
    if is_remote(url):
        return (url, object())
    try:
        status = local_path(url).stat()
    except OSError:
        return (url, object())
    return (url, status.st_ino, status.st_size, status.st_mtime_ns)


def _without_prefix(url: str, prefix: str | None) -> str:
    """Cut off a leading directory; ``/home/data2`` does not lie in ``/home/data``."""
    stem = (prefix or "").rstrip("/")
    if stem and (url == stem or url.startswith(f"{stem}/")):
        return url.removeprefix(stem)
    return url
