"""The world around the job: a camera, a person who labels, and the runner seen from outside.

Nothing here waits for a time to pass: everything waits for a condition, read from the files that
the runner and the inference worker keep, and gives up when the runner ends or a deadline passes.
"""

from __future__ import annotations

import csv
import json
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from sedna_tinyms.artifact.files import write_text
from sedna_tinyms.errors import WorkerError

__all__ = ["Answer", "Camera", "Job", "Labeller", "Truth", "read_answers", "read_truth"]

LOOK_EVERY_SECONDS = 0.1
PATIENCE_SECONDS = 600.0


class Truth(NamedTuple):
    """What a drawn picture shows."""

    class_name: str
    domain: str


class Answer(NamedTuple):
    """What the inference worker said of a picture, and when."""

    picture: str
    time: float
    class_name: str
    score: float
    hard: bool


def read_truth(root: Path) -> dict[str, Truth]:
    """Return what each drawn picture shows; nothing for a root with real ones."""
    table = root / "truth.csv"
    if not table.exists():
        return {}
    with table.open(newline="", encoding="utf-8") as stream:
        return {
            row["picture"]: Truth(row["class"], row["domain"]) for row in csv.DictReader(stream)
        }


def read_answers(root: Path) -> list[Answer]:
    """Return the inference worker's answers so far, in their order."""
    file = root / "camera/results/results.jsonl"
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    entries = [json.loads(line) for line in lines if line.endswith("\n")]
    return [
        Answer(e["picture"], e["time"], e["class"], e["score"], e["hard"])
        for e in entries
        if "error" not in e
    ]


class Job:
    """A running job, seen through its report and status files.

    Parameters
    ----------
    root : Path
        The root it runs below.
    check : callable
        Called while waiting; raises if the runner has ended.
    """

    def __init__(self, root: Path, check: Callable[[], None]) -> None:
        self._output = root / "output/workshop"
        self._check = check

    def wait_until(self, what: str, condition: Callable[[], bool]) -> None:
        """Return as soon as the condition holds.

        Raises
        ------
        WorkerError
            If the runner has ended, or the condition does not hold within ten minutes.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            self._check()
            if time.monotonic() > deadline:
                raise WorkerError(
                    f"gave up after {PATIENCE_SECONDS:.0f} s of waiting for {what}",
                    code="timeout",
                    seconds=PATIENCE_SECONDS,
                )
            time.sleep(LOOK_EVERY_SECONDS)

    def wait_for_round(self, number: int) -> dict[str, Any]:
        """Wait until a round is over, and return its record.

        Raises
        ------
        WorkerError
            Also if the round has failed.
        """
        self.wait_until(f"the end of round {number}", lambda: self._outcome(number) != "running")
        record: dict[str, Any] = self._read("report.json")["rounds"][number - 1]
        if record["outcome"] == "failed":
            raise WorkerError(
                f"round {number} failed: {record['reason']}", code="worker-failed", round=number
            )
        return record

    def _outcome(self, number: int) -> str:
        """Return what the report says of a round; running, if it has not begun."""
        rounds = self._read("report.json").get("rounds", [])
        return str(rounds[number - 1]["outcome"]) if len(rounds) >= number else "running"

    def _read(self, name: str) -> dict[str, Any]:
        file = self._output / name
        content: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() else {}
        return content


class Camera:
    """Drops pictures into the folder that the inference worker watches."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / "camera/incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.dropped: list[str] = []

    def drop(self, pictures: Iterable[Path]) -> list[str]:
        """Drop these pictures at once; they appear whole, because they are renamed."""
        names = []
        for picture in pictures:
            picture.rename(self._incoming / picture.name)
            names.append(picture.name)
        self.dropped += names
        return names

    def answered(self) -> bool:
        """Whether every picture dropped so far has its answer and was moved away."""
        said = {answer.picture for answer in read_answers(self._root)}
        return said >= set(self.dropped) and not any(self._incoming.iterdir())

    def keep_dropping(self, pictures: Iterable[Path], every_seconds: float) -> None:
        """Go on in the background: one picture after the other, until `stop`."""

        def run() -> None:
            for picture in pictures:
                if self._stop.wait(every_seconds):
                    return
                self.drop([picture])

        self._thread = threading.Thread(target=run, name="camera")
        self._thread.start()

    def stop(self) -> None:
        """End the background dropping."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()


class Labeller:
    """A person who looks at pictures and appends lines to the job's dataset."""

    def __init__(self, root: Path, classes: tuple[str, ...]) -> None:
        self._dataset = root / "data/workshop"
        self._truth = read_truth(root)
        self._classes = classes

    def label(self, pictures: Iterable[Path], *, slipped: int = 0) -> int:
        """Label pictures and add them to the dataset, in one go.

        Parameters
        ----------
        pictures : iterable of Path
            They move beside the dataset.
        slipped : int
            How far the person's finger slips down the list of classes: 0 labels rightly.

        Returns
        -------
        int
            How many lines were added.
        """
        lines = []
        for picture in sorted(pictures):
            true = self._classes.index(self._truth[picture.name].class_name)
            label = self._classes[(true + slipped) % len(self._classes)]
            picture.rename(self._dataset / "pictures" / picture.name)
            lines.append(f"pictures/{picture.name} {label}\n")
        self.append("".join(lines))
        return len(lines)

    def append(self, lines: str) -> None:
        """Add lines to the dataset; whoever reads it sees none or all of them."""
        samples = self._dataset / "samples.txt"
        write_text(samples, samples.read_text(encoding="utf-8") + lines)
