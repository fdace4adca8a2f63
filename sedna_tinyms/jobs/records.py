"""What a round cost and brought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sedna_tinyms.errors import SednaTinyMSError, StorageError
from sedna_tinyms.gate import PairedTest
from sedna_tinyms.jobs.journal import now
from sedna_tinyms.jobs.workers.worker import WorkerExit

__all__ = ["QUARANTINED", "REPORT_VERSION", "RoundRecord", "StageRecord"]

QUARANTINED = "quarantined"
"""The outcome of a round that ended before its training, all new labels being contradicted."""

REPORT_VERSION = 1
"""Format version of ``report.json``; the first reports have none."""


@dataclass
class StageRecord:
    """One stage of a round.

    Attributes
    ----------
    seconds : float
        Wall time: of the worker for train and eval, from the first copy to the worker's answer
        for deploy.
    peak_bytes : int or None
        The worker's peak memory (see `WorkerExit`); None where no worker ended with the stage.
    exit_code : int or None
        The worker's; None likewise.
    engines : dict of str to str
        What computed which part of the work, and why, if the worker told.
    """

    seconds: float
    peak_bytes: int | None = None
    exit_code: int | None = None
    engines: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, end: WorkerExit, engines: Mapping[str, str] | None = None) -> StageRecord:
        """Return the record of a stage that was one worker."""
        return cls(end.seconds, end.peak_bytes, end.code, dict(engines or {}))

    def __str__(self) -> str:
        memory = f", {self.peak_bytes / 1e9:.2f} GB" if self.peak_bytes else ""
        return f"{self.seconds:.1f} s{memory}"


@dataclass
class RoundRecord:
    """One round.

    Attributes
    ----------
    outcome : str
        ``running``, then ``deployed``, ``not proven`` (the deploy trigger is unmet, or the evidence
        does not decide), ``rejected`` (the evidence says that the model is worse), ``quarantined``
        (the labels of all that was new were contradicted) or ``failed``. In a report of a version
        before, ``refused`` stands for the second and third.
    reason : str
        Why, in words for a person, or why the round failed.
    detail : str
        What the deploy trigger of the YAML says, and the counts of the gate.
    code : str
        The same for a program: the `code` of the decision or of the error; ``gone-back-from``
        where the same weights had been, ``canary-failed``, or ``interrupted``. Empty in a report
        of a version that had none.
    train_samples, eval_samples, eval_missing : int
        How many samples it was given, and of how many of the held-out ones the picture is gone.
    base_model : str
        The host path of the model that it started from.
    models : list of dict
        The train worker's models: format, url, metrics.
    new, old : dict or None
        The metrics of the two evaluated models, as the eval worker reported them, but for
        ``correct``, which is kept beside the round's other results.
    test : dict or None
        How many samples ``only_new`` and ``only_old`` gets right, and the ``probability`` that
        the new model is the better one; None where that was not tested.
    new_model, old_model : str or None
        Their host paths.
    canary : dict or None
        What came of trying the new model out: ``outcome``, ``reason``, and what was measured.
    stages : dict
        A `StageRecord` for each of train, eval, canary and deploy that was entered.
    version : int or None
        The model version that it became.
    rolled_back : str or None
        Why that version was gone back from, if it was.
    left_out : int or None
        The arrival that took no part, to find out whether its labels are wrong.
    suspects : list of int
        The arrivals that it trained on and that no model in service has learned.
    quarantined : list of dict
        The arrivals that it sent into quarantine: ``arrival``, ``samples``, ``reason``.
    checked : dict or None
        What came of comparing the new labels with what is known, by arrival.
    failure : dict or None
        Of a failed round: ``stage``, ``reason`` (one word), ``last_lines`` of the worker.
    """

    round: int
    train_samples: int = 0
    eval_samples: int = 0
    eval_missing: int = 0
    base_model: str = ""
    outcome: str = "running"
    reason: str = ""
    detail: str = ""
    code: str = ""
    models: list[dict[str, Any]] = field(default_factory=list)
    new_model: str | None = None
    old_model: str | None = None
    new: dict[str, Any] | None = None
    old: dict[str, Any] | None = None
    test: dict[str, Any] | None = None
    canary: dict[str, Any] | None = None
    stages: dict[str, StageRecord] = field(default_factory=dict)
    version: int | None = None
    rolled_back: str | None = None
    left_out: int | None = None
    suspects: list[int] = field(default_factory=list)
    quarantined: list[dict[str, Any]] = field(default_factory=list)
    checked: dict[str, Any] | None = None
    failure: dict[str, Any] | None = None
    started: str = field(default_factory=now)
    finished: str | None = None

    @classmethod
    def of_json(cls, data: dict[str, Any]) -> RoundRecord:
        """Return the record that `dataclasses.asdict` made plain."""
        stages = {name: StageRecord(**stage) for name, stage in data["stages"].items()}
        return cls(**data | {"stages": stages})

    @property
    def trained(self) -> bool:
        """Whether the round has a new model."""
        return bool(self.models) and (self.failure or {}).get("stage") != "train"

    @property
    def failed_worker(self) -> str | None:
        """Which of the train and the eval worker failed; None if it was something else."""
        if self.failure is None or self.failure["reason"] == StorageError.__name__:
            return None
        stage: str = self.failure["stage"]
        return stage if stage in {"train", "eval"} & self.stages.keys() else None

    @property
    def verdict(self) -> str:
        """The outcome, and whether it held."""
        return f"{self.outcome}, rolled back" if self.rolled_back else self.outcome

    def finish(self, outcome: str, reason: str, code: str) -> None:
        """Note how and when the round ended."""
        self.outcome, self.reason, self.code, self.finished = outcome, reason, code, now()

    def tested(self, test: PairedTest) -> None:
        """Note how sure it is that the new model is better."""
        self.test = {**asdict(test), "probability": test.probability}

    def fail(self, stage: str, error: SednaTinyMSError) -> None:
        """Note that the round failed in a stage, and why."""
        self.finish("failed", str(error), error.code)
        self.failure = {
            "stage": stage,
            "reason": getattr(error, "reason", type(error).__name__),
            "last_lines": list(getattr(error, "last_lines", ())),
        }

    def failure_words(self) -> tuple[str, str]:
        """Return reason and message for the Failed condition, with the worker's last lines."""
        failure = self.failure or {"reason": "", "last_lines": []}
        return failure["reason"], "\n".join([self.reason, *failure["last_lines"]])
