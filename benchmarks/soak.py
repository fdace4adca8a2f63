"""A job runs on and on: rounds, mishaps, and what grows in the runner and on the disk.

    sedna-tinyms bench soak --minutes 20 --rounds 100 --json OUT

`sedna-tinyms run` plays `soak.yaml` with real workers: MobileNetV2 with a tiny input is trained,
exported, evaluated, tried out and swapped into the inference worker round after round, while a
camera drops pictures for it. A round's pictures are by day or by night, ten rounds each. Now and
then the dataset names a picture that is not there, which fails that round and the next; once, the
inference worker is killed. The end is a SIGTERM.

``unplanned`` counts rounds that failed though they need not, or did not though they had to; ``mb``
is the runner's memory, ``warm`` after a tenth of the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any

import numpy as np
from arguments import at_least_one
from harness import Benchmark, Numbers, Row, Run, main
from machine import resident_mb

from estimators.prediction import version_of
from sedna_tinyms.errors import WorkerError

YAML = Path(__file__).with_name("soak.yaml")
EXAMPLE = YAML.parents[1] / "examples" / "incremental_mobilenetv2"
OUTPUT = "output/soak"
SETTINGS = {
    "CLASS_NAMES": "bolt,gear,nut,spring,washer,wrench",
    "INPUT_SHAPE": "64",
    "WIDTH": "0.35",
    "SEED": "0",
}

ARRIVAL = 18
"""Pictures of a round; three quarters are trained on."""

SHIFT = 10
"""Rounds until day turns into night."""

STOCK = 60
"""Pictures that the camera sees, in turn."""

CAMERA_SECONDS = 0.25
WARM_UP = 0.1
"""The share of rounds before memory is looked at."""

PATIENCE_SECONDS = 600.0
OVER = re.compile(r" round (\d+): (?:deployed|refused|failed): ")
STARTED = re.compile(r"round \d+: (\w+) worker started as process (\d+)")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, default=20.0, help="at least so long")
    parser.add_argument("--rounds", type=at_least_one, default=100, help="at least so many")
    parser.add_argument(
        "--mistake-every", type=at_least_one, metavar="N", default=20, help="rounds"
    )


def write_models(_: argparse.Namespace, run: Run) -> Numbers:
    """Write the models that the job begins with, in a process that may load MindSpore."""
    sys.path.insert(0, str(EXAMPLE))
    import prepare

    prepare.write_models(run.shared, SETTINGS, prepare.BACKBONE)
    return {}


class Workshop:
    """Draws pictures of parts, labelled for the dataset and unlabelled for the camera."""

    def __init__(self, root: Path, mistake_every: int) -> None:
        self.root = root
        self.mistake_every = mistake_every
        self.dataset = root / "data/soak"
        self._draw = np.random.default_rng(0)
        (self.dataset / "pictures").mkdir(parents=True)
        (self.dataset / "samples.txt").touch()

    def picture(self, path: Path, number: int, *, night: bool) -> str:
        """Draw one picture and return what it shows."""
        from parts import CLASS_NAMES, height_field
        from scenes import CANVAS, DAY, NIGHT, photograph

        class_name = str(CLASS_NAMES[number % len(CLASS_NAMES)])
        field = height_field(class_name, CANVAS, self._draw)
        photograph(field, NIGHT if night else DAY, self._draw).save(path, quality=92)
        return class_name

    def deliver(self, round_number: int) -> None:
        """Append the pictures of a round to the dataset, perhaps with a mistake."""
        lines = ["pictures/missing.jpg bolt\n"] if self.is_mistaken(round_number) else []
        for number in range(ARRIVAL):
            name = f"pictures/{round_number:04d}-{number:02d}.jpg"
            night = (round_number - 1) // SHIFT % 2 == 1
            lines.append(f"{name} {self.picture(self.dataset / name, number, night=night)}\n")
        with (self.dataset / "samples.txt").open("a", encoding="utf-8") as samples:
            samples.write("".join(lines))

    def is_mistaken(self, round_number: int) -> bool:
        """Tell whether a round's samples name a picture that is not there."""
        return round_number % self.mistake_every == self.mistake_every // 2

    def must_fail(self, round_number: int) -> bool:
        """Tell whether a round is to fail: the samples of one that failed come back once."""
        return self.is_mistaken(round_number) or self.is_mistaken(round_number - 1)


