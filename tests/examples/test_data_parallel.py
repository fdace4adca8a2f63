"""Two processes that share each batch end with the weights of one."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sedna_tinyms.tinyms.model import read_weights

SCRIPT = Path(__file__).parents[2] / "examples" / "data_parallel" / "train.py"
BIN = Path(sys.executable).parent


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def run(*command, directory):
    environment = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "GLOG_v": "3"}
    done = subprocess.run(
        command,
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )
    logs = "\n".join(log.read_text() for log in directory.glob("logs/*.log"))
    assert done.returncode == 0, done.stdout + logs
    return done.stdout


def by_launcher(processes):
    options = (f"--{name}={processes}" for name in ("worker_num", "local_worker_num"))
    address = ("--master_addr=127.0.0.1", f"--master_port={free_port()}", "--cluster_time_out=120")
    return BIN / "msrun", *options, *address, "--join=True", "--log_dir=logs"


@pytest.mark.slow
@pytest.mark.skipif(not (BIN / "msrun").exists(), reason="MindSpore's msrun is not installed")
def test_two_processes_train_as_one(tmp_path):
    alone = run(sys.executable, SCRIPT, "--save", "one.ckpt", directory=tmp_path)
    together = run(*by_launcher(2), SCRIPT, "--save", "two.ckpt", directory=tmp_path)
    epochs = [output.count("images/s") for output in (alone, together)]
    assert epochs[0] == epochs[1] < 10, "they did not stop together"

    one, two = (read_weights(tmp_path / f"{name}.ckpt").arrays for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name, weights in one.items():
        np.testing.assert_allclose(two[name], weights, rtol=0, atol=2e-5, err_msg=name)
