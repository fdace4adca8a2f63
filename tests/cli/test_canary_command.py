import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from small_onnx import write_classifier

from sedna_tinyms.cli import main
from sedna_tinyms.errors import DatasetError


@pytest.fixture
def pictures(tmp_path):
    directory = tmp_path / "pictures"
    directory.mkdir()
    for number in range(3):
        Image.fromarray(np.full((40, 40, 3), 60 * number, np.uint8)).save(
            directory / f"{number}.png"
        )
    return directory


def canary(*arguments):
    command = [sys.executable, "-m", "sedna_tinyms", "canary", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def test_a_sound_model_in_a_process_of_its_own(tmp_path, pictures):
    model = write_classifier(tmp_path / "model.onnx")
    arguments = ("--pictures", pictures, "--most", 2, "--max-memory", "4Gi", "--max-ms", 60_000)
    code, said = canary(model, *arguments, "--timeout", 100, "--out", tmp_path / "canary.json")
    assert (code, said["outcome"], said["pictures"]) == (0, "passed", 2)
    assert json.loads((tmp_path / "canary.json").read_text()) == said


def test_a_model_that_hangs_is_given_up(tmp_path, pictures, snapshot):
    model = write_classifier(tmp_path / "model.onnx")
    code, said = canary(model, "--pictures", pictures, "--timeout", 0.001)
    assert (code, said["outcome"]) == (5, "failed")
    assert said["code"] == "timeout"
    assert said["reason"] == snapshot


def test_the_exit_code_tells_the_outcome(tmp_path, pictures, capsys):
    broken = write_classifier(tmp_path / "broken.onnx", weight=float("nan"))
    foreign = write_classifier(tmp_path / "foreign.onnx", described=False)
    assert main(["canary", str(broken), "--pictures", str(pictures)]) == 5
    assert main(["canary", str(foreign), "--pictures", str(pictures)]) == 2
    outcomes = [json.loads(line)["outcome"] for line in capsys.readouterr().out.splitlines()]
    assert outcomes == ["failed", "not tried"]


@pytest.mark.parametrize(
    ("option", "value"),
    [("--max-memory", "2 GB"), ("--max-ms", "0"), ("--timeout", "inf"), ("--most", "0")],
)
def test_arguments_out_of_range(tmp_path, cli, option, value, snapshot):
    answer = cli("canary", "m.onnx", "--pictures", tmp_path, option, value)
    assert answer.exit_code == 2
    _, _, message = answer.err.rpartition(f"argument {option}: ")
    assert message == snapshot


def test_a_list_of_pictures_that_is_not_there(tmp_path, refused):
    missing = tmp_path / "nothing"
    refused(DatasetError, "missing-file", "canary", "m.onnx", "--pictures", missing, path=missing)
