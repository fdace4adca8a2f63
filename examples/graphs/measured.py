"""Measure one training step run as it is written, as a graph, and as a graph of fused kernels.

Each way has a process of its own: a mode is chosen once, and peak memory never falls again.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mindspore
import numpy as np

from sedna_tinyms.tinyms.layers import Layer, TrainOneStepCell, WithLossCell
from sedna_tinyms.tinyms.losses import SoftmaxCrossEntropyWithLogits
from sedna_tinyms.tinyms.optimizers import Momentum

WAYS: dict[str, dict[str, Any]] = {
    "as written": {"mode": mindspore.PYNATIVE_MODE},
    "graph": {"mode": mindspore.GRAPH_MODE},
    "fused graph": {"mode": mindspore.GRAPH_MODE, "enable_graph_kernel": True},
}

NO_KERNEL = {"Load", "Depend", "UpdateState", "MakeTuple", "TupleGetItem", "Return"}


def add_measuring_options(parser: argparse.ArgumentParser) -> None:
    """Let the command line choose what is measured."""
    parser.add_argument("--batch", type=int, default=256, help="pictures in a step")
    parser.add_argument("--steps", type=int, default=5, help="steps to time, after the first")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)


def compare(script: str, batch: int, steps: int) -> None:
    """Run `script` once for each way, and print what it measured."""
    print(
        f"\nOne training step, batch {batch}:\n"
        f"{'':14}{'kernels':>9}{'first step':>12}{'each step':>13}{'processor':>13}{'memory':>10}"
    )
    for way in WAYS:
        if way == "fused graph" and not find_spec("decorator"):
            print(f"{way:14}  (left out: MindSpore's kernel compiler needs the package decorator)")
            continue
        row = measured_in_own_process(script, way, batch, steps)
        print(
            f"{way:14}{row.get('kernels', '-'):>9}{row['first_s']:10.2f} s"
            f"{row['step_ms']:10.1f} ms{row['processor_ms']:10.1f} ms{row['peak_mb']:7.0f} MB"
        )
        if way == "graph":
            outputs = row["outputs_mb"]
    print(f"The outputs of the graph's kernels, each in memory of its own: {outputs:.0f} MB.")


def measured_in_own_process(script: str, way: str, batch: int, steps: int) -> dict[str, Any]:
    """Return what a new process measured."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, script, "--way", way, "--batch", str(batch)]
        dump = {"MS_DEV_SAVE_GRAPHS": "1", "MS_DEV_SAVE_GRAPHS_PATH": directory, "GLOG_v": "3"}
        done = subprocess.run(
            [*command, "--steps", str(steps)],
            env=os.environ | (dump if WAYS[way]["mode"] == mindspore.GRAPH_MODE else {}),
            cwd=directory,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"{way}: {done.stderr}")
        row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return row | executed(Path(directory))


def measure(network: Callable[[], Layer], shape: tuple[int, ...], way: str, steps: int) -> None:
    """Train a new network on noise in this process, and print one line of JSON."""
    mindspore.set_context(**WAYS[way])
    draw = np.random.default_rng(0)
    pictures = mindspore.Tensor(draw.random(shape, np.float32))
    labels = mindspore.Tensor(draw.integers(0, 10, shape[0]).astype(np.int32))
    trained = network()
    loss = WithLossCell(trained, SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean"))
    step = TrainOneStepCell(loss, Momentum(trained.trainable_params(), 0.01, 0.9)).set_train()

    before = memory_mb("VmRSS")
    clock, processor = [], []
    for _ in range(steps + 1):
        start, processor_start = time.perf_counter(), time.process_time()
        step(pictures, labels).asnumpy()  # MindSpore computes in the background until asked
        clock.append(time.perf_counter() - start)
        processor.append(time.process_time() - processor_start)
    row = {
        "first_s": clock[0],
        "step_ms": 1000 * min(clock[1:]),
        "processor_ms": 1000 * min(processor[1:]),
        "peak_mb": memory_mb("VmHWM") - before,
    }
    print(json.dumps(row))


def memory_mb(line: str) -> float:
    """Return this process's memory now (``VmRSS``) or at most so far (``VmHWM``), from Linux."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.findall(rf"{line}:\s+(\d+) kB", status)[0]) / 1000


def executed(directory: Path) -> dict[str, Any]:
    """Read how many kernels a graph launches, and what their outputs take, from its dump."""
    dumps = sorted(directory.rglob("graph_build_*.ir"))
    if not dumps:
        return {}
    text = dumps[-1].read_text(encoding="utf-8")
    graph = text[text.index("subgraph @kernel_graph") :].split("\n}", 1)[0]
    kernels = 0
    outputs = 0
    for node in re.split(r"\n(?=  %\d+\()", graph)[1:]:
        name = re.match(r"  %\d+\(.*?\) = (?:call @)?(?:PrimFunc_)?(\w+)", node)
        if name and name[1] not in NO_KERNEL:
            kernels += 1
            outputs += output_bytes(node)
    return {"kernels": kernels, "outputs_mb": outputs / 1e6}


def output_bytes(node: str) -> int:
    """Return the size of what a node gives, from its line ``: (inputs) -> (outputs)``."""
    given = re.search(r"\n +: .*-> \((.*)\)", node)
    shapes = re.findall(r"Tensor\[\w+\], \(([\d, ]*)\)", given[1]) if given else []
    return sum(
        4 * int(np.prod([int(n) for n in shape.split(",") if n.strip()])) for shape in shapes
    )
