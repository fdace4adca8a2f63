"""The first generation's MobileNetV2 tutorial from training to serving, as a program of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

from serving_http import free_port

PROGRAM = Path(__file__).parents[1] / "tutorial_mobilenetv2.py"


def test_the_mobilenetv2_tutorial_runs_unmodified(tmp_path):
    serving_path = tmp_path / "serving"
    serving_path.mkdir()
    command = ["-m", "sedna_tinyms", "exec", "--as-tinyms", str(PROGRAM), str(free_port())]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=tmp_path,
        env=os.environ | {"TINYMS_SERVING_PATH": str(serving_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout
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
