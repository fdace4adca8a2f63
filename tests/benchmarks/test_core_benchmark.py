"""The benchmark of the core measures what it says, on the smallest work there is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize(
    ("side", "task"), [("TinyMS core", "train"), ("MindSpore as it comes", "predict one")]
)
def test_a_row_has_its_times(side, task, tmp_path):
    sizes = ("1", "2", "60")
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "core.py", "--measure", side, "lenet5", task, *sizes],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    row = json.loads(done.stdout.splitlines()[-1])
    assert row["repeats"] == 2
    assert 0 < row["min_s"] <= row["median_s"]
    assert row["first_s"] > 0
    assert row["processor_min_s"] > 0


@pytest.mark.parametrize("network", ["mobilenetv2", "lenet5"])
def test_pytorch_has_the_same_network(network, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(BENCHMARKS)
    import torch_networks

    from sedna_tinyms.tinyms import model

    theirs = sum(p.numel() for p in getattr(torch_networks, network)(10).parameters())
    ours = getattr(model, network)(class_num=10).trainable_params()
    assert theirs == sum(p.size for p in ours)
