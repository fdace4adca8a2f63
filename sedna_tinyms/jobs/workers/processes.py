"""The processes of a worker: which they are, what memory they take, and the end of stray ones.

They are those of the worker's process group, and those that left it but inherited the environment
variable ``WORKER_NAME``, which no two workers share. Linux tells both in ``/proc``; elsewhere no
process is found, no memory limit holds, and the group alone is ended.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

__all__ = ["MemoryLimit", "end_strays", "memory_of", "processes_of"]

PAGE = os.sysconf("SC_PAGE_SIZE")


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

    def excess(self, used: int) -> str | None:
        """Say that it is exceeded; None if it is not."""
        if used <= self.size:
            return None
        taken, limit = f"{used / 1e6:.0f} MB", f"{self.size / 1e6:.0f} MB"
        return f"{taken} of memory, and may take {limit} ({self.source})"


def processes_of(name: str, group: int) -> list[int]:
    """Return the processes of the worker `name`, whose process group is `group`."""
    return [each for each in _every_process() if _group(each) == group or _belongs(each, name)]


def memory_of(processes: Iterable[int], enough: int = 0) -> int:
    """Return the bytes that processes hold; what several of them share counts once.

    That takes the kernel long. So if they hold no more than `enough` when all is counted for
    each, that is the answer.
    """
    processes = list(processes)
    most = sum(map(_resident, processes))
    return most if most <= enough else sum(map(_proportional, processes))


def end_strays(name: str) -> None:
    """Kill every process of the worker `name` that is left, whatever group or session it is in."""
    for process in _every_process():
        if _belongs(process, name):
            with suppress(OSError):
                handle = os.pidfd_open(process)  # from here on, the number is nobody else's
                try:
                    if _belongs(process, name):
                        signal.pidfd_send_signal(handle, signal.SIGKILL)
                finally:
                    os.close(handle)


def _every_process() -> Iterator[int]:
    with suppress(OSError):
        yield from [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdecimal()]


def _read(process: int, name: str) -> bytes:
    """Return a file of a process; nothing if it has ended, or is not ours."""
    try:
        with open(f"/proc/{process}/{name}", "rb", 0) as file:  # noqa: PTH123 (a third of the time)
            return file.read()
    except OSError:
        return b""


def _belongs(process: int, name: str) -> bool:
    return b"\0WORKER_NAME=%b\0" % name.encode() in b"\0" + _read(process, "environ")


def _group(process: int) -> int | None:
    try:
        return os.getpgid(process)
    except OSError:
        return None


def _resident(process: int) -> int:
    fields = _read(process, "statm").split()
    return int(fields[1]) * PAGE if len(fields) > 1 else 0


def _proportional(process: int) -> int:
    """Return the resident memory, of what n processes share an n-th; all where that is unknown."""
    for line in _read(process, "smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return _resident(process)
