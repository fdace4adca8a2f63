"""What a round cost and brought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sedna_tinyms.errors import SednaTinyMSError, StorageError
from sedna_tinyms.jobs.confidence import PairedTest
from sedna_tinyms.jobs.journal import now
from sedna_tinyms.jobs.workers.worker import WorkerExit

__all__ = ["REPORT_VERSION", "RoundRecord", "StageRecord"]

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
        ``running``, then ``deployed``, ``refused`` (by the deploy trigger or a gate) or ``failed``.
    reason : str
        The words of the deploy trigger and of the gates, or why the round failed.
    code : str
        The same for a program: the `code` of the decision or of the error; ``gone-back-from``
        where the same weights had been, ``canary-failed``, or ``interrupted``. Empty in a report
        of a version that had none.
    train_samples, eval_samples : int
        How many samples it was given.
    base_model : str
        The host path of the model that it started from.
    models : list of dict
        The train worker's models: format, url, metrics.
    new, old : dict or None
        The metrics of the two evaluated models, as the eval worker reported them, but for
        ``correct``, which is kept beside the round's other results.
    test : dict or None
        How many samples ``only_new`` and ``only_old`` gets right, and the ``confidence`` that
        they differ; None where that was not tested.
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
    failure : dict or None
        Of a failed round: ``stage``, ``reason`` (one word), ``last_lines`` of the worker.
    """

    round: int
    train_samples: int = 0
    eval_samples: int = 0
    base_model: str = ""
    outcome: str = "running"
    reason: str = ""
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
    def failed_in_worker(self) -> bool:
        """Whether the train or eval worker failed, and not what the runner does before or after."""
        if self.failure is None or self.failure["reason"] == StorageError.__name__:
            return False
        return self.failure["stage"] in {"train", "eval"} & self.stages.keys()

    @property
    def verdict(self) -> str:
        """The outcome, and whether it held."""
        return f"{self.outcome}, rolled back" if self.rolled_back else self.outcome

    def finish(self, outcome: str, reason: str, code: str) -> None:
        """Note how and when the round ended."""
        self.outcome, self.reason, self.code, self.finished = outcome, reason, code, now()

    def tested(self, test: PairedTest) -> None:
        """Note how sure it is that the new model is better."""
        self.test = {**asdict(test), "confidence": test.confidence}

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