class Camera:
    """Drops a picture into the inference worker's folder, again and again, until `stop`."""

    def __init__(self, workshop: Workshop) -> None:
        self.dropped = 0
        self._directory = workshop.root / "camera"
        self._stock = workshop.root / "stock"
        self._stock.mkdir()
        (self._directory / "incoming").mkdir(parents=True)
        for number in range(STOCK):
            workshop.picture(self._stock / f"{number}.jpg", number, night=number % 2 == 1)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="camera")
        self._thread.start()

    def _run(self) -> None:
        while not self._done.wait(CAMERA_SECONDS):
            hidden = self._directory / "incoming" / f".{self.dropped:06d}.jpg"
            shutil.copyfile(self._stock / f"{self.dropped % STOCK}.jpg", hidden)
            hidden.rename(hidden.with_name(hidden.name[1:]))
            self.dropped += 1

    def stop(self) -> None:
        """End the dropping."""
        self._done.set()
        self._thread.join()

    def answers(self) -> list[dict[str, Any]]:
        """Wait until every picture was taken, and return the answers."""
        deadline = time.monotonic() + PATIENCE_SECONDS / 10
        while any((self._directory / "incoming").iterdir()) and time.monotonic() < deadline:
            time.sleep(CAMERA_SECONDS)
        results = self._directory / "results" / "results.jsonl"
        return [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]


