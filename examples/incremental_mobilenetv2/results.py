"""Gathers what a run has shown: the runner's report, the worker's answers, held-out tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from world import Answer, Truth, read_answers, read_truth

from sedna_tinyms.artifact.files import write_json
from sedna_tinyms.errors import StorageError, WorkerError
from sedna_tinyms.jobs.manifest.loading import load_job
from sedna_tinyms.jobs.manifest.spec import Job
from sedna_tinyms.learning.accuracy_matrix import AccuracyMatrix

__all__ = ["IN_SERVICE", "MeasuredModel", "Results", "Span", "gather", "measure"]

HERE = Path(__file__).resolve().parent

IN_SERVICE = ("initial", "deployed")
"""Outcomes of models that served, if only at first."""


class MeasuredModel(NamedTuple):
    """A model of the run and its accuracy on each domain's held-out pictures."""

    label: str
    outcome: str  # initial, deployed, not proven, rejected, quarantined or failed
    accuracy: dict[str, float]


class Span(NamedTuple):
    """A stage of a round, in seconds since the job began."""

    round: int
    stage: str
    start: float
    end: float


@dataclass(frozen=True)
class Results:
    """Everything that the table, the figure and the page show.

    Attributes
    ----------
    domains : tuple of str
        In the order in which they arrived.
    models : tuple of MeasuredModel
        The initial model, then each round's.
    served : dict
        Accuracy of the model in service at the end, by domain.
    rounds, inference : list of dict
        As in the runner's report.
    spans : tuple of Span
        When each stage ran, by the job's conditions.
    answers : tuple of Answer
        What the inference worker said, its times in seconds since the job began.
    truth : dict
        What drawn pictures show.
    unanswered : int
        Pictures still waiting in the camera's folder.
    seed : int
        What everything was drawn with.
    seconds : float or None
        Of the whole demo.
    """

    root: Path
    domains: tuple[str, ...]
    models: tuple[MeasuredModel, ...]
    served: dict[str, float]
    rounds: list[dict[str, Any]]
    inference: list[dict[str, Any]]
    spans: tuple[Span, ...]
    answers: tuple[Answer, ...]
    truth: dict[str, Truth]
    unanswered: int
    seed: int
    seconds: float | None = None

    @property
    def hard(self) -> list[Answer]:
        """The pictures that the worker was unsure of."""
        return [answer for answer in self.answers if answer.hard]

    @property
    def labelled(self) -> list[Answer]:
        """Those of them that a person labelled, which moves them to the dataset."""
        pictures = self.root / "data/workshop/pictures"
        return [answer for answer in self.hard if (pictures / answer.picture).exists()]

    @property
    def matrix(self) -> AccuracyMatrix:
        """Accuracy on each domain of what was in service: at first, and after each round.

        The rounds bring the domains, one after the other.
        """
        initial, *rounds = self.models
        matrix = AccuracyMatrix(
            self.domains, baseline=[initial.accuracy[domain] for domain in self.domains]
        )
        served = initial.accuracy
        for number, model in enumerate(rounds):
            learned = f"{model.label} ({model.outcome})"
            if model.outcome == "deployed":
                served = model.accuracy
                learned = self.domains[number] if number < len(self.domains) else model.label
            matrix.add(learned, served)
        return matrix


def gather(root: Path) -> Results:
    """Read a finished run; `held_out.json` below the root, or `measure`, gives the accuracies.

    Raises
    ------
    StorageError
        If there is no finished run below the root.
    """
    job = load_job(root / "job.yaml")
    output = root / job.spec.output_dir.lstrip("/")
    report = _read_json(output / "report.json")
    prepared = _read_json(root / "prepared.json")
    conditions = _read_json(output / "status.json")["status"]["conditions"]
    began = _seconds(conditions[0])
    measured = root / "held_out.json"
    accuracy = _read_json(measured) if measured.exists() else measure(root, job, report["rounds"])

    models = [MeasuredModel("initial", "initial", accuracy[job.initial_model.url])]
    models += [
        MeasuredModel(
            f"round {record['round']}", record["outcome"], accuracy.get(record["new_model"], {})
        )
        for record in report["rounds"]
    ]
    return Results(
        root=root,
        domains=tuple(prepared["domains"]),
        models=tuple(models),
        served=accuracy[job.deploy_model.url],
        rounds=report["rounds"],
        inference=report.get("inference", []),
        spans=tuple(_spans(conditions, began)),
        answers=tuple(a._replace(time=a.time - began) for a in read_answers(root)),
        truth=read_truth(root),
        unanswered=len(list((root / "camera/incoming").glob("*.jpg"))),
        seed=prepared["seed"],
    )


def measure(root: Path, job: Job, rounds: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Evaluate every model of the run in one process of its own, and keep what it says.

    Raises
    ------
    WorkerError
        If that process fails; the message ends with its last lines.
    """
    models = [job.initial_model.url, job.deploy_model.url]
    models += [record["new_model"] for record in rounds if record["new_model"]]
    command = [sys.executable, "-m", "sedna_tinyms", "exec", str(HERE / "held_out.py"), str(root)]
    environment = os.environ | dict(job.spec.eval_template.env)
    ended = subprocess.run(
        command + models, env=environment, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        last = "\n".join(ended.stderr.splitlines()[-8:])
        raise WorkerError(
            f"held_out.py ended with {ended.returncode}:\n{last}",
            code="worker-failed",
            exit_code=ended.returncode,
        )
    accuracy: dict[str, dict[str, float]] = json.loads(ended.stdout.splitlines()[-1])
    write_json(root / "held_out.json", accuracy)
    return accuracy


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StorageError(
            f"{path} cannot be read ({error}); run demo.py with this --root first",
            code="missing-file" if isinstance(error, FileNotFoundError) else "unreadable-file",
            path=path,
        ) from error


def _spans(conditions: list[dict[str, str]], began: float) -> list[Span]:
    """Turn the job's conditions into the stages that ran, a deployment only if there was one."""
    spans: list[Span] = []
    number, start = 0, None
    for condition in conditions:
        now = _seconds(condition) - began
        if condition["type"] == "Waiting":
            start = None
        elif condition["type"] == "Ready":
            number += condition["stage"] == "Train"
            start = now
        elif condition["type"] in ("Completed", "Failed") and start is not None:
            spans.append(Span(number, condition["stage"].lower(), start, now))
    return spans


def _seconds(condition: dict[str, str]) -> float:
    return datetime.fromisoformat(
        condition["lastTransitionTime"].replace("Z", "+00:00")
    ).timestamp()
