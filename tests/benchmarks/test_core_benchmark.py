"""The benchmark of the core measures what it says, on the smallest work there is."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize(
    ("side", "task"),
    [
        ("TinyMS core", "predict one"),
        pytest.param("TinyMS core", "train", marks=pytest.mark.slow),
        pytest.param("MindSpore as it comes", "predict one", marks=pytest.mark.slow),
    ],
)
def test_a_row_has_its_times(side, task, tmp_path):
    sizes = ("1", "2", "60")
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "core.py", "--measure", side, "lenet5", task, *sizes],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    elapsed = time.perf_counter() - began
    row = json.loads(done.stdout.splitlines()[-1])
    assert row["repeats"] == 2
    assert row["min_s"] <= row["median_s"] < row["first_s"]  # which compiles
    assert row["first_s"] + row["repeats"] * row["median_s"] < elapsed
    assert row["processor_min_s"] < elapsed * os.cpu_count()


@pytest.mark.parametrize("network", ["mobilenetv2", "lenet5"])
def test_pytorch_has_the_same_network(network, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(BENCHMARKS)
    import torch_networks

    from sedna_tinyms.tinyms import model

    theirs = sum(p.numel() for p in getattr(torch_networks, network)(10).parameters())
    ours = getattr(model, network)(class_num=10).trainable_params()
    assert theirs == sum(p.size for p in ours)
