"""The backend for estimators of any framework, and the base of others."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import RLock
from typing import Any

from sedna_tinyms.errors import ConfigurationError, ModelFileError
from sedna_tinyms.sedna.common.file_ops import FileOps
from sedna_tinyms.sedna.common.log import LOGGER

__all__ = ["BackendBase"]

SUFFIXES = {"keras": ".pb", "tensorflow": ".pb", "mindspore": ".ckpt", "pytorch": ".pth"}


class BackendBase:
    """Passes a job's calls on to an estimator.

    The estimator has ``train`` (or ``fit``), ``evaluate``, ``predict``, ``save(path)`` and
    ``load(model_url=path)``, each as far as the job needs it. A class or a function is called to
    make the estimator, at its first use; an object is taken as it is, even if it can be called.

    Parameters
    ----------
    estimator : object
        The estimator, its class, or a function that returns one.
    fine_tune : bool
        Whether training goes on from earlier weights.
    **kwargs
        `use_cuda`, `use_npu`, `model_save_path` and `model_name`, as `set_backend` gives them.

    Notes
    -----
    Loading and predicting exclude each other, so that a hot update takes effect between two
    predictions and never within one.
    """

    def __init__(self, estimator: Any, fine_tune: bool = True, **kwargs: Any) -> None:
        self.framework = ""
        self.estimator = estimator
        self.use_cuda = bool(kwargs.get("use_cuda"))
        self.use_npu = bool(kwargs.get("use_npu"))
        self.fine_tune = fine_tune
        self.model_save_path: str = kwargs.get("model_save_path") or "/tmp"  # noqa: S108
        self.default_name: str | None = kwargs.get("model_name")
        self.has_load = False
        self._loaded_from: str | None = None
        self._model_lock = RLock()

    @property
    def model_name(self) -> str:
        """The model's file name: ``MODEL_NAME``, or one that tells the framework."""
        if self.default_name:
            return self.default_name
        tuned = "_finetune_" if self.fine_tune else ""
        return f"model{tuned}{self.framework}{SUFFIXES.get(self.framework, '.pkl')}"

    @property
    def reloadable(self) -> bool:
        """Whether the estimator can change its model at all."""
        return hasattr(self.estimator, "load")

    @staticmethod
    def parse_kwargs(func: Any, **kwargs: Any) -> dict[str, Any]:
        """Keep the keywords that a function takes."""
        if not callable(func):
            return kwargs
        parameters = inspect.signature(func).parameters.values()
        if any(p.kind is p.VAR_KEYWORD for p in parameters):
            return kwargs
        names = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        return {name: value for name, value in kwargs.items() if name in names}

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train with the estimator's `fit` or `train`."""
        self._instantiate(**kwargs)
        result = self._call(("fit", "train"), *args, **kwargs)
        self._in_service()
        return result

    def update(self, *args: Any, **kwargs: Any) -> Any:
        """Go on training with the estimator's `fit` or `update`."""
        self._instantiate(**kwargs)
        result = self._call(("fit", "update"), *args, **kwargs)
        self._in_service()
        return result

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Predict with the model in service, which is loaded first if there is none yet."""
        with self._model_lock:
            self._ensure_loaded()
            return self._call(("predict",), *args, **kwargs)

    def predict_proba(self, *args: Any, **kwargs: Any) -> Any:
        """Predict probabilities, as `predict`."""
        with self._model_lock:
            self._ensure_loaded()
            return self._call(("predict_proba",), *args, **kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluate the model that `model_save_path` names, loading it if it is another."""
        with self._model_lock:
            self._ensure_loaded()
            return self._call(("evaluate",), *args, **kwargs)

    def save(self, model_url: str = "", model_name: str | None = None) -> str:
        """Let the estimator save its model, and copy it to `model_url` if that is elsewhere.

        Returns
        -------
        str
            Where the model is: `model_url`, or the local file.
        """
        place = self._model_file(model_name)
        elsewhere = FileOps.is_remote(place)
        path = str(Path(tempfile.mkdtemp(), Path(place).name)) if elsewhere else place
        FileOps.make_base_dir(path)
        self.estimator.save(path)
        target = model_url or place
        if target == path:
            return path
        if not FileOps.exists(path):
            raise ModelFileError(
                f"{type(self.estimator).__name__}.save({path!r}) returned, but wrote no such file",
                code="missing-file",
                path=path,
            )
        return FileOps.upload(path, target, clean=elsewhere)

    def load(self, model_url: str = "", model_name: str | None = None, **kwargs: Any) -> Any:
        """Load a model from `model_url`, or from where `save` puts it.

        Raises
        ------
        ModelFileError
            If there is no such file; the model in service stays.
        """
        with self._model_lock:
            self._instantiate(**kwargs)
            if not self.reloadable:
                LOGGER.warning(
                    "%s has no load method: it brings its model itself",
                    type(self.estimator).__name__,
                )
                self._in_service()
                return None
            path = model_url or self._model_file(model_name)
            fetched = FileOps.download(path) if FileOps.is_remote(path) else path
            if not FileOps.exists(fetched):
                raise ModelFileError(
                    f"no model at {path}; check MODEL_URL and MODEL_NAME",
                    code="missing-file",
                    path=path,
                )
            result = self.estimator.load(model_url=fetched)
            self._in_service()
            return result

    def model_info(
        self, model: str, relpath: str | None = None, result: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Describe a model file as the controllers want it: format, path on the host, metrics."""
        url = FileOps.remove_path_prefix(model, relpath) if relpath else model
        return [{"format": Path(model).suffix.lstrip("."), "url": url, "metrics": result}]

    def get_weights(self) -> Any:
        """Return the weights, for federated learning."""
        raise NotImplementedError

    def set_weights(self, weights: Any) -> None:
        """Take weights, for federated learning."""
        raise NotImplementedError

    def _ensure_loaded(self) -> None:
        """Load once, and again whenever the job points to another model."""
        if self.has_load and self._loaded_from in (None, self.model_save_path):
            return
        path = self._model_file()
        if self.has_load or FileOps.is_remote(path) or FileOps.exists(path):
            self.load()
        else:
            self._instantiate()

    def _in_service(self) -> None:
        self.has_load, self._loaded_from = True, self.model_save_path

    def _instantiate(self, **kwargs: Any) -> None:
        if inspect.isclass(self.estimator) or inspect.isroutine(self.estimator):
            self.estimator = self.estimator(**self.parse_kwargs(self.estimator, **kwargs))

    def _model_file(self, model_name: str | None = None) -> str:
        place = self.model_save_path
        if Path(place).is_file() or (FileOps.is_remote(place) and Path(place).suffix):
            return place
        return FileOps.join_path(place, model_name or self.model_name)

    def _call(self, names: tuple[str, ...], *args: Any, **kwargs: Any) -> Any:
        method = next((m for n in names if (m := getattr(self.estimator, n, None))), None)
        if method is None:
            raise ConfigurationError(
                f"the estimator {type(self.estimator).__name__} has no method {' or '.join(names)}",
                code="missing-method",
                name=type(self.estimator).__name__,
                expected=names,
            )
        function: Callable[..., Any] = method
        return function(*args, **self.parse_kwargs(function, **kwargs))
