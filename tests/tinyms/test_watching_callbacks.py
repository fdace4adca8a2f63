"""Early stopping and the best checkpoint."""

import math
import subprocess
import sys
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


def test_the_training_loss_can_be_watched_without_an_evaluation(caplog):
    stopping = EarlyStopping("loss", min_delta=1e6, patience=2, verbose=True)
    weights = Weights()
    train([stopping, weights], epochs=9)
    assert len(weights.of_epoch) == stopping.stopped_epoch == 3
    assert "stopped after epoch 3: loss did not get better" in caplog.text


@pytest.mark.parametrize("kind", [EarlyStopping, BestCheckpoint])
def test_watching_what_is_not_measured_is_refused(kind, tmp_path):
    arguments = {"path": tmp_path / "best.ckpt"} if kind is BestCheckpoint else {}
    with pytest.raises(ConfigurationError, match="did you mean 'accuracy'"):
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


def test_a_file_that_is_best_by_something_else_is_left_alone(tmp_path):
    path = tmp_path / "best.ckpt"
    train(BestCheckpoint(path, "accuracy"), accuracy=[0.5, 0.6])
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="not the best by 'loss' but by 'accuracy'"):
        train(BestCheckpoint(path, "loss"))
    assert path.read_bytes() == before
    path.write_text("my notes")
    with pytest.raises(ModelFileError):
        train(BestCheckpoint(path, "loss"))
    assert path.read_text() == "my notes"


def test_a_checkpoint_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        train(BestCheckpoint(tmp_path / "file" / "best.ckpt", "loss"))


def test_no_measurement_no_checkpoint(tmp_path, caplog):
    train(BestCheckpoint(tmp_path / "best.ckpt"))
    assert not list(tmp_path.iterdir())
    assert "no epoch measured 'eval_loss'" in caplog.text


def test_a_kill_at_any_moment_leaves_a_whole_best(tmp_path):
    path = tmp_path / "best.ckpt"
    program = f"""
import itertools
from scripted_training import train
from sedna_tinyms.tinyms.callbacks import BestCheckpoint, LambdaCallback
say = LambdaCallback(on_train_epoch_end=lambda _: print("kept", flush=True))
train([BestCheckpoint({str(path)!r}, "accuracy"), say], 10**6, accuracy=itertools.count())
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parent,
        stdout=subprocess.PIPE,
        text=True,
    ) as training:
        kept = 0
        while kept < 20 and "kept" in training.stdout.readline():
            kept += 1
        training.kill()
    assert kept == 20
    assert float(read_weights(path).metadata["monitored_value"]) >= kept - 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "mim"}, "did you mean 'min'"),
        ({"patience": -1}, "patience is -1"),
        ({"patience": 1.5}, "patience is 1.5"),
        ({"min_delta": nan}, "min_delta is nan"),
    ],
)
def test_options_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        EarlyStopping(**arguments)
