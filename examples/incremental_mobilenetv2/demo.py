"""The whole demo: prepares the pictures, runs the job, plays the world around it, reports.

``python demo.py`` draws its own pictures; ``python demo.py --images FOLDER`` takes yours (see
``prepare.py``, whose options it passes on).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import report
from parts import CLASS_NAMES
from rich.console import Console
from world import Camera, Job, Labeller, read_answers

from sedna_tinyms.errors import SednaTinyMSError, WorkerError

HERE = Path(__file__).resolve().parent
PICTURE_EVERY_SECONDS = 0.8

console = Console(highlight=False)


def main(argv: list[str] | None = None) -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path("demo-run"))
    arguments, for_prepare = parser.parse_known_args(argv)
    root: Path = arguments.root.resolve()
    began = time.monotonic()
    try:
        prepare(root, for_prepare)
        arrivals = sorted((root / "arrivals").glob("*.txt"))
        drawn = (root / "truth.csv").exists()
        with running_job(root, rounds=3 if drawn else 1 + len(arrivals)) as job:
            if drawn:
                play_workshop(root, job)
            else:
                play_arrivals(root, job, arrivals)
        report.write(root, console, began)
    except SednaTinyMSError as error:
        console.print(f"demo.py: {error}", style="red", markup=False)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def prepare(root: Path, options: list[str]) -> None:
    """Run prepare.py; a root that holds an earlier run of it begins anew."""
    say(f"Preparing pictures and models below {root}")
    command = [sys.executable, str(HERE / "prepare.py"), "--root", str(root), "--replace", *options]
    ended = subprocess.run(command, check=False)
    if ended.returncode:
        sys.exit(ended.returncode)


@contextmanager
def running_job(root: Path, rounds: int) -> Iterator[Job]:
    """Run the job in its own process, its lines passed on, until its rounds are over."""
    command = [sys.executable, "-m", "sedna_tinyms", "run", str(root / "job.yaml")]
    command += ["--root", str(root), "--rounds", str(rounds)]
    runner = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def pass_on() -> None:
        for line in runner.stdout or ():
            console.print(f"  {line.rstrip()}", style="dim", markup=False, soft_wrap=True)

    def check() -> None:
        if runner.poll() is not None:
            raise WorkerError(
                f"the runner ended with {runner.returncode}; its reason is above",
                code="worker-failed",
                exit_code=runner.returncode,
            )

    lines = threading.Thread(target=pass_on, name="runner-output")
    with runner:
        lines.start()
        try:
            yield Job(root, check)
            runner.wait()
        finally:
            if runner.poll() is None:
                runner.terminate()
            lines.join()


def play_workshop(root: Path, job: Job) -> None:
    """Day turns into night; a person labels what the model is unsure of, then labels wrongly."""
    camera, labeller = Camera(root), Labeller(root, CLASS_NAMES)
    stock = root / "stock"
    say("The first pictures, taken by day, are labelled: round 1 learns them")
    job.wait_for_round(1)

    say("Night falls over the workshop. The camera goes on")
    camera.drop(sorted((stock / "shift").iterdir()))
    job.wait_until("answers to the shift's pictures", camera.answered)
    hard = [answer for answer in read_answers(root) if answer.hard]
    say(
        f"The worker is unsure of {len(hard)} of {len(camera.dropped)} pictures. "
        "A person labels them"
    )
    camera.keep_dropping(sorted((stock / "later").iterdir()), PICTURE_EVERY_SECONDS)
    try:
        labeller.label(root / "camera/hard_examples" / answer.picture for answer in hard)
        job.wait_for_round(2)
    finally:
        camera.stop()
    job.wait_until("answers to all pictures", camera.answered)

    say("A new colleague labels a batch, one row off in the list of classes")
    labeller.label((stock / "mislabelled").iterdir(), slipped=1)
    job.wait_for_round(3)


def play_arrivals(root: Path, job: Job, arrivals: list[Path]) -> None:
    """Real pictures: one domain after the other arrives, labelled."""
    labeller = Labeller(root, ())
    for number, arrival in enumerate(arrivals, 1):
        job.wait_for_round(number)
        say(f"{arrival.stem.partition('-')[2]} arrives")
        labeller.append(arrival.read_text(encoding="utf-8"))
    job.wait_for_round(len(arrivals) + 1)


def say(line: str) -> None:
    """Tell the story."""
    console.print(f"[bold]{line}[/bold]")


if __name__ == "__main__":
    sys.exit(main())
