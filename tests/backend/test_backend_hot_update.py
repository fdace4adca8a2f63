"""Predictions that race model updates."""

import contextlib
import subprocess
import sys
import threading

import mindspore
import numpy as np
import pytest
from backend_estimators import DenseEstimator, PlainEstimator, write_number
from mindspore import nn

from sedna_tinyms.backend import TinyMSBackend
from sedna_tinyms.errors import ModelFileError
from sedna_tinyms.tinyms.model import save_weights

SWAPS = 60
DEADLINE = 60.0


@contextlib.contextmanager
def predicting(backend, data, threads=3):
    """Predict in threads; yield the set of answers seen, and a list of their errors."""
    answers, errors, done = set(), [], threading.Event()

    def work():
        try:
            while not done.is_set():
                answers.add(np.asarray(backend.predict(data)).tobytes())
        except Exception as error:
            errors.append(error)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield answers, errors
    finally:
        done.set()
        for worker in workers:
            worker.join(DEADLINE)
        assert not any(worker.is_alive() for worker in workers)


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


@pytest.mark.parametrize("estimator", [lambda: network(0), InPlace()], ids=["aside", "in place"])
def test_no_prediction_mixes_two_models(estimator, tmp_path):
    models = [tmp_path / "model.1", tmp_path / "model.2"]
    for seed, path in enumerate(models):
        save_weights(network(seed), path)
    data = np.linspace(-1, 1, 8, dtype=np.float32)[None]
    backend = TinyMSBackend(estimator)
    expected = set()
    for path in models:
        backend.load(str(path))
        expected.add(backend.predict(data).tobytes())
    assert len(expected) == 2

    with predicting(backend, data) as (answers, errors):
        for swap in range(SWAPS):
            backend.load(str(models[swap % 2]))
    assert errors == []
    assert answers == expected


def test_predictions_go_on_while_a_model_is_loaded(tmp_path):
    entered, release = threading.Event(), threading.Event()

    class Slow(PlainEstimator):
        def load(self, model_url):
            super().load(model_url)
            if self.number == 2:
                self.number = "half loaded"
                entered.set()
                assert release.wait(DEADLINE)
                self.number = 2

    backend = TinyMSBackend(Slow, model_save_path=write_number(tmp_path / "1.ckpt", 1))
    assert backend.predict(0) == [1, 0]
    update = threading.Thread(target=backend.load, args=[write_number(tmp_path / "2.ckpt", 2)])
    update.start()
    assert entered.wait(DEADLINE)
    assert backend.predict(0) == [1, 0]
    release.set()
    update.join(DEADLINE)
    assert backend.predict(0) == [2, 0]


def test_a_prediction_under_way_ends_on_the_old_model(tmp_path):
    entered, release = threading.Event(), threading.Event()

    class Slow(PlainEstimator):
        def predict(self, data):
            before = self.number
            if data == "wait":
                entered.set()
                assert release.wait(DEADLINE)
            return [before, self.number]

    backend = TinyMSBackend(Slow, model_save_path=write_number(tmp_path / "1.ckpt", 1))
    backend.load()
    results = []
    prediction = threading.Thread(target=lambda: results.append(backend.predict("wait")))
    prediction.start()
    assert entered.wait(DEADLINE)
    backend.load(write_number(tmp_path / "2.ckpt", 2))
    release.set()
    prediction.join(DEADLINE)
    assert results == [[1, 1]]
    assert backend.predict("now") == [2, 2]


def test_a_failing_update_is_not_noticed_by_predictions(tmp_path):
    good, bad = write_number(tmp_path / "1.ckpt", 1), tmp_path / "bad"
    bad.write_text("{")
    backend = TinyMSBackend(PlainEstimator, model_save_path=good)
    backend.load()
    with predicting(backend, 0) as (answers, errors):
        for _ in range(SWAPS):
            with pytest.raises(ModelFileError):
                backend.load(str(bad))
    assert errors == []
    assert answers == {np.asarray([1, 0]).tobytes()}


@pytest.mark.parametrize(
    ("before", "mode"),
    [("", "GRAPH_MODE"), ("mindspore.set_context(mode=mindspore.PYNATIVE_MODE)", "PYNATIVE_MODE")],
)
def test_graph_mode_unless_the_program_chose(before, mode):
    program = (
        f"import mindspore\n{before}\n"
        "from sedna_tinyms.backend import MSBackend\n"
        "MSBackend(mindspore.nn.ReLU())\n"
        f"assert mindspore.get_context('mode') == mindspore.{mode}\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=DEADLINE)
