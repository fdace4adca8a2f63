"""Early stopping and the best checkpoint."""

import math
import signal
from pathlib import Path

import numpy as np
import pytest
from mindspore import nn
from scripted_training import train

from sedna_tinyms.errors import ConfigurationError, ModelFileError, StorageError
from sedna_tinyms.tinyms.callbacks import BestCheckpoint, Callback, EarlyStopping
from sedna_tinyms.tinyms.model import load_weights, read_weights

nan = math.nan


class Weights(Callback):
    """Keeps the weights at the end of each epoch."""

    def __init__(self):
        self.of_epoch = []

    def on_train_epoch_end(self, run_context):
        network = run_context.original_args().network
        self.of_epoch.append(network.weight.asnumpy().copy())


@pytest.mark.parametrize(
    ("values", "options", "epochs"),
    [
        ([0.1, 0.2, 0.3, 0.4], {}, 4),
        ([0.1, 0.2, 0.2, 0.4], {}, 3),
        ([0.3, 0.2, 0.1, 0.4], {"patience": 3}, 4),
        ([0.3, 0.2, 0.1, 0.4], {"patience": 2}, 3),
        ([0.0, 0.0, 0.1, 0.4], {"patience": 1}, 2),
        ([0.1, 0.2, 0.3, 0.4], {"mode": "min"}, 2),
        ([0.1, 0.15, 0.3, 0.4], {"min_delta": 0.1}, 2),
        ([0.1, 0.2, 0.7, 0.6], {"baseline": 0.5, "patience": 2}, 2),
        ([0.6, 0.7, 0.8, 0.9], {"baseline": 0.5}, 4),
        ([nan, nan, 0.8, 0.9], {"patience": 2}, 2),
    ],
)
def test_a_training_stops_when_it_no_longer_improves(values, options, epochs):
    stopping = EarlyStopping("accuracy", **options)
    weights = Weights()
    train([stopping, weights], epochs=4, accuracy=values)
    assert len(weights.of_epoch) == epochs
    ran_out = epochs == 4 and (not options or stopping.wait == 0)
    assert stopping.stopped_epoch == (0 if ran_out else epochs)


@pytest.mark.parametrize("values", [[0.1, 0.5, 0.4, 0.3], [0.1, 0.5, 0.4, 0.6]])
def test_the_best_weights_come_back_however_the_training_ended(values):
    weights = Weights()
    stopping = EarlyStopping("accuracy", patience=5, restore_best_weights=True)
    network = train([stopping, weights], epochs=4, accuracy=values)
    best = weights.of_epoch[int(np.argmax(values))]
    np.testing.assert_array_equal(network.weight.asnumpy(), best)


def test_the_training_loss_can_be_watched_without_an_evaluation(caplog, snapshot):
    stopping = EarlyStopping("loss", min_delta=1e6, patience=2, verbose=True)
    weights = Weights()
    train([stopping, weights], epochs=9)
    assert len(weights.of_epoch) == stopping.stopped_epoch == 3
    (record,) = (r for r in caplog.records if r.name.startswith("sedna_tinyms"))
    assert record.args[0] == 3
    record.args = (3, "loss", 0.5, 2)
    assert record.getMessage() == snapshot


@pytest.mark.parametrize("kind", [EarlyStopping, BestCheckpoint])
def test_watching_what_is_not_measured_is_refused(raises, kind, tmp_path):
    arguments = {"path": tmp_path / "best.ckpt"} if kind is BestCheckpoint else {}
    valid = ("accuracy", "eval_loss", "loss")
    with raises(ConfigurationError, "unknown-name", name="monitor", value="acuracy", valid=valid):
        train(kind(monitor="acuracy", **arguments), accuracy=[0.1, 0.2])


