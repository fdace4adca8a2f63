"""What happens in a job, as values: `JobRunner` hands each one to its ``on_event``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from sedna_tinyms.jobs.report import RoundRecord
from sedna_tinyms.jobs.worker import WorkerExit

__all__ = [
    "Decided",
    "Deployed",
    "Event",
    "JobStarted",
    "JobStopped",
    "Noted",
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


@dataclass(frozen=True)
class SamplesArrived:
    """The dataset grew by `new` samples; `waiting` of all are queued for training.

    `trigger` says how far the train trigger is: ``num_of_samples 12 is not > 20``.
    """

    new: int
    waiting: int
    trigger: str


@dataclass(frozen=True)
class RoundStarted:
    """The train trigger fired, with so many samples, from this base model (a host path)."""

    round: int
    samples: int
    base_model: str


@dataclass(frozen=True)
class WorkerStarted:
    """A worker of kind ``train``, ``eval`` or ``inference`` is running."""

    round: int
    kind: str
    name: str
    pid: int
    log: Path


@dataclass(frozen=True)
class WorkerFinished:
    """A worker has ended, of itself or because it was stopped."""

    round: int
    kind: str
    name: str
    exit: WorkerExit


@dataclass(frozen=True)
class Decided:
    """The two evaluations were compared."""

    round: int
    deploy: bool
    reason: str


@dataclass(frozen=True)
class Deployed:
    """A new model is in service: ``hot`` or ``cold``, from this host path."""

    round: int
    mode: str
    model: str


@dataclass(frozen=True)
class RoundFinished:
    """A round is over; `record` is what the report keeps of it."""

    record: RoundRecord


@dataclass(frozen=True)
class Noted:
    """Something out of the ordinary that the job goes on from."""

    message: str


@dataclass(frozen=True)
class JobStopped:
    """The job has stopped, and no worker is left."""

    reason: str


Event: TypeAlias = (
    JobStarted
    | SamplesArrived
    | RoundStarted
    | WorkerStarted
    | WorkerFinished
    | Decided
    | Deployed
    | RoundFinished
    | Noted
    | JobStopped
)
