"""The job of the soak runs three rounds, with a mistake in its data and a killed worker."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "soak.py"


@pytest.mark.slow
def test_what_fails_is_what_has_to_and_nothing_is_left(tmp_path):
    options = ["--rounds", "3", "--minutes", "0.01", "--mistake-every", "4"]
    command = [sys.executable, str(SCRIPT), *options, "--json", str(tmp_path / "soak.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "soak.json").read_text())["rows"]
    assert row["first_unplanned"] == []
    assert row["first_faults"] == []
    assert (row["rounds"], row["failed"]) == (3, 2)
    assert row["answers"] >= 10
    assert row["exit_code"] == 143
    assert row["processes_left"] == 0
