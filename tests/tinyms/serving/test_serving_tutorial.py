"""TinyMS's tutorials of both generations, from training to serving, as programs of their own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from serving_http import free_port

PROGRAMS = Path(__file__).parents[1]


def run(program, directory):
    """Run a program written for TinyMS; return what it said."""
    command = ["-m", "sedna_tinyms", "exec", "--as-tinyms", str(PROGRAMS / program)]
    done = subprocess.run(
        [sys.executable, *command, str(free_port())],
        cwd=directory,
        env=os.environ | {"TINYMS_SERVING_PATH": str(directory / "serving")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_mobilenetv2_tutorial_of_the_first_generation_runs_unmodified(tmp_path):
    (tmp_path / "serving").mkdir()
    said = run("tutorial_mobilenetv2.py", tmp_path)
    assert re.search(r"epoch: \[ *1/ *2\], step:\[ *1/ *2\], loss:\[", said)
    assert re.search(r"^accuracy [01]\.\d+$", said, re.MULTILINE)
    assert "listed ['mobilenetv2']" in said
    assert re.search(r"^TOP1: \w+, score: 0\.\d+$", said, re.MULTILINE)
    assert re.search(r"^TOP1: .*\tTOP5: \w+, score: 0\.\d{7}\t$", said, re.MULTILINE)
    assert said.endswith("Server shutting down...\nstill there: False\n")
    assert sorted(path.name for path in tmp_path.glob("*.ckpt")) == [
        "mobilenetv2_cifar10-1_2.ckpt",
        "mobilenetv2_cifar10-2_2.ckpt",
    ]


def write_mnist(directory, prefix):
    """Write 32 noisy digits in MNIST's own format."""
    directory.mkdir(parents=True)
    pixels = np.random.RandomState(0).randint(0, 256, (32, 28, 28), dtype=np.uint8)
    for name, kind, content in (
        ("images-idx3", [2051, 32, 28, 28], pixels.tobytes()),
        ("labels-idx1", [2049, 32], bytes(i % 10 for i in range(32))),
    ):
        header = np.array(kind, ">i4").tobytes()
        (directory / f"{prefix}-{name}-ubyte").write_bytes(header + content)


def test_the_lenet5_quick_start_of_the_second_generation_runs_unmodified(tmp_path):
    write_mnist(tmp_path / "mnist" / "train", "train")
    write_mnist(tmp_path / "mnist" / "test", "t10k")
    said = run("tutorial_lenet5.py", tmp_path)
    assert "epoch: 2 step: 4, loss is " in said
    assert re.search(r"^metrics \{'Accuracy': [01]\.\d+\}$", said, re.MULTILINE)
    assert said.endswith("listed ['lenet5_mnist']\nalike True\n")
    assert len(list(tmp_path.glob("checkpoint_lenet-*.ckpt"))) == 2
