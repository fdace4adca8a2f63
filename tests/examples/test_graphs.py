"""The teaching scripts run, and show what they say they show."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

GRAPHS = Path(__file__).parents[2] / "examples" / "graphs"


def run(script, *options, directory):
    done = subprocess.run(
        [sys.executable, GRAPHS / script, *map(str, options)],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def mnist(tmp_path):
    """Return a folder with a little MNIST, of which only the labels can be learnt."""
    for part, count in (("train", 100), ("t10k", 20)):
        labels = np.arange(count, dtype=np.uint8) % 10
        pictures = np.repeat(labels * 25, 28 * 28).astype(np.uint8)
        sizes = np.array([count, 28, 28], ">u4")
        images = tmp_path / f"{part}-images-idx3-ubyte"
        images.write_bytes(b"\0\0\x08\x03" + sizes.tobytes() + pictures.tobytes())
        names = tmp_path / f"{part}-labels-idx1-ubyte"
        names.write_bytes(b"\0\0\x08\x01" + sizes[:1].tobytes() + labels.tobytes())
    return tmp_path


def test_the_derived_gradient_is_the_one_by_hand(tmp_path):
    output = run("softmax_regression.py", "--count", 300, "--steps", 20, directory=tmp_path)
    differences = re.findall(r"d loss / d \w+ +largest ([\d.]+), differs by (\S+)", output)
    assert len(differences) == 2
    assert all(float(difference) < 1e-3 * float(largest) for largest, difference in differences)
    losses = [float(loss) for loss in re.findall(r"loss (\d\.\d+)", output)]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.slow
def test_shapes_are_known_before_any_data(mnist):
    output = run("lenet.py", "--data", mnist, "--count", 100, "--epochs", 1, directory=mnist)
    assert "Flatten    (100, 800)" in output
    assert "one of 700 is refused" in output
    assert re.search(r"MatMul.*800.*700", output)
    assert "431,010 parameters" in output


@pytest.mark.slow
def test_a_step_is_measured_in_each_way(tmp_path):
    output = run("mlp.py", "--batch", 4, "--steps", 1, directory=tmp_path)
    row = r" +(\S+) +\d+\.\d\d s +\d+\.\d ms +\d+\.\d ms +\d+ MB"
    assert re.search("as written" + row, output)[1] == "-"
    assert int(re.search("\ngraph" + row, output)[1]) > 20
    assert "fused graph" in output


@pytest.mark.slow
def test_the_residual_network_trains_as_a_graph(tmp_path):
    output = run("residual.py", "--way", "graph", "--batch", 2, "--steps", 1, directory=tmp_path)
    assert '"step_ms"' in output
