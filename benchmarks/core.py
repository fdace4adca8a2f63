"""Time the TinyMS core against stock MindSpore and PyTorch, and the import of its modules.

    python benchmarks/core.py [--networks mobilenetv2 lenet5] [--batch 16] [--json FILE]

Each number comes from a process of its own: oneDNN reads its settings only once, and a mode is
chosen only once. The rows of a table run in turn, round after round, so that what else the machine
does falls on all alike; the fewest seconds of all rounds count. "processor" is the fewest seconds
of all cores together: on a busy machine it compares better than the clock.

PyTorch's rows need torch (pip install 'sedna-tinyms[bench]') and are left out without it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from core_workloads import NETWORKS, TASKS, core_work, timed, torch_work

from sedna_tinyms import tinyms
from sedna_tinyms.artifact.files import write_json
from sedna_tinyms.onednn import KEEP_DEFAULT, LIMIT

STOCK = {KEEP_DEFAULT: "1"}
SIDES: dict[str, dict[str, str]] = {
    "TinyMS core": {},
    "MindSpore as it comes": STOCK,
    "MindSpore, graph mode": STOCK,
    "PyTorch channels_last": {},
}

Row = dict[str, Any]


def measure(side: str, network: str, task: str, batch: int, repeats: int, most: float) -> Row:
    """Measure in this process."""
    if side == "PyTorch channels_last":
        work = torch_work(network, task, batch)
    else:
        work = core_work(network, task, batch, graph=side != "MindSpore as it comes")
    return dict(timed(work, repeats, most))


def in_own_process(code: list[str], settings: dict[str, str]) -> Row:
    """Run Python with these settings for oneDNN only, and return the last line as JSON."""
    environment = {k: v for k, v in os.environ.items() if k not in (LIMIT, KEEP_DEFAULT)}
    done = subprocess.run(
        [sys.executable, *code],
        env={"GLOG_v": "3"} | environment | settings,
        stdout=subprocess.PIPE,
        check=True,
    )
    row: Row = json.loads(done.stdout.splitlines()[-1])
    return row


def compare(network: str, task: str, options: argparse.Namespace) -> list[Row]:
    """Measure one task on all sides in turn; return the best of each."""
    batch = 1 if task == "predict one" else options.batch
    best: dict[str, Row] = {}
    for _ in range(options.rounds):
        for side, settings in SIDES.items():
            if side.startswith("PyTorch") and not find_spec("torch"):
                continue
            sizes = map(str, (batch, options.repeats, options.most_seconds))
            new = in_own_process([__file__, "--measure", side, network, task, *sizes], settings)
            if side not in best or new["min_s"] < best[side]["min_s"]:
                best[side] = new
    rows = [{"network": network, "task": task, "batch": batch, "side": s, **best[s]} for s in best]
    print_table(f"{network}, {task}, batch {batch}", rows)
    return rows


def print_table(title: str, rows: list[Row]) -> None:
    print(f"\n{title:44}{'ms':>10}{'median':>10}{'processor':>11}{'first':>9}{'times ours':>12}")
    for row in rows:
        milliseconds = (1000 * row[name] for name in ("min_s", "median_s", "processor_min_s"))
        fewest, median, processor = (f"{value:.2f}" for value in milliseconds)
        print(
            f"  {row['side']:42}{fewest:>10}{median:>10}{processor:>11}{row['first_s']:7.2f} s"
            f"{row['min_s'] / rows[0]['min_s']:12.2f}",
            flush=True,
        )
    if len(rows) < len(SIDES):
        print("  (PyTorch left out: torch is not installed; pip install 'sedna-tinyms[bench]')")


IMPORT = """
import json, sys, time
*before, name = sys.argv[1:]
for other in before:
    __import__(other)
start = time.perf_counter()
__import__(name)
seconds = time.perf_counter() - start
print(json.dumps({"seconds": seconds, "mindspore": "mindspore" in sys.modules}))
"""


def compare_imports(rounds: int) -> list[Row]:
    """Time the import of each module of the core in new interpreters, with and without MindSpore.

    What a module costs beyond MindSpore is measured where MindSpore has been imported before it.
    """
    print(f"\n{'import':44}{'ms':>10}{'beyond MindSpore':>20}")
    core = Path(tinyms.__file__).parent
    found = {p.stem for p in core.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    names = [f"{tinyms.__name__}.{name}" for name in sorted(found) if not name.startswith("_")]
    rows: list[Row] = []
    for name in ("mindspore", tinyms.__name__, *names):
        try:
            row = fastest_import(rounds, name)
        except subprocess.CalledProcessError:  # its own message stands above
            print(f"  ({name} left out: it cannot be imported here)")
            continue
        beyond = ""
        if row["mindspore"] and name != "mindspore":
            row["beyond_s"] = fastest_import(rounds, "mindspore", name)["seconds"]
            beyond = f"{1000 * row['beyond_s']:.0f}"
        rows.append({"module": name} | row)
        print(f"  {name:42}{1000 * row['seconds']:10.0f}{beyond:>20}", flush=True)
    return rows


def fastest_import(rounds: int, *names: str) -> Row:
    """Return the least seconds that the last of the imports took."""
    runs = [in_own_process(["-c", IMPORT, *names], {}) for _ in range(rounds)]
    return min(runs, key=lambda run: run["seconds"])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--networks", nargs="*", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--batch", type=int, default=16, help="pictures in a step or prediction")
    parser.add_argument("--repeats", type=int, default=20, help="times a process does the work")
    parser.add_argument("--most-seconds", type=float, default=10, help="but no longer than about")
    parser.add_argument("--rounds", type=int, default=3, help="processes for each row")
    parser.add_argument("--imports", type=int, default=5, help="interpreters a module; 0 for none")
    parser.add_argument("--json", type=Path, help="write all rows to this file")
    parser.add_argument("--measure", nargs=6, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.measure:
        side, network, task, batch, repeats, most = options.measure
        row = measure(side, network, task, int(batch), int(repeats), float(most))
        print(json.dumps(row))
        return

    versions = {name: version(name) for name in ("mindspore", "torch") if find_spec(name)}
    cores = len(os.sched_getaffinity(0))
    print(f"{platform.machine()}, {cores} cores, " + ", ".join(map(" ".join, versions.items())))
    rows = [
        row
        for network in options.networks
        for task in TASKS
        for row in compare(network, task, options)
    ]
    imports = compare_imports(options.imports) if options.imports else []
    if options.json:
        report = {"benchmark": "core", "machine": platform.machine(), "cores": cores}
        write_json(options.json, report | {"versions": versions, "rows": rows, "imports": imports})


if __name__ == "__main__":
    main()
