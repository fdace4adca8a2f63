"""CSV, JSON lines and TensorBoard: one log of the same measurements in three forms."""

import csv
import json
import logging
import math
import sys

import numpy as np
import pytest
from scripted_training import STEPS, train

from sedna_tinyms.errors import ConfigurationError, MissingExtraError, StorageError
from sedna_tinyms.tinyms.callbacks import CSVLogger, EarlyStopping, JSONLLogger, TensorBoardLogger


def csv_rows(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def json_rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_json_lines_hold_an_epoch_each_and_only_what_was_measured(tmp_path):
    path = tmp_path / "new" / "log.jsonl"
    train(JSONLLogger(path))
    rows = json_rows(path)
    assert [(row["epoch"], row["step"]) for row in rows] == [(1, STEPS), (2, 2 * STEPS)]
    assert all(row.keys() == {"epoch", "step", "loss", "seconds", "learning_rate"} for row in rows)
    assert rows[0]["learning_rate"] == pytest.approx(0.01)
    assert rows[0]["loss"] > rows[1]["loss"] > 0


def test_an_evaluation_is_logged_with_its_epoch(tmp_path):
    path = tmp_path / "log.jsonl"
    precision = [np.array([0.5, 0.25]), np.array([1.0, 0.0])]
    train(JSONLLogger(path), accuracy=[np.float32(0.5), 0], precision=precision)
    first, second = json_rows(path)
    assert (first["accuracy"], first["precision_0"], first["precision_1"]) == (0.5, 0.5, 0.25)
    assert (second["accuracy"], second["precision_0"], second["precision_1"]) == (0, 1, 0)


def test_each_step_has_a_line_with_its_own_learning_rate(tmp_path):
    path = tmp_path / "log.jsonl"
    rates = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    train(JSONLLogger(path, every="step"), learning_rate=rates, accuracy=[0.5, 0.75])
    rows = json_rows(path)
    steps = [row for row in rows if "loss" in row]
    assert [row["step"] for row in steps] == [1, 2, 3, 4, 5, 6]
    assert [row["learning_rate"] for row in steps] == pytest.approx(rates)
    evaluations = [row for row in rows if "loss" not in row]
    assert [(row["step"], row["accuracy"]) for row in evaluations] == [(3, 0.5), (6, 0.75)]
    assert all(row.keys() == {"epoch", "step", "accuracy", "eval_loss"} for row in evaluations)


def test_a_loss_that_is_no_number_is_null_in_json_and_nan_in_csv(tmp_path):
    files = tmp_path / "log.jsonl", tmp_path / "log.csv"
    train([JSONLLogger(files[0]), CSVLogger(files[1])], epochs=1, learning_rate=1e38)
    assert json_rows(files[0])[0]["loss"] is None
    assert not math.isfinite(float(csv_rows(files[1])[0]["loss"]))


def test_csv_has_a_column_for_what_is_measured_later(tmp_path):
    path = tmp_path / "log.csv"
    train(CSVLogger(path))
    train(CSVLogger(path), accuracy=[0.5, 0.75])
    train(CSVLogger(path), epochs=1)
    rows = csv_rows(path)
    assert [row["accuracy"] for row in rows] == ["", "", "0.5", "0.75", ""]
    assert [row["epoch"] for row in rows] == ["1", "2", "1", "2", "1"]
    assert all(float(row["loss"]) > 0 for row in rows)


@pytest.mark.parametrize(("logger", "name"), [(CSVLogger, "log.csv"), (JSONLLogger, "log.jsonl")])
def test_a_line_that_a_crash_cut_off_is_dropped(logger, name, tmp_path, caplog, snapshot):
    path = tmp_path / name
    train(logger(path))
    whole = path.read_text()
    path.write_text(whole + whole.splitlines()[-1][:9])
    train(logger(path), epochs=1)
    assert path.read_text().startswith(whole)
    assert len(path.read_text().splitlines()) == len(whole.splitlines()) + 1
    (record,) = (r for r in caplog.records if r.name.startswith("sedna_tinyms"))
    assert record.levelno == logging.WARNING
    assert record.getMessage() == snapshot


@pytest.mark.parametrize("logger", [CSVLogger, JSONLLogger])
@pytest.mark.parametrize("content", ["my notes\n", "my notes"])
def test_another_file_is_left_alone(raises, logger, content, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text(content)
    with raises(ConfigurationError, "conflict", path=path):
        train(logger(path))
    assert path.read_text() == content


@pytest.mark.parametrize("logger", [CSVLogger, JSONLLogger])
def test_a_log_that_cannot_be_written_is_an_error(raises, logger, tmp_path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "log"
    with raises(StorageError, "cannot-write", golden=False):
        train(logger(path))


def test_every_is_a_step_or_an_epoch(raises, tmp_path):
    with raises(ConfigurationError, "unknown-name", name="every", value="epochs"):
        CSVLogger(tmp_path / "log.csv", every="epochs")


def tensorboard_scalars(directory):
    """Read the scalars of the one event file, by TensorFlow's record format."""
    from tensorboardX.proto.event_pb2 import Event

    (file,) = directory.glob("events.*")
    data, scalars = file.read_bytes(), {}
    while data:
        length = int.from_bytes(data[:8], "little")
        event = Event.FromString(data[12 : 12 + length])
        for value in event.summary.value:
            scalars.setdefault(value.tag, []).append((event.step, value.simple_value))
        data = data[16 + length :]
    return scalars


def test_tensorboard_has_a_curve_for_each_measured_value(tmp_path):
    pytest.importorskip("tensorboardX")
    train(TensorBoardLogger(tmp_path), accuracy=[0.5, 0.75])
    scalars = tensorboard_scalars(tmp_path)
    assert scalars["accuracy"] == [(3, 0.5), (6, 0.75)]
    assert scalars["epoch"] == [(3, 1), (6, 2)]
    assert scalars.keys() >= {"loss", "learning_rate", "seconds"}


def test_tensorboard_keeps_what_was_logged_before_a_failure(raises, tmp_path):
    pytest.importorskip("tensorboardX")
    failing = EarlyStopping("nothing")
    with raises(ConfigurationError, "unknown-name", name="monitor"):
        train([TensorBoardLogger(tmp_path), failing], accuracy=[0.5, 0.75])
    assert tensorboard_scalars(tmp_path)["accuracy"] == [(3, 0.5)]


def test_without_tensorboardx_the_error_names_the_extra(raises, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with raises(MissingExtraError, "missing-extra", extra="tensorboard"):
        TensorBoardLogger("runs")
