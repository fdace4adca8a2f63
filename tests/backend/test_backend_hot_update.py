"""Predictions that race model updates."""

import subprocess
import sys
import threading

import mindspore
import numpy as np
import pytest
from backend_estimators import DenseEstimator, PlainEstimator, write_number
from mindspore import nn

from sedna_tinyms.backend import ONNXBackend, TinyMSBackend
from sedna_tinyms.errors import ModelFileError
from sedna_tinyms.tinyms.model import save_weights

SWAPS = 20
DEADLINE = 60.0


class Predicting:
    """Threads that predict over and over, with the set of answers seen, and a list of errors."""

    def __init__(self, backend, data, threads=3):
        self.answers, self.errors = set(), []
        self._backend, self._data = backend, data
        self._count = 0
        self._changed = threading.Condition()
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]

    def _work(self):
        while not self._done.is_set():
            try:
                answer = np.asarray(self._backend.predict(self._data)).tobytes()
            except Exception as error:
                self.errors.append(error)
                return
            with self._changed:
                self.answers.add(answer)
                self._count += 1
                self._changed.notify_all()

    def wait_for_answers(self, count):
        """Wait for so many further answers."""
        with self._changed:
            wanted = self._count + count
            assert self._changed.wait_for(lambda: self._count >= wanted or self.errors, DEADLINE)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        for thread in self._threads:
            thread.join(DEADLINE)
        assert not any(thread.is_alive() for thread in self._threads)


def network(seed):
    rng = np.random.default_rng(seed)

    def drawn(*shape):
        return mindspore.Tensor(rng.normal(size=shape).astype(np.float32))

    return nn.SequentialCell(
        nn.Dense(8, 16, weight_init=drawn(16, 8)), nn.ReLU(), nn.Dense(16, 4, drawn(4, 16))
    )


class InPlace(DenseEstimator):
    def __init__(self):
        self.network = network(0)

    def __deepcopy__(self, memo):
        raise TypeError("not this one")


def test_no_prediction_mixes_two_models_of_an_instance_that_cannot_be_copied(tmp_path):
    """The conformance suite has the others, whose models are loaded aside."""
    models = [tmp_path / "model.1", tmp_path / "model.2"]
    for seed, path in enumerate(models):
        save_weights(network(seed), path)
    data = np.linspace(-1, 1, 8, dtype=np.float32)[None]
    backend = TinyMSBackend(InPlace())
    expected = set()
    for path in models:
        backend.load(str(path))
        expected.add(backend.predict(data).tobytes())
    assert len(expected) == 2

    with Predicting(backend, data) as predicting:
        for swap in range(SWAPS):
            backend.load(str(models[swap % 2]))
            predicting.wait_for_answers(4)  # one of each thread may be of the model before
    assert predicting.errors == []
    assert predicting.answers == expected


def test_predictions_go_on_while_an_onnx_model_is_loaded(tmp_path):
    entered, release = threading.Event(), threading.Event()

    class Slow(PlainEstimator):
        def load(self, model_url):
            super().load(model_url)
            if self.number == 2:
                self.number = "half loaded"
                entered.set()
                assert release.wait(DEADLINE)
                self.number = 2

    backend = ONNXBackend(Slow, model_save_path=write_number(tmp_path / "1.onnx", 1))
    assert backend.predict(0) == [1, 0]
    update = threading.Thread(target=backend.load, args=[write_number(tmp_path / "2.onnx", 2)])
    update.start()
    assert entered.wait(DEADLINE)
    assert backend.predict(0) == [1, 0]
    release.set()
    update.join(DEADLINE)
    assert backend.predict(0) == [2, 0]


def test_a_prediction_under_way_ends_on_the_old_onnx_model(tmp_path):
    entered, release = threading.Event(), threading.Event()

    class Slow(PlainEstimator):
        def predict(self, data):
            before = self.number
            if data == "wait":
                entered.set()
                assert release.wait(DEADLINE)
            return [before, self.number]

    backend = ONNXBackend(Slow, model_save_path=write_number(tmp_path / "1.onnx", 1))
    backend.load()
    results = []
    prediction = threading.Thread(target=lambda: results.append(backend.predict("wait")))
    prediction.start()
    assert entered.wait(DEADLINE)
    backend.load(write_number(tmp_path / "2.onnx", 2))
    release.set()
    prediction.join(DEADLINE)
    assert results == [[1, 1]]
    assert backend.predict("now") == [2, 2]


def test_mindspore_loads_and_predicts_one_after_the_other(tmp_path):
    """At once, they end the process now and then."""
    entered, release = threading.Event(), threading.Event()

    class Slow(PlainEstimator):
        def load(self, model_url):
            super().load(model_url)
            if self.number == 2:
                entered.set()
                assert release.wait(DEADLINE)

    backend = TinyMSBackend(Slow, model_save_path=write_number(tmp_path / "1.ckpt", 1))
    backend.load()
    update = threading.Thread(target=backend.load, args=[write_number(tmp_path / "2.ckpt", 2)])
    update.start()
    assert entered.wait(DEADLINE)
    results = []
    prediction = threading.Thread(target=lambda: results.append(backend.predict(0)))
    prediction.start()
    prediction.join(0.2)
    assert results == []
    release.set()
    prediction.join(DEADLINE)
    update.join(DEADLINE)
    assert results in ([[1, 0]], [[2, 0]])
    assert backend.predict(0) == [2, 0]


def test_a_failing_update_is_not_noticed_by_predictions(tmp_path):
    good, bad = write_number(tmp_path / "1.ckpt", 1), tmp_path / "bad"
    bad.write_text("{")
    backend = TinyMSBackend(PlainEstimator, model_save_path=good)
    backend.load()
    with Predicting(backend, 0) as predicting:
        for _ in range(SWAPS):
            with pytest.raises(ModelFileError):
                backend.load(str(bad))
            predicting.wait_for_answers(1)
    assert predicting.errors == []
    assert predicting.answers == {np.asarray([1, 0]).tobytes()}


def test_graph_mode_unless_the_program_chose():
    program = """
import mindspore
from sedna_tinyms.backend import MSBackend

MSBackend(mindspore.nn.ReLU())
assert mindspore.get_context("mode") == mindspore.GRAPH_MODE
mindspore.set_context(mode=mindspore.PYNATIVE_MODE)
MSBackend(mindspore.nn.ReLU())
assert mindspore.get_context("mode") == mindspore.PYNATIVE_MODE
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=DEADLINE)
