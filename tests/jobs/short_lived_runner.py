"""A runner that is killed when its journal has grown by so many entries."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from sedna_tinyms.jobs.journal import Journal
from sedna_tinyms.jobs.manifest.spec import Job
from sedna_tinyms.jobs.runner import JobRunner

OF_EACH_RUN = ("run_begins", "inference_ends")
"""Entries that each process makes anew: they do not count."""


def live_for(entries: int, moment: str, job: Job, root: Path, rounds: int = 2) -> None:
    """Run a job of so many rounds, as the process that this is, until it has appended entries.

    At the `moment` ``at once`` it is killed after the last of them, and ``before the next`` when it
    would append another one.
    """
    append, appended = Journal.append, 0

    def append_and_die(journal: Journal, kind: str, **data: Any) -> None:
        nonlocal appended
        counts = kind not in OF_EACH_RUN
        if counts and appended == entries and moment == "before the next":
            os.kill(os.getpid(), signal.SIGKILL)
        append(journal, kind, **data)
        appended += counts
        if counts and appended == entries and moment == "at once":
            os.kill(os.getpid(), signal.SIGKILL)

    Journal.append = append_and_die  # type: ignore[method-assign]
    os.fsync = lambda _: None  # a kill loses nothing that was written
    JobRunner(job, root, rounds=rounds, resume=True, poll_seconds=0.005, quiet_seconds=0.0).run()
