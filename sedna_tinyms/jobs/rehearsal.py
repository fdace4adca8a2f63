"""What a run would do, found out without starting a worker or writing a file."""

from __future__ import annotations

import fcntl
import os
import shlex
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sedna_tinyms.errors import StorageError
from sedna_tinyms.jobs.layout import JobLayout
from sedna_tinyms.jobs.lines import read_lines
from sedna_tinyms.jobs.manifest.spec import Job
from sedna_tinyms.jobs.paths import HostPaths
from sedna_tinyms.jobs.preflight import check_files
from sedna_tinyms.jobs.rounds import base_model
from sedna_tinyms.jobs.state import JobState
from sedna_tinyms.jobs.triggers import check_trigger
from sedna_tinyms.jobs.workers.command import worker_command
from sedna_tinyms.jobs.workers.endpoint import Endpoint
from sedna_tinyms.jobs.workers.supervisor import worker_templates

__all__ = ["Rehearsal", "rehearse"]


@dataclass(frozen=True)
class Rehearsal:
    """What a run would begin with.

    Attributes
    ----------
    round : int
        The number of the next round, or of the one that was cut short and goes on.
    base_model : str
        The host path of the model that it would start from.
    new : int
        How many samples the dataset has that no run has counted.
    waiting : int
        How many samples wait to be trained on, those included.
    step : str or None
        The step from which a round that was cut short would go on.
    begins, reason : bool, str
        Whether the round would begin, or go on, at once, and why.
    output : str
        Where the run would write.
    commands : dict of str to str
        What would be started, by the kind of worker.
    """

    round: int
    base_model: str
    new: int
    waiting: int
    step: str | None
    begins: bool
    reason: str
    output: str
    commands: dict[str, str]


def rehearse(
    job: Job, root: Path | str, *, base: str = "last-deployed", port: int = 0
) -> Rehearsal:
    """Check all that `JobRunner.run` checks before it starts something, and look at the dataset.

    The parameters are those of `JobRunner`. Nothing on the disk is changed.

    Raises
    ------
    JobSpecError, DatasetError, ModelFileError
        If the dataset, a model or a worker's script is missing or unusable.
    StorageError
        If another runner is at work on the output directory, or it cannot be written.
    EndpointError
        If the port is taken.
    """
    paths = HostPaths(root)
    layout = JobLayout(job, paths)
    check_files(job, paths)
    _check_output(layout)
    with Endpoint(lambda _: None, port):
        pass
    state = JobState(layout.journal, job, paths.local(job.dataset.url))
    new = state.reader.read_new(time.monotonic())
    lines = read_lines(new, state.reader.path.parent)
    state.ledger.arrive(lines, state.ledger.split(lines))
    waiting = state.ledger.num_of_samples
    now = datetime.now().time()
    verdict = check_trigger(job.spec.train_trigger, {"num_of_samples": waiting}, now)
    directory = job.source.resolve().parent
    return Rehearsal(
        round=state.next_round,
        base_model=base_model(state, job, base).url,
        new=len(new),
        waiting=waiting,
        step=state.step,
        begins=state.step is not None or (bool(verdict) and state.ledger.may_start),
        reason=verdict.reason if state.step is None else "it was cut short",
        output=str(layout.output),
        commands={
            kind: shlex.join(worker_command(kind, template, directory))
            for kind, template in worker_templates(job).items()
        },
    )


def _check_output(layout: JobLayout) -> None:
    """Make sure that a runner could take the output directory, without taking it."""
    existing = layout.output
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise StorageError(
            f"cannot write to the output directory {layout.output}: see {existing}",
            code="cannot-write",
            path=layout.output,
        )
    for path in (layout.lock, *layout.shared_locks):
        _check_lock(path)


def _check_lock(path: Path) -> None:
    try:
        with path.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return
    except BlockingIOError:
        raise StorageError(
            f"{path.parent} is in use by another runner: stop that one first, or give this job "
            "another --root",
            code="in-use",
            path=path.parent,
        ) from None
    except OSError as error:
        raise StorageError(
            f"cannot read {path}: {error}", code="unreadable-file", path=path
        ) from error
