"""What ONNXBackend adds to, and leaves out of, what all backends do."""

import json
import threading
from pathlib import Path

import fsspec
import pytest

from sedna_tinyms.backend import ONNXBackend
from sedna_tinyms.errors import ConfigurationError, ForeignModelError, ModelFileError

DEADLINE = 60.0


class OneNumber:
    """Its model is one number in a file."""

    def __init__(self):
        self.number = None

    def load(self, model_url):
        assert model_url.endswith(".onnx")
        try:
            self.number = json.loads(Path(model_url).read_text())
        except ValueError as error:
            raise ModelFileError(
                f"{model_url} is broken", code="damaged", path=model_url
            ) from error

    def predict(self, data):
        return [self.number, data]

    def evaluate(self, data):
        return {"accuracy": self.number, "correct": [1.0, 0.0]}


def write_number(path, number):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(number))
    return str(path)


@pytest.mark.parametrize(
    ("keywords", "name"),
    [
        ({}, "model_finetune_onnx.onnx"),
        ({"model_name": "helmets"}, "helmets.onnx"),
        ({"model_name": "helmets.onnx"}, "helmets.onnx"),
    ],
)
def test_model_name_always_ends_in_onnx(keywords, name):
    assert ONNXBackend(OneNumber, **keywords).model_name == name


@pytest.mark.parametrize("estimator", [OneNumber, OneNumber(), lambda: OneNumber()])
def test_it_answers_with_the_model_that_the_job_names(estimator, tmp_path):
    path = write_number(tmp_path / "deploy" / "deploy.onnx", 4)
    for place in (path, str(tmp_path / "deploy"), f"file://{path}"):
        assert ONNXBackend(estimator, model_save_path=place).predict("x") == [4, "x"]


def test_new_and_old_are_evaluated_each_for_itself(tmp_path):
    backend = ONNXBackend(OneNumber)
    for number in (2, 1, 2):
        url = backend.model_save_path = write_number(tmp_path / f"{number}.onnx", number)
        measured = backend.evaluate(data=[], model_path=url)
        assert measured == {"accuracy": [float(number)], "correct": [1.0, 0.0]}


def test_a_hot_update_has_a_name_without_a_suffix(tmp_path):
    backend = ONNXBackend(OneNumber, model_save_path=write_number(tmp_path / "a.onnx", 1))
    assert backend.predict(0) == [1, 0]
    backend.load(write_number(tmp_path / "model.2026-11-20 10:07:17.8 +0000 UTC m=+41.2", 2))
    assert backend.predict(0) == [2, 0]


def test_a_broken_update_leaves_the_model_in_service(raises, tmp_path):
    backend = ONNXBackend(OneNumber, model_save_path=write_number(tmp_path / "a.onnx", 1))
    backend.load()
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "broken.onnx").write_text("{")
    (tmp_path / "folder.onnx").mkdir()
    codes = {
        "empty": "empty",
        "broken": "damaged",
        "folder": "not-a-file",
        "gone": "missing-file",
    }
    for name, code in codes.items():
        with raises(ModelFileError, code, path=tmp_path / f"{name}.onnx"):
            backend.load(str(tmp_path / f"{name}.onnx"))
    assert backend.predict(0) == [1, 0]


def test_a_checkpoint_is_refused_with_the_way_out(raises, tmp_path):
    path = write_number(tmp_path / "deploy.ckpt", 1)
    with raises(ForeignModelError, "unknown-format", path=path):
        ONNXBackend(OneNumber, model_save_path=path).predict(0)


def test_a_remote_model_is_fetched():
    with fsspec.open("memory://edge/model.onnx", "w") as file:
        file.write("7")
    assert ONNXBackend(OneNumber, model_save_path="memory://edge/model.onnx").predict(0) == [7, 0]


def test_a_model_is_reported_once(tmp_path):
    path = write_number(tmp_path / "out" / "a.onnx", 1)
    info = ONNXBackend(OneNumber).model_info(path, relpath=str(tmp_path), result={"accuracy": 1})
    assert info == [{"format": "onnx", "url": "/out/a.onnx", "metrics": {"accuracy": [1.0]}}]


def test_training_and_saving_say_which_worker_does_that(raises, tmp_path):
    backend = ONNXBackend(OneNumber, model_save_path=str(tmp_path))
    with raises(ConfigurationError, "unsupported"):
        backend.train(train_data=[1], epochs=2)
    with raises(ConfigurationError, "unsupported"):
        backend.save(str(tmp_path / "a.onnx"))
    assert list(tmp_path.iterdir()) == []


def test_two_threads_predict_at_once(tmp_path):
    class Meeting(OneNumber):
        together = threading.Barrier(2)

        def predict(self, data):
            self.together.wait(DEADLINE)  # which breaks unless both are here
            return super().predict(data)

    backend = ONNXBackend(Meeting, model_save_path=write_number(tmp_path / "a.onnx", 1))
    backend.load()
    answers = []
    threads = [
        threading.Thread(target=lambda i=i: answers.append(backend.predict(i))) for i in (0, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert sorted(answers) == [[1, 0], [1, 1]]


def test_an_instance_that_cannot_be_copied_never_answers_while_it_loads(tmp_path):
    class Unique(OneNumber):
        def __deepcopy__(self, memo):
            raise TypeError("not this one")

        def load(self, model_url):
            self.number = "half loaded"
            entered.set()
            assert release.wait(DEADLINE)
            super().load(model_url)

    entered, release = threading.Event(), threading.Event()
    backend = ONNXBackend(Unique())
    loading = threading.Thread(target=backend.load, args=[write_number(tmp_path / "a.onnx", 1)])
    loading.start()
    assert entered.wait(DEADLINE)
    backend.has_load = True
    answers = []
    asking = threading.Thread(target=lambda: answers.append(backend.predict(0)))
    asking.start()
    release.set()
    for thread in (loading, asking):
        thread.join(DEADLINE)
    assert answers == [[1, 0]]


def test_a_device_that_no_engine_has_is_noted(caplog, snapshot):
    ONNXBackend(OneNumber, use_cuda=True, device_category="GPU")
    assert caplog.messages == snapshot
