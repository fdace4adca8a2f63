import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from small_onnx import write_classifier

from estimators import Prediction
from estimators.canary import find_pictures, try_model
from sedna_tinyms.errors import DatasetError


@pytest.fixture
def pictures(tmp_path):
    paths = [tmp_path / "pictures" / f"{number}.png" for number in range(4)]
    paths[0].parent.mkdir()
    for number, path in enumerate(paths):
        Image.fromarray(np.full((40, 40, 3), 60 * number, np.uint8)).save(path)
    return paths


def test_a_sound_model_passes_and_is_measured(tmp_path, pictures):
    canary = try_model(write_classifier(tmp_path / "m.onnx"), pictures, max_ms=1e5, max_bytes=1e11)
    assert (canary.outcome, canary.pictures) == ("passed", 4)
    assert canary.code == ""
    assert canary.engine.startswith("onnxruntime f32 on ")
    assert canary.ms_per_image > 0
    assert canary.open_seconds > 0
    assert canary.peak_bytes > 10e6


IN_A_PROCESS_OF_ITS_OWN = """
import pathlib, sys
from estimators.canary import try_model
canary = try_model(pathlib.Path(sys.argv[1]), [pathlib.Path(sys.argv[2])])
print(canary.outcome, *sorted({"onnxruntime", "openvino", "mindspore"} & set(sys.modules)))
"""


def test_engines_are_not_measured_while_a_model_is_tried(tmp_path, pictures):
    # Opening all of them takes memory and time, which would be held against the model.
    done = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS_OF_ITS_OWN, write_classifier(tmp_path / "m.onnx"),
         pictures[0]],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "nothing remembered")},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["passed", "onnxruntime"], done.stderr


def test_a_model_that_is_too_slow_or_too_large_fails(tmp_path, pictures, snapshot):
    canary = try_model(write_classifier(tmp_path / "m.onnx"), pictures, max_ms=1e-6, max_bytes=1000)
    assert (canary.outcome, canary.code) == ("failed", "out-of-range")
    assert re.sub(r"\b\d+\.\d ms|\b\d+ MB", "<figure>", canary.reason) == snapshot


def test_weights_that_are_no_numbers_fail(tmp_path, pictures):
    canary = try_model(write_classifier(tmp_path / "m.onnx", weight=float("nan")), pictures)
    assert (canary.outcome, canary.code) == ("failed", "not-finite")


def test_answers_that_are_no_numbers_fail(tmp_path, pictures, monkeypatch, snapshot):
    endless = Prediction([0.0, float("nan")], "ab")
    monkeypatch.setattr("estimators.OnnxClassifier.predict", lambda *_: endless)
    canary = try_model(write_classifier(tmp_path / "m.onnx"), pictures)
    assert (canary.outcome, canary.code) == ("failed", "not-finite")
    assert canary.reason == snapshot


def test_an_answer_of_another_shape_fails(tmp_path, pictures, monkeypatch, snapshot):
    short = Prediction([0.0, 1.0, 2.0], "abc")
    monkeypatch.setattr("estimators.OnnxClassifier.predict", lambda self, picture: short)
    canary = try_model(write_classifier(tmp_path / "m.onnx"), pictures)
    assert (canary.outcome, canary.code) == ("failed", "wrong-shape")
    assert canary.reason == snapshot


@pytest.mark.parametrize("content", [b"", b"no model", None, "cut"], ids=str)
def test_a_broken_file_fails(tmp_path, pictures, content):
    path = tmp_path / "m.onnx"
    if content == "cut":
        content = write_classifier(tmp_path / "whole.onnx").read_bytes()[:400]
    if content is not None:
        path.write_bytes(content)
    canary = try_model(path, pictures)
    expected = (
        "missing-file" if content is None else "unreadable-file" if not content else "damaged"
    )
    assert (canary.outcome, canary.code) == ("failed", expected)
    assert "m.onnx" in canary.reason


@pytest.mark.parametrize("name", ["model.ckpt", "model.onnx"])
def test_another_estimators_model_is_not_tried(tmp_path, pictures, name, snapshot):
    path = write_classifier(tmp_path / name, described=False)
    canary = try_model(path, pictures)
    assert (canary.outcome, canary.code) == ("not tried", "foreign-model")
    assert canary.reason == snapshot


def test_without_a_picture_nothing_is_tried(tmp_path, snapshot):
    model = write_classifier(tmp_path / "m.onnx")
    canary = try_model(model, [])
    assert (canary.outcome, canary.code) == ("not tried", "empty")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    canary = try_model(model, [tmp_path / "broken.png"])
    assert (canary.outcome, canary.code) == ("not tried", "bad-picture")
    assert canary.reason == snapshot


def test_a_picture_that_cannot_be_read_is_passed_over(tmp_path, pictures):
    pictures[1].write_bytes(b"no picture")
    canary = try_model(write_classifier(tmp_path / "m.onnx"), pictures)
    assert (canary.outcome, canary.pictures) == ("passed", 3)


# Pictures


def test_the_pictures_of_a_directory_evenly(pictures):
    directory = pictures[0].parent
    (directory / "notes.txt").touch()
    assert find_pictures(directory) == pictures
    assert find_pictures(directory, most=2) == pictures[::2]


def test_the_pictures_of_a_dataset(tmp_path, pictures):
    lines = ["0.png dark", "1.png", "", "gone.png bright", "\0 x", "0.png dark", "  2.png  two "]
    listed = tmp_path / "pictures" / "data.txt"
    listed.write_text("\N{ZERO WIDTH NO-BREAK SPACE}" + "\n".join(lines))
    assert find_pictures(listed) == pictures[:3]
    listed.rename(tmp_path / "elsewhere.txt")
    assert find_pictures(tmp_path / "elsewhere.txt") == []
    assert find_pictures(tmp_path / "elsewhere.txt", tmp_path / "pictures") == pictures[:3]


def test_a_list_that_is_not_there(tmp_path, raises):
    missing = tmp_path / "nothing.txt"
    with raises(DatasetError, "missing-file", path=missing, golden=False):
        find_pictures(missing)