class Runner:
    """`sedna-tinyms run` as a process, from `with` to its end, heard through what it prints."""

    def __init__(self, root: Path) -> None:
        self._log = root / "run.log"
        command = [sys.executable, "-m", "sedna_tinyms", "run", str(YAML), "--root", str(root)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.workers: dict[int, str] = {}
        self._rounds: SimpleQueue[int] = SimpleQueue()
        self._ear = threading.Thread(target=self._listen, name="runner")
        self._ear.start()

    def _listen(self) -> None:
        assert self.process.stderr is not None  # noqa: S101 (it is a pipe)
        with self._log.open("w", encoding="utf-8") as log:
            for line in self.process.stderr:
                log.write(line)
                if found := STARTED.search(line):
                    self.workers[int(found[2])] = found[1]
                if found := OVER.search(line):
                    self._rounds.put(int(found[1]))

    def wait_for_round(self, number: int) -> None:
        """Return when a round is over."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                if self._rounds.get(timeout=1) == number:
                    return
            except Empty:
                if self.process.poll() is not None:
                    break
        last = self._log.read_text(encoding="utf-8").splitlines()[-5:]
        raise WorkerError(
            "\n".join([f"round {number} did not end; the runner's last words:", *last]),
            code="worker-failed",
            round=number,
        )

    def kill_inference(self) -> None:
        """Kill the inference worker; it is to be started again."""
        os.kill(
            [pid for pid, kind in self.workers.items() if kind == "inference"][-1], signal.SIGKILL
        )

    def holdings(self, root: Path) -> dict[str, float]:
        """Return what a leak would make grow."""
        own = Path("/proc") / str(self.process.pid)
        files = [path for path in (root / OUTPUT).rglob("*") if path.is_file()]
        return {
            "mb": resident_mb(self.process.pid),
            "threads": len(list((own / "task").iterdir())),
            "handles": len(list((own / "fd").iterdir())),
            "disk_mb": sum(path.stat().st_size for path in files) / 1e6,
            "files": len(files),
        }

    def left(self) -> list[int]:
        """Return the processes of its workers that are still there."""
        return [pid for pid in self.workers if (Path("/proc") / str(pid) / "exe").exists()]

    def __enter__(self) -> Runner:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.process.terminate()
        self.process.wait()
        self._ear.join()


def soak(options: argparse.Namespace, run: Run) -> Numbers:
    """Let the job run; return what it came to and what grew."""
    sys.path.insert(0, str(EXAMPLE))
    root = run.own / "root"
    shutil.copytree(run.shared / "models", root / "models")
    workshop = Workshop(root, options.mistake_every)
    served = root / "models/deploy/deploy.onnx"
    versions, held = {version_of(served.read_bytes())}, []
    begin, number = time.monotonic(), 0
    warm = max(1, int(options.rounds * WARM_UP))
    with Runner(root) as runner:
        camera = Camera(workshop)
        try:
            while number < options.rounds or time.monotonic() - begin < 60 * options.minutes:
                number += 1
                workshop.deliver(number)
                runner.wait_for_round(number)
                versions.add(version_of(served.read_bytes()))
                held.append(runner.holdings(root))
                if number == max(1, warm // 2):
                    runner.kill_inference()
        finally:
            camera.stop()
        answers = camera.answers()
    report = json.loads((root / OUTPUT / "report.json").read_text(encoding="utf-8"))
    outcomes = Counter(record["outcome"] for record in report["rounds"])
    unplanned = [
        f"round {record['round']}: {record['reason']}"
        for record in report["rounds"]
        if (record["outcome"] == "failed") != workshop.must_fail(record["round"])
    ]
    faults = _faults(answers, camera.dropped, versions)
    first, last = held[warm - 1], held[-1]
    return {
        "rounds": number,
        "minutes": (time.monotonic() - begin) / 60,
        **{name: outcomes[name] for name in ("deployed", "refused", "failed")},
        "unplanned": len(unplanned),
        "first_unplanned": unplanned[:5],
        "answers": len(answers),
        "versions_that_answered": len({answer.get("version") for answer in answers}),
        "faults": len(faults),
        "first_faults": faults[:5],
        **{f"{name}_warm": first[name] for name in ("mb", "disk_mb")},
        **{f"{name}_end": last[name] for name in ("mb", "disk_mb")},
        **{f"{name}_grown": last[name] - first[name] for name in ("threads", "handles", "files")},
        "kb_per_round": _slope([each["mb"] for each in held[warm - 1 :]]) * 1024,
        "exit_code": runner.process.returncode,
        "processes_left": len(runner.left()),
        "held": held,
    }


def _faults(answers: list[dict[str, Any]], dropped: int, versions: set[str]) -> list[str]:
    """Return what is wrong with the answers: some picture has none, or a wrong one."""
    faults = [answer["error"] for answer in answers if "error" in answer]
    said = {answer["picture"] for answer in answers}
    faults += [
        f"no answer to {name}" for n in range(dropped) if (name := f"{n:06d}.jpg") not in said
    ]
    found = {answer["version"] for answer in answers if "version" in answer}
    return faults + [f"the version {name} was never deployed" for name in found - versions]


def _slope(values: list[float]) -> float:
    """Return by how much values grow from one to the next, by least squares."""
    return float(np.polyfit(range(len(values)), values, 1)[0]) if len(values) > 1 else 0.0


BENCHMARK = Benchmark(
    name="soak",
    script=__file__,
    columns={
        "rounds": "d",
        "minutes": ".1f",
        "deployed": "d",
        "refused": "d",
        "failed": "d",
        "unplanned": "d",
        "answers": ",d",
        "faults": "d",
        "mb_warm": ".1f",
        "mb_end": ".1f",
        "threads_grown": "+d",
        "handles_grown": "+d",
        "disk_mb_warm": ".1f",
        "disk_mb_end": ".1f",
        "exit_code": "d",
    },
    rows=lambda _: [Row("job", soak, ("mindspore", "onnx", "onnxruntime"), once=True)],
    configure=configure,
    prepare=write_models,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
