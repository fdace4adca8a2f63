"""Time one MobileNetV2 training step with and without oneDNN's limit to AVX2 instructions.

Each row runs in a process of its own, since oneDNN reads the limit only once. On processors with
AVX-512 the row without the limit shows what `sedna_tinyms.onednn` is for; elsewhere both are alike.

    python benchmarks/onednn_step.py [--batch 8] [--size 224] [--steps 3] [--json FILE]

"processor" is the fewest seconds that a step took of all cores together: on a busy machine it
compares better than the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from sedna_tinyms.onednn import KEEP_DEFAULT, LIMIT

ROWS = {"AVX2": {LIMIT: "AVX2"}, "unlimited": {KEEP_DEFAULT: "1"}}


def time_steps(batch: int, size: int, steps: int) -> dict[str, Any]:
    """Train on noise in this process and return the seconds of each step after the first."""
    import mindspore
    import numpy as np

    from sedna_tinyms.tinyms.context import prefer_graph_mode
    from sedna_tinyms.tinyms.losses import CrossEntropyWithLabelSmooth
    from sedna_tinyms.tinyms.model import mobilenetv2
    from sedna_tinyms.tinyms.optimizers import Momentum

    prefer_graph_mode()
    draw = np.random.default_rng(0)
    pictures = mindspore.Tensor(draw.standard_normal((batch, 3, size, size)).astype(np.float32))
    labels = mindspore.Tensor(draw.integers(0, 10, batch).astype(np.int32))
    network = mobilenetv2(10)
    loss = mindspore.nn.WithLossCell(network, CrossEntropyWithLabelSmooth(0.1, 10))
    optimizer = Momentum(network.trainable_params(), 0.01, 0.9)
    step = mindspore.nn.TrainOneStepCell(loss, optimizer).set_train()

    seconds, processor_seconds = [], []
    for _ in range(steps + 1):
        start, processor_start = time.perf_counter(), time.process_time()
        step(pictures, labels).asnumpy()
        seconds.append(time.perf_counter() - start)
        processor_seconds.append(time.process_time() - processor_start)
    first, *rest = seconds
    return {
        "mindspore": mindspore.__version__,
        "first_step_with_compilation_s": round(first, 3),
        "steps_s": [round(s, 3) for s in rest],
        "min_s": round(min(rest), 3),
        "median_s": round(statistics.median(rest), 3),
        "processor_min_s": round(min(processor_seconds[1:]), 3),
    }


def run_row(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Time the steps in a fresh process with the row's environment."""
    environment = {k: v for k, v in os.environ.items() if k not in (LIMIT, KEEP_DEFAULT)}
    sizes = (arguments.batch, arguments.size, arguments.steps)
    finished = subprocess.run(
        [sys.executable, __file__, "--in-process", *(str(number) for number in sizes)],
        env=environment | ROWS[name],
        stdout=subprocess.PIPE,
        check=True,
    )
    return {"instructions": name, **json.loads(finished.stdout.splitlines()[-1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", type=int, default=8, help="pictures in a step")
    parser.add_argument("--size", type=int, default=224, help="height and width of a picture")
    parser.add_argument("--steps", type=int, default=3, help="steps to time, after the first")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--in-process", nargs=3, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.in_process:
        print(json.dumps(time_steps(*arguments.in_process)))
        return

    print(
        f"One MobileNetV2 training step, batch {arguments.batch} at {arguments.size} px, "
        f"{len(os.sched_getaffinity(0))} cores, {platform.machine()}"
    )
    print(f"{'instructions':14}{'min':>9}{'median':>9}{'first':>9}{'processor':>11}   (seconds)")
    rows = []
    for name in ROWS:
        row = run_row(name, arguments)
        rows.append(row)
        print(
            f"{name:14}{row['min_s']:9.3f}{row['median_s']:9.3f}"
            f"{row['first_step_with_compilation_s']:9.3f}{row['processor_min_s']:11.3f}",
            flush=True,
        )
    print(f"the limit makes a step {rows[1]['min_s'] / rows[0]['min_s']:.1f} times as fast")
    if arguments.json:
        report = {
            "benchmark": "onednn-step",
            "batch": arguments.batch,
            "size": arguments.size,
            "cores": len(os.sched_getaffinity(0)),
            "machine": platform.machine(),
            "rows": rows,
        }
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
