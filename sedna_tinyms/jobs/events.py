"""What happens in a job, as values: `JobRunner` hands each one to its ``on_event``.

``str(event)`` says it in one line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from sedna_tinyms.jobs.arrivals import ArrivalVerdict
from sedna_tinyms.jobs.records import RoundRecord, StageRecord
from sedna_tinyms.jobs.workers.worker import WorkerExit

__all__ = [
    "CanaryEnded",
    "Decided",
    "Deployed",
    "EnginesChosen",
    "Event",
    "JobStarted",
    "JobStopped",
    "LabelsChecked",
    "Noted",
    "RollbackServed",
    "RolledBack",
    "RoundFinished",
    "RoundStarted",
    "SamplesArrived",
    "WorkerFinished",
    "WorkerStarted",
]


@dataclass(frozen=True)
class JobStarted:
    """The runner listens at `endpoint` and goes on after round `rounds_before`."""

    job: str
    namespace: str
    output: Path
    endpoint: str
    rounds_before: int

    def __str__(self) -> str:
        after = f", going on after round {self.rounds_before}" if self.rounds_before else ""
        return (
            f"{self.namespace}/{self.job} runs in {self.output}; workers report to "
            f"{self.endpoint}{after}"
        )


@dataclass(frozen=True)
class SamplesArrived:
    """The dataset grew by `new` samples; `waiting` of all are to be trained on.

    Of the new ones, `corrected` give a picture that is known another label. Besides them,
    `repeated` lines brought a picture and a label that are known. `trigger` says how far the train
    trigger is: ``num_of_samples 12 is not > 20``.
    """

    new: int
    waiting: int
    trigger: str
    corrected: int = 0
    repeated: int = 0

    def __str__(self) -> str:
        beside = f", {self.corrected} of them corrections" if self.corrected else ""
        beside += f", {self.repeated} known already" if self.repeated else ""
        return f"{self.new} new samples{beside}; {self.trigger}"


@dataclass(frozen=True)
class RoundStarted:
    """The train trigger fired, with so many samples, from this base model (a host path)."""

    round: int
    samples: int
    base_model: str

    def __str__(self) -> str:
        return f"round {self.round}: {self.samples} samples to train on, from {self.base_model}"


@dataclass(frozen=True)
class WorkerStarted:
    """A worker of kind ``train``, ``eval``, ``canary`` or ``inference`` is running."""

    round: int
    kind: str
    name: str
    pid: int
    log: Path

    def __str__(self) -> str:
        return (
            f"round {self.round}: {self.kind} worker started as process {self.pid}, log {self.log}"
        )


@dataclass(frozen=True)
class WorkerFinished:
    """A worker has ended, of itself or because it was stopped."""

    round: int
    kind: str
    name: str
    exit: WorkerExit

    def __str__(self) -> str:
        cost = StageRecord.of(self.exit)
        return f"round {self.round}: {self.kind} worker ended ({self.exit}) after {cost}"


@dataclass(frozen=True)
class EnginesChosen:
    """What a train or eval worker computed with, part by part, and why."""

    round: int
    kind: str
    engines: dict[str, str]

    def __str__(self) -> str:
        parts = "; ".join(f"{part} on {engine}" for part, engine in self.engines.items())
        return f"round {self.round}: {self.kind} worker: {parts}"


@dataclass(frozen=True)
class LabelsChecked:
    """The labels of new arrivals were compared with what the model in service knows."""

    round: int
    verdicts: Mapping[int, ArrivalVerdict]

    def __str__(self) -> str:
        said = "; ".join(
            f"arrival {number} {verdict.outcome}, because {verdict.reason}"
            for number, verdict in self.verdicts.items()
        )
        return f"round {self.round}: labels checked: {said}"


@dataclass(frozen=True)
class Decided:
    """The two evaluations were compared; `outcome`, `detail` and `code` are the `Decision`'s."""

    round: int
    outcome: str
    detail: str
    code: str

    def __str__(self) -> str:
        return f"round {self.round}: {self.outcome}, because {self.detail}"


@dataclass(frozen=True)
class CanaryEnded:
    """A new model was tried out: ``passed``, ``failed`` or ``not tried``, and why.

    The `code` says for a program why it did not pass, as the code of an error does.
    """

    round: int
    outcome: str
    reason: str
    code: str

    def __str__(self) -> str:
        return f"round {self.round}: canary {self.outcome}: {self.reason}"


@dataclass(frozen=True)
class Deployed:
    """A new model is in service: ``hot`` or ``cold``, from this host path."""

    round: int
    mode: str
    model: str

    def __str__(self) -> str:
        return f"round {self.round}: {self.model} is in service ({self.mode} deployment)"


@dataclass(frozen=True)
class RolledBack:
    """An earlier version is the deploy model again, in place of the one `replaced`."""

    version: int
    replaced: int
    reason: str

    def __str__(self) -> str:
        return f"version {self.version} is in service in place of {self.replaced}: {self.reason}"


@dataclass(frozen=True)
class RollbackServed:
    """The inference worker has loaded the version that was gone back to."""

    version: int

    def __str__(self) -> str:
        return f"the inference worker answers with version {self.version}"


@dataclass(frozen=True)
class RoundFinished:
    """A round is over; `record` is what the report keeps of it."""

    record: RoundRecord

    def __str__(self) -> str:
        outcome = f"round {self.record.round}: {self.record.outcome}: {self.record.reason}"
        last_lines = (self.record.failure or {}).get("last_lines", ())
        return "\n    | ".join([outcome, *last_lines])


@dataclass(frozen=True)
class Noted:
    """Something out of the ordinary that the job goes on from.

    The `code` says for a program what, as the code of an error does, and `fields` are the values
    that the message was made of.
    """

    message: str
    code: str
    fields: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"note: {self.message}"


@dataclass(frozen=True)
class JobStopped:
    """The job has stopped, and no worker is left."""

    reason: str

    def __str__(self) -> str:
        return f"stopped: {self.reason}"


Event: TypeAlias = (
    JobStarted
    | SamplesArrived
    | RoundStarted
    | WorkerStarted
    | WorkerFinished
    | EnginesChosen
    | LabelsChecked
    | Decided
    | CanaryEnded
    | Deployed
    | RolledBack
    | RollbackServed
    | RoundFinished
    | Noted
    | JobStopped
)
