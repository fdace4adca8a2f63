"""What every backend between Sedna's job classes and an estimator does, whatever computes."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from sedna_tinyms.artifact.remote import is_remote
from sedna_tinyms.backend.blueprint import Blueprint
from sedna_tinyms.backend.calling import accepted
from sedna_tinyms.backend.model_files import (
    exists,
    local_path,
    named_model,
    publish,
)
from sedna_tinyms.controller_metrics import plain_metrics
from sedna_tinyms.errors import ConfigurationError, StorageError
from sedna_tinyms.gate import passes
from sedna_tinyms.outcomes import GATE, OUTCOMES, pack_outcomes

__all__ = ["EstimatorBackend"]


class EstimatorBackend:
    """What Sedna's `set_backend` returns; a subclass adds what is special about a framework.

    An estimator has ``train(train_data, valid_data=None, **keywords)``, ``evaluate(data,
    **keywords)``, ``predict(data, **keywords)``, ``save(path)`` and ``load(model_url=path)``;
    optionally ``load_weights(path)`` to begin a training from, and `engines`, a mapping that says
    which engine computes what, and why. It may be given as a class, an instance or a factory.

    Predictions go on while a model is loaded: it is loaded into a new estimator, which takes the
    old one's place in one assignment, between two predictions. Only for an instance that cannot
    be copied do they wait instead.

    Parameters
    ----------
    estimator : class, callable or object
        See above; a class or factory is called without arguments.
    fine_tune : bool
        Begin a training from the model that ``BASE_MODEL_URL`` names.
    **kwargs
        What Sedna passes: `model_save_path` and `model_name` say where models are; `use_cuda`,
        `use_npu` and `device_category`, which device to use.

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
    """

    framework: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]
    """What a model's name may end in, what is saved first."""

    def __init__(self, estimator: Any, fine_tune: bool = True, **kwargs: Any) -> None:
        self.use_cuda = bool(kwargs.get("use_cuda"))
        self.use_npu = bool(kwargs.get("use_npu"))
        self.fine_tune = fine_tune
        self.model_save_path: str = kwargs.get("model_save_path") or tempfile.gettempdir()
        self.default_name: str | None = kwargs.get("model_name")
        self.has_load = False
        self._blueprint = Blueprint(estimator, self._face)
        self.estimator = self._blueprint.first
        self._computing: AbstractContextManager[Any] = (
            nullcontext() if self._blueprint.can_make else threading.RLock()
        )
        self._loading = threading.Lock()
        self._served: tuple[object, ...] | None = None
        self._served_directory = self.model_save_path
        self._base: str | None = None
        self._saved: tuple[str, float] | None = None
        self._old_result: tuple[str, Any, dict[str, list[float]]] | None = None

    @property
    def model_name(self) -> str:
        """Name of the model file; always ends in the suffix of its format."""
        tuned = "_finetune_" if self.fine_tune else ""
        return self._with_suffix(self.default_name or f"model{tuned}{self.framework}")

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
        with self._computing:
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
        with self._computing:
            return predict(data, **accepted(predict, kwargs))

    def evaluate(self, data: Any, **kwargs: Any) -> dict[str, list[float]]:
        """Evaluate the model at `model_path`, or else at `model_save_path`.

        The model is loaded whenever that names another file, or the file has changed, since the
        last time; so each of ``new;old`` is measured as it is.

        Where ``MODEL_URLS`` names a new and an old model, and the estimator says which samples are
        ``correct``, the new model's metrics have ``gate``: 1.0 if it passes (see
        `sedna_tinyms.gate`), 0.0 if not; the old model's is 0.0. So the trigger
        ``gate_delta[0] > 0`` decides on a cluster as the gate does on one machine.

        Returns
        -------
        dict
            The estimator's metrics, each a list of floats.
        """
        url = str(kwargs.get("model_path") or "")
        new, old = _compared_models()
        if not url or url not in (new, old) or new == old:
            return self._evaluate(data, kwargs)
        if url == new:
            before = self._evaluate(data, kwargs | {"model_path": old})
            result = self._evaluate(data, kwargs)
            passed = passes(result, before)
            if passed is not None:
                result, before = result | {GATE: [float(passed)]}, before | {GATE: [0.0]}
            self._old_result = old, data, before
            return result
        compared, self._old_result = self._old_result, None
        if compared is not None and compared[0] == url and compared[1] is data:
            return compared[2]
        result = self._evaluate(data, kwargs)
        return result | {GATE: [0.0]} if OUTCOMES in result else result

    def _evaluate(self, data: Any, kwargs: dict[str, Any]) -> dict[str, list[float]]:
        model_path = kwargs.get("model_path") or ""
        moved = self.model_save_path != self._served_directory
        if model_path:
            if self._served is None or self._served != _identity(model_path):
                self.load(model_path)
        elif moved or not self.has_load:
            self.load()
        self._saved = None
        evaluate = self.estimator.evaluate
        with self._computing:
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
        start = time.perf_counter()
        name = self._with_suffix(model_name) if model_name else self.model_name
        targets = self._targets(model_url, name)
        with tempfile.TemporaryDirectory(prefix="sedna-tinyms-") as directory:
            path = Path(directory, name)
            with self._computing:
                self.estimator.save(str(path))
            if not path.is_file():
                written = sorted(entry.name for entry in path.parent.iterdir())
                raise StorageError(
                    f"{type(self.estimator).__name__}.save({str(path)!r}) wrote no such file"
                    + (f", but {', '.join(written)}" if written else ""),
                    code="missing-file",
                    name=name,
                    found=tuple(written),
                )
            for target in targets:
                publish(path.parent, name, target)
        self._saved = targets[-1], time.perf_counter() - start
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
        name = self._with_suffix(model_name) if model_name else self.model_name
        with self._loading:
            identity = _identity(url)
            with named_model(url, name, self.suffixes) as path:
                if self._blueprint.can_make:
                    with self._computing:
                        estimator = self._blueprint.make()
                        result = self._load_into(estimator, path, url, kwargs)
                    self.estimator = estimator
                else:
                    with self._computing, self._unchanged_on_error(self.estimator):
                        result = self._load_into(self.estimator, path, url, kwargs)
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
            named_model(url, self.model_name, self.suffixes, with_companions=True) as path,
            self._computing,
            self._unchanged_on_error(self.estimator),
        ):
            self._load_into(self.estimator, path, url, {}, to_train=True)
        self.has_load = True
        self._served = None
        self._served_directory = self.model_save_path

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
            `format`, `url` and `metrics` of the model; then of the ONNX file of the same stem,
            if there is one. The metrics of a training have `seconds_saving` besides. Where the
            estimator has `engines`, each entry has them too: a controller passes over what it
            does not know.
        """
        model = str(model)
        metrics = {} if result is None else plain_metrics(result, source="the evaluation")
        metrics = pack_outcomes(metrics)
        if result is not None and self._saved is not None and self._saved[0] == model:
            metrics["seconds_saving"] = [self._saved[1]]
        engines = dict(getattr(self.estimator, "engines", None) or {})
        form = PurePosixPath(model).suffix.removeprefix(".")
        urls = {form or self.suffixes[0].removeprefix("."): model}
        exported = f"{model.removesuffix(f'.{form}')}.onnx"
        if form != "onnx" and exists(exported):
            urls["onnx"] = exported
        return [
            {"format": form, "url": _without_prefix(url, relpath), "metrics": metrics}
            | ({"engines": engines} if engines else {})
            for form, url in urls.items()
        ]

    # --- what a framework may add to ------------------------------------------------------------

    def _face(self, candidate: Any) -> Any | None:  # noqa: ARG002
        """Return an estimator made of a bare network of the framework; None for anything else."""
        return None

    @contextmanager
    def _unchanged_on_error(self, estimator: Any) -> Iterator[None]:
        """Give an estimator its attributes back if the block fails."""
        attributes = getattr(estimator, "__dict__", {})
        before = dict(attributes)
        try:
            yield
        except BaseException:
            attributes.clear()
            attributes.update(before)
            raise

    def _load_into(
        self,
        estimator: Any,
        path: Path,
        url: str,  # noqa: ARG002
        kwargs: dict[str, Any],
        *,
        to_train: bool = False,
    ) -> Any:
        """Let an estimator load a file, which came from `url`."""
        methods = ("load_weights", "load") if to_train else ("load", "load_weights")
        method = next((m for m in methods if callable(getattr(estimator, m, None))), None)
        if method is None:
            raise ConfigurationError(
                f"{type(estimator).__name__} can load no model: it needs load(model_url=path)",
                code="missing-method",
                name=type(estimator).__name__,
                expected=methods,
            )
        function = getattr(estimator, method)
        if method == "load":
            return function(model_url=str(path), **accepted(function, kwargs))
        return function(str(path))

    # --- names ----------------------------------------------------------------------------------

    def _with_suffix(self, name: str) -> str:
        return name if name.endswith(self.suffixes[0]) else f"{name}{self.suffixes[0]}"

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


def _compared_models() -> tuple[str, str]:
    """Return the new and the old model that an evaluation is to compare; empty texts if none."""
    urls = [url.strip() for url in os.environ.get("MODEL_URLS", "").split(";") if url.strip()]
    return (urls[0], urls[1]) if len(urls) == 2 else ("", "")


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
