"""The gate as a metric of an evaluation of two models, so that a cluster decides as one machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest

from sedna_tinyms.backend import ONNXBackend
from sedna_tinyms.sedna.core.incremental_learning import IncrementalLearning
from sedna_tinyms.testing.controller import Controller


class Listed:
    """Its model is a JSON file with what it gets right of each sample."""

    evaluations: ClassVar[list[str]] = []

    def load(self, model_url: str) -> None:
        self.url = model_url
        self.metrics: dict[str, list[float]] = json.loads(Path(model_url).read_text())

    def predict(self, data: Any) -> Any:
        return data

    def evaluate(self, data: Any) -> dict[str, list[float]]:
        self.evaluations.append(self.url)
        return self.metrics


@pytest.fixture
def compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what evaluates a new and an old model as a worker does, in their order."""

    def compare(new: dict[str, Any], old: dict[str, Any]) -> tuple[Any, Any]:
        urls = []
        for name, metrics in (("new.onnx", new), ("old.onnx", old)):
            (tmp_path / name).write_text(json.dumps(metrics))
            urls.append(str(tmp_path / name))
        monkeypatch.setenv("MODEL_URLS", ";".join(urls))
        Listed.evaluations = []
        backend = ONNXBackend(Listed)
        data = [1, 2, 3]
        return tuple(backend.evaluate(data=data, model_path=url) for url in urls)

    return compare


def of(*correct: float) -> dict[str, list[float]]:
    return {"accuracy": [sum(correct) / len(correct)], "correct": list(correct)}


@pytest.mark.parametrize(
    ("new", "old", "gate"),
    [
        (of(1, 1, 0), of(1, 0, 0), 1.0),
        (of(1, 0, 0), of(1, 1, 0), 0.0),
        (of(1, 0, 0), of(0, 1, 0), 1.0),
        (
            of(0, 0, 0) | {"contradiction": [0.1] * 3},
            of(1, 1, 1) | {"contradiction": [-1] * 3},
            1.0,
        ),
    ],
    ids=["better", "worse", "even", "never trained"],
)
def test_the_new_model_has_the_gate_and_the_old_one_nothing(
    compare: Any, new: dict[str, Any], old: dict[str, Any], gate: float
) -> None:
    first, second = compare(new, old)
    assert (first["gate"], second["gate"]) == ([gate], [0.0])
    assert first.keys() == second.keys()
    assert (first["accuracy"], second["accuracy"]) == (new["accuracy"], old["accuracy"])


def test_each_model_is_evaluated_once(compare: Any) -> None:
    compare(of(1, 1), of(1, 0))
    assert sorted(Path(url).name for url in Listed.evaluations) == ["new.onnx", "old.onnx"]


def test_without_outcomes_there_is_no_gate(compare: Any) -> None:
    first, second = compare({"accuracy": [0.9]}, {"accuracy": [0.8]})
    assert (first, second) == ({"accuracy": [0.9]}, {"accuracy": [0.8]})


def test_one_model_alone_has_no_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "model.onnx"
    model.write_text(json.dumps(of(1, 0)))
    monkeypatch.setenv("MODEL_URLS", str(model))
    assert "gate" not in ONNXBackend(Listed).evaluate(data=[1, 2], model_path=str(model))


def test_other_data_for_the_second_model_is_evaluated_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = []
    for name in ("new.onnx", "old.onnx"):
        (tmp_path / name).write_text(json.dumps(of(1, 0)))
        urls.append(str(tmp_path / name))
    monkeypatch.setenv("MODEL_URLS", ";".join(urls))
    Listed.evaluations = []
    backend = ONNXBackend(Listed)
    backend.evaluate(data=[1, 2], model_path=urls[0])
    assert backend.evaluate(data=[3, 4], model_path=urls[1])["gate"] == [0.0]
    assert len(Listed.evaluations) == 3


def test_a_worker_reports_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    urls = []
    for name, metrics in (("new.onnx", of(1, 1, 0)), ("old.onnx", of(1, 0, 0))):
        (tmp_path / name).write_text(json.dumps(metrics))
        urls.append(str(tmp_path / name))
    with Controller() as controller:
        for name, value in {
            "MODEL_URLS": ";".join(urls),
            "LC_SERVER": controller.url,
            "WORKER_NAME": "eval-worker-1",
            "JOB_NAME": "toy",
            "NAMESPACE": "default",
            "BACKEND_TYPE": "ONNX",
        }.items():
            monkeypatch.setenv(name, value)
        results = IncrementalLearning(estimator=Listed).evaluate([1, 2, 3])
    assert [each["metrics"]["gate"] for each in results] == [[1.0], [0.0]]
