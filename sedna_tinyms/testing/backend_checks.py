"""What a backend must do to serve in Sedna's jobs: the conformance suite of backends.

For a backend of your own::

    from sedna_tinyms.testing import BACKEND_CHECKS, BackendCase

    @pytest.mark.parametrize("check", BACKEND_CHECKS)
    def test_backend(check, tmp_path):
        check(BackendCase(MyBackend, MyEstimator, train_data, query), tmp_path)

or, all at once, ``check_backend(BackendCase(...), directory)``.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.controller_metrics import plain_metrics

__all__ = ["BACKEND_CHECKS", "BackendCase", "check_backend"]

SWAPS = 10
LIMIT_SECONDS = 60.0
"""For one prediction during a swap."""


@dataclass(frozen=True)
class BackendCase:
    """A backend, with an estimator and data to try it on.

    Attributes
    ----------
    backend : callable
        The backend's class.
    estimator : object
        What a worker script would pass: a class, a factory or an instance. An instance is shared
        by all backends made of it, so a class or factory is the stricter test.
    data : object
        To train and to evaluate.
    query : object
        To predict, as one call of `inference` would have it.
    trainings : tuple of two mappings
        Keywords of two trainings that end in models which predict differently.
    """

    backend: Callable[..., Any]
    estimator: Any
    data: Any
    query: Any
    trainings: tuple[Mapping[str, Any], Mapping[str, Any]] = field(default=({}, {}))

    def make(self, directory: Path) -> Any:
        """Build the backend as `set_backend` does."""
        return self.backend(
            estimator=self.estimator,
            use_cuda=False,
            model_save_path=str(directory),
            model_name=None,
            model_save_url=str(directory),
        )

    def predict(self, backend: Any) -> NDArray[Any]:
        """Predict the query."""
        return np.asarray(backend.predict(self.query), dtype=float)

    def train_two(self, directory: Path) -> tuple[list[str], list[NDArray[Any]]]:
        """Train and save two models; return their files, and what each predicts."""
        files, predictions = [], []
        for name, keywords in zip(("one", "two"), self.trainings, strict=True):
            place = directory / name
            place.mkdir()
            backend = self.make(place)
            backend.train(train_data=self.data, valid_data=None, **keywords)
            predictions.append(self.predict(backend))
            files.append(backend.save(str(place / backend.model_name)))
        one, two = predictions
        assert not np.allclose(one, two), "both trainings gave models that predict the same"
        return files, predictions


def check_construction(case: BackendCase, directory: Path) -> None:
    """A new backend has the attributes that jobs read and write, and has loaded nothing."""
    backend = case.make(directory)
    for name in ("framework", "estimator", "use_cuda", "fine_tune", "default_name", "model_name"):
        assert hasattr(backend, name), f"the backend has no {name}"
    assert backend.model_save_path == str(directory)
    assert backend.has_load is False
    assert not any(directory.iterdir())


def check_save_and_load(case: BackendCase, directory: Path) -> None:
    """A model that was saved predicts the same in another backend, and others may read it."""
    files, predictions = case.train_two(directory)
    for path, expected in zip(files, predictions, strict=True):
        assert Path(path).is_file()
        assert Path(path).stat().st_mode & 0o044 == 0o044, f"{path} is not readable by all"
        backend = case.make(directory)
        backend.load(path)
        assert backend.has_load is True
        np.testing.assert_allclose(case.predict(backend), expected, atol=1e-6)


def check_model_info(case: BackendCase, directory: Path) -> None:
    """A model is described by its format, its path on the host, and its metrics."""
    (path, _), _ = case.train_two(directory)
    infos = case.make(directory).model_info(
        path, relpath=str(directory), result={"accuracy": [0.5]}
    )
    assert {"format", "url", "metrics"} <= set(infos[0])
    assert infos[0]["format"] == Path(path).suffix.removeprefix(".")
    assert infos[0]["url"] == path.removeprefix(str(directory))
    assert infos[0]["metrics"] == {"accuracy": [0.5]}
    json.dumps(infos, allow_nan=False)


def check_metrics(case: BackendCase, directory: Path) -> None:
    """An evaluation gives metrics that a controller can compare."""
    (path, _), _ = case.train_two(directory)
    backend = case.make(directory)
    backend.model_save_path = path
    metrics = backend.evaluate(data=case.data, model_path=path)
    assert plain_metrics(metrics, source="evaluate"), "evaluate returned no metrics"


def check_evaluates_each_model(case: BackendCase, directory: Path) -> None:
    """Evaluating ``new;old`` measures two models, in whatever order and however often."""
    files, predictions = case.train_two(directory)
    backend = case.make(directory)
    for turn in (0, 1, 0, 0, 1):
        backend.model_save_path = files[turn]
        backend.evaluate(data=case.data, model_path=files[turn])
        np.testing.assert_allclose(case.predict(backend), predictions[turn], atol=1e-6)


def check_missing_model(case: BackendCase, directory: Path) -> None:
    """A missing model is an error; nothing counts as loaded, and nothing is created."""
    backend = case.make(directory)
    _assert_refused(backend, directory / "absent.ckpt")
    assert backend.has_load is False
    assert not any(directory.iterdir())


def check_broken_model(case: BackendCase, directory: Path) -> None:
    """A model that cannot be read is an error, and the one in service stays."""
    (path, _), (expected, _) = case.train_two(directory)
    backend = case.make(directory)
    backend.load(path)
    broken = directory / f"broken{Path(path).suffix}"
    for content in (b"", b"half a mod", b"\x00" * 1000):
        broken.write_bytes(content)
        _assert_refused(backend, broken)
        np.testing.assert_allclose(case.predict(backend), expected, atol=1e-6)


def check_hot_update_name(case: BackendCase, directory: Path) -> None:
    """A hot update hands over a copy whose name tells nothing about its format."""
    (first, second), (_, expected) = case.train_two(directory)
    backend = case.make(directory)
    backend.load(first)
    copy = directory / "model.2026-11-20 10:07:17.828253543 +0000 UTC m=+41.208315876"
    shutil.copyfile(second, copy)
    backend.load(str(copy))
    copy.unlink()
    np.testing.assert_allclose(case.predict(backend), expected, atol=1e-6)


def check_swap_between_predictions(case: BackendCase, directory: Path) -> None:
    """While models are swapped, every prediction is of the one or the other."""
    files, predictions = case.train_two(directory)
    backend = case.make(directory)
    backend.load(files[0])
    seen: list[NDArray[Any]] = []
    errors: list[Exception] = []
    done = Event()

    def predict() -> None:
        while not done.is_set():
            try:
                seen.append(case.predict(backend))
            except Exception as error:
                errors.append(error)

    predicting = Thread(target=predict, daemon=True)
    predicting.start()
    try:
        for turn in range(SWAPS):
            backend.load(files[(turn + 1) % 2])
            answered = len(seen) + len(errors)
            deadline = time.monotonic() + LIMIT_SECONDS
            while len(seen) + len(errors) == answered:
                assert time.monotonic() < deadline, "a prediction does not end"
                time.sleep(0.001)
    finally:
        done.set()
        predicting.join(LIMIT_SECONDS)
    assert not errors, f"a prediction failed during a swap: {errors[0]!r}"
    mixed = [p for p in seen if not any(np.allclose(p, q, atol=1e-6) for q in predictions)]
    assert not mixed, f"{len(mixed)} of {len(seen)} predictions are of neither model"


BACKEND_CHECKS: tuple[Callable[[BackendCase, Path], None], ...] = (
    check_construction,
    check_save_and_load,
    check_model_info,
    check_metrics,
    check_evaluates_each_model,
    check_missing_model,
    check_broken_model,
    check_hot_update_name,
    check_swap_between_predictions,
)


def check_backend(case: BackendCase, directory: Path) -> None:
    """Run every check, each in a subdirectory of `directory`.

    Raises
    ------
    AssertionError
        At the first fact that does not hold.
    """
    for check in BACKEND_CHECKS:
        place = directory / check.__name__
        place.mkdir(parents=True)
        check(case, place)


def _assert_refused(backend: Any, path: Path) -> None:
    try:
        backend.load(str(path))
    except Exception:
        return
    raise AssertionError(f"{path.name} was loaded as if it were a model")
