"""The processes of a worker: which they are, what memory they take, and the end of stray ones.

They are those of the worker's process group, and those that left it but inherited the environment
variable ``WORKER_NAME``, which no two workers share. By the variable `OUTPUT` a later run of the
job knows what is left of the workers of one that was killed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

__all__ = [
    "NAME",
    "OUTPUT",
    "MemoryExcess",
    "MemoryLimit",
    "end_strays",
    "memory_of",
    "processes_of",
]

NAME = "WORKER_NAME"
OUTPUT = "SEDNA_TINYMS_OUTPUT"
"""Names the directory that the job writes to, which one runner at a time has."""


@dataclass(frozen=True)
class MemoryLimit:
    """How much memory a worker's processes may take together.

    Attributes
    ----------
    size : int
        In bytes.
    source : str
        Where that is said: ``job.yaml:62: resources.limits.memory``.
    """

    size: int
    source: str

    def excess(self, used: int) -> MemoryExcess | None:
        """Return by what it is exceeded; None if it is not."""
        return MemoryExcess(used, self) if used > self.size else None


@dataclass(frozen=True)
class MemoryExcess:
    """How much memory was taken, in bytes, and the limit that this exceeds."""

    used: int
    limit: MemoryLimit

    def __str__(self) -> str:
        taken, limit = f"{self.used / 1e6:.0f} MB", f"{self.limit.size / 1e6:.0f} MB"
        return f"{taken} of memory, and may take {limit} ({self.limit.source})"


def processes_of(name: str, group: int) -> list[psutil.Process]:
    """Return the processes of the worker `name`, whose process group is `group`."""
    return [
        process
        for process in psutil.process_iter()
        if _group(process) == group or _has(process, NAME, name)
    ]


def memory_of(processes: Sequence[psutil.Process], enough: int = 0) -> int:
    """Return the bytes that processes hold; what several of them share counts once.

    That takes the kernel long. So if they hold no more than `enough` when all is counted for
    each, that is the answer.
    """
    most = sum(map(_resident, processes))
    return most if most <= enough else sum(map(_proportional, processes))


def end_strays(variable: str, value: str) -> list[str]:
    """Kill every process with this in its environment, whatever group or session it is in.

    Returns
    -------
    list of str
        Which they were.
    """
    ended: dict[int, str] = {}
    # Again and again, since one may have started another before it was killed.
    while strays := [
        process
        for process in psutil.process_iter()
        if process.pid not in (os.getpid(), *ended) and _has(process, variable, value)
    ]:
        for process in strays:
            ended[process.pid] = f"process {process.pid}"
            with suppress(psutil.Error):
                ended[process.pid] += f" ({process.name()})"
                process.kill()
    return list(ended.values())


def _has(process: psutil.Process, variable: str, value: str) -> bool:
    with suppress(psutil.Error):
        return process.environ().get(variable) == value
    return False


def _group(process: psutil.Process) -> int | None:
    with suppress(OSError):
        return os.getpgid(process.pid)
    return None


def _resident(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def _proportional(process: psutil.Process) -> int:
    """Return the resident memory, of what n processes share an n-th; all where that is unknown."""
    with suppress(psutil.Error):
        memory = process.memory_full_info()
        return int(getattr(memory, "pss", memory.rss))
    return _resident(process)