def test_the_best_checkpoint_is_of_the_best_epoch(tmp_path):
    path = tmp_path / "new" / "best.ckpt"
    weights = Weights()
    keep = BestCheckpoint(path, "accuracy", metadata={"class_names": "a;b"})
    train([keep, weights], epochs=4, accuracy=[0.1, 0.5, nan, 0.4])
    stored = read_weights(path)
    np.testing.assert_array_equal(stored.arrays["weight"], weights.of_epoch[1])
    assert stored.metadata == {
        "class_names": "a;b",
        "monitor": "accuracy",
        "monitored_value": "0.5",
        "epoch": "2",
    }
    assert [file.name for file in path.parent.iterdir()] == ["best.ckpt"]
    assert load_weights(nn.Dense(4, 2), path).complete


def test_a_training_started_again_replaces_the_file_only_by_something_better(tmp_path):
    path = tmp_path / "best.ckpt"
    train(BestCheckpoint(path, "accuracy"), accuracy=[0.5, 0.6])
    before = path.read_bytes()
    train(BestCheckpoint(path, "accuracy"), accuracy=[0.1, 0.6])
    assert path.read_bytes() == before
    train(BestCheckpoint(path, "accuracy"), accuracy=[0.7, 0.6])
    assert read_weights(path).metadata["monitored_value"] == "0.7"


def test_a_file_that_is_best_by_something_else_is_left_alone(raises, tmp_path):
    path = tmp_path / "best.ckpt"
    train(BestCheckpoint(path, "accuracy"), accuracy=[0.5, 0.6])
    before = path.read_bytes()
    with raises(ConfigurationError, "conflict", path=path, value="accuracy", expected="loss"):
        train(BestCheckpoint(path, "loss"))
    assert path.read_bytes() == before
    path.write_text("my notes")
    with raises(ModelFileError, "damaged", golden=False, path=path):
        train(BestCheckpoint(path, "loss"))
    assert path.read_text() == "my notes"


def test_a_checkpoint_that_cannot_be_written_is_an_error(raises, tmp_path):
    (tmp_path / "file").write_text("")
    with raises(StorageError, "cannot-write", golden=False):
        train(BestCheckpoint(tmp_path / "file" / "best.ckpt", "loss"))


def test_no_measurement_no_checkpoint(tmp_path, caplog, snapshot):
    train(BestCheckpoint(tmp_path / "best.ckpt"))
    assert not list(tmp_path.iterdir())
    (record,) = (r for r in caplog.records if r.name.startswith("sedna_tinyms"))
    assert record.args == (tmp_path / "best.ckpt", "eval_loss")
    assert record.getMessage() == snapshot


def test_a_kill_at_any_moment_leaves_a_whole_best(forking, tmp_path):
    path = tmp_path / "best.ckpt"
    program = f"""
import itertools, os, signal, threading
from scripted_training import train
from sedna_tinyms.tinyms.callbacks import BestCheckpoint, LambdaCallback
kept = itertools.count(1)

def say(run_context):
    print("kept", flush=True)
    if next(kept) == 8:
        threading.Timer(0.005, os.kill, (os.getpid(), signal.SIGKILL)).start()

best = BestCheckpoint({str(path)!r}, "accuracy")
train([best, LambdaCallback(on_train_epoch_end=say)], 10**6, accuracy=itertools.count())
"""
    done = forking.run("-c", program, cwd=Path(__file__).parent)
    assert done.returncode == -signal.SIGKILL, done.stderr
    kept = done.stdout.count("kept")
    assert kept >= 8
    assert float(read_weights(path).metadata["monitored_value"]) >= kept - 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"mode": "mim"}, "unknown-name"),
        ({"patience": -1}, "out-of-range"),
        ({"patience": 1.5}, "out-of-range"),
        ({"min_delta": nan}, "not-finite"),
    ],
)
def test_options_that_make_no_sense_are_refused(raises, arguments, code):
    (name,) = arguments
    with raises(ConfigurationError, code, name=name):
        EarlyStopping(**arguments)
