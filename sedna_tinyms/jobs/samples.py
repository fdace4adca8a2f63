"""What a person does with a job's samples: look at them, let them count, or count no more.

While a runner is at work, the journal is its own: what is asked for is laid down as a file in
``requests``, and the runner, which looks there while it waits, makes it part of the job.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from sedna_tinyms.artifact.files import read_json, remove_file, write_json
from sedna_tinyms.errors import SednaTinyMSError, StorageError, UsageError
from sedna_tinyms.jobs.layout import JobLayout
from sedna_tinyms.jobs.ledger import Sample, SampleLedger
from sedna_tinyms.jobs.manifest.spec import Job
from sedna_tinyms.jobs.paths import HostPaths
from sedna_tinyms.jobs.report import JobReport
from sedna_tinyms.jobs.state import JobState, hold_lock
from sedna_tinyms.jobs.status import runner_of

__all__ = ["Action", "change_samples", "choose_samples", "read_ledger", "take_requests"]

Action = Literal["release", "drop"]
KEPT_OUT = ("quarantined", "set aside")

TAKEN_WITHIN_SECONDS = 30.0
"""How long a runner may take to look: it does so while it waits for a worker or for samples."""


def read_ledger(job: Job, root: Path | str) -> SampleLedger:
    """Return what a job knows of its samples; its runner may be at work.

    Raises
    ------
    UsageError
        If the job has never run below `root`.
    StorageError
        If its journal cannot be read.
    """
    layout, state = _open(job, root)
    if state.is_new:
        raise UsageError(
            f"the job {job.name} has never run below {root}: there is no {layout.journal}",
            code="missing-file",
            path=layout.journal,
        )
    return state.ledger


def choose_samples(
    ledger: SampleLedger, action: Action, arrivals: Sequence[int], names: Sequence[str]
) -> list[Sample]:
    """Return the samples that are meant by arrivals and by names.

    Parameters
    ----------
    ledger : SampleLedger
        The job's samples.
    action : {"release", "drop"}
        What is to be done: only what is in quarantine or set aside can be released.
    arrivals : sequence of int
        Numbers of arrivals.
    names : sequence of str
        Pictures as the dataset names them, lines, or digests.

    Raises
    ------
    UsageError
        If one of them is none of the job's, or it is not to be released.
    """
    found: dict[int, Sample] = {}
    for number in arrivals:
        arrival = ledger.arrivals.get(number)
        if arrival is None:
            raise UsageError(
                f"there is no arrival {number}: the job has had {len(ledger.arrivals)}",
                code="unknown-name",
                value=number,
            )
        found |= {each.number: each for each in arrival.active}
    for name in names:
        samples = [each for each in ledger.history(name) if each.state not in _gone()]
        if not samples:
            raise UsageError(
                f"{name!r} is no sample of the job: give a picture as the dataset names it",
                code="unknown-name",
                value=name,
            )
        found |= {each.number: each for each in samples}
    chosen = [each for each in found.values() if action == "drop" or each.state in KEPT_OUT]
    if not chosen:
        raise UsageError(
            f"nothing to {action}: none of the samples is in quarantine or set aside",
            code="empty",
        )
    return chosen


def change_samples(
    job: Job, root: Path | str, action: Action, samples: Sequence[Sample]
) -> int | None:
    """Release or drop samples; return the runner that was told, or None if there is none.

    Raises
    ------
    StorageError
        If a file cannot be written, or the runner does not take the request: it is withdrawn then.
    """
    layout = JobLayout(job, HostPaths(root))
    numbers = [each.number for each in samples]
    try:
        with hold_lock(layout.lock):
            _, state = _open(job, root)
            _change(state, action, numbers)
            JobReport(layout, job, state).save()
            return None
    except StorageError as error:
        if error.code != "in-use":
            raise
    return _ask_runner(layout, action, numbers)


def take_requests(layout: JobLayout, state: JobState) -> list[tuple[str, int]]:
    """Carry out what was laid down for the runner; return each action and how many samples.

    A request that makes no sense is removed.
    """
    done = []
    for path in sorted(layout.requests.glob("*.json")):
        try:
            request = read_json(path)
            action, numbers = request["action"], [int(each) for each in request["samples"]]
            if action not in ("release", "drop") or not all(
                0 < number <= len(state.ledger.samples) for number in numbers
            ):
                raise ValueError(action)
        except (SednaTinyMSError, LookupError, TypeError, ValueError):
            remove_file(path)
            continue
        _change(state, action, numbers)
        remove_file(path)
        done.append((action, len(numbers)))
    return done


def _ask_runner(layout: JobLayout, action: Action, numbers: Sequence[int]) -> int | None:
    runner = runner_of(layout.lock)
    path = layout.requests / f"{time.time_ns()}-{os.getpid()}.json"
    layout.requests.mkdir(exist_ok=True)
    write_json(path, {"action": action, "samples": list(numbers)})
    deadline = time.monotonic() + TAKEN_WITHIN_SECONDS
    while path.exists():
        if time.monotonic() > deadline:
            remove_file(path)
            raise StorageError(
                f"the runner (process {runner}) did not take the request within "
                f"{TAKEN_WITHIN_SECONDS:g} seconds; nothing was changed",
                code="in-use",
                process=runner,
                path=layout.output,
            )
        time.sleep(0.05)
    return runner


def _change(state: JobState, action: Action, numbers: Sequence[int]) -> None:
    if action == "release":
        state.samples_released(numbers)
    else:
        state.samples_dropped(numbers)


def _open(job: Job, root: Path | str) -> tuple[JobLayout, JobState]:
    paths = HostPaths(root)
    layout = JobLayout(job, paths)
    return layout, JobState(layout.journal, job, paths.local(job.dataset.url))


def _gone() -> tuple[str, ...]:
    return ("dropped", "corrected")
