"""One worker: an operating-system process with a log file, that ends wholly and leaves a record.

A worker leads a session of its own, so a Ctrl-C at the terminal reaches the runner alone, and
everything that the worker starts can be ended with it, as a container's end would. It is killed
if the runner goes without ending it (see `lifeline`; what it started, the next run ends), and ended
if it takes more memory than it may (see `processes`).
"""

from __future__ import annotations

import os
import re
import resource
import secrets
import signal
import string
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread

from sedna_tinyms.artifact.files import copy_file
from sedna_tinyms.errors import StorageError, WorkerError
from sedna_tinyms.jobs.workers import lifeline
from sedna_tinyms.jobs.workers.processes import (
    NAME,
    MemoryExcess,
    MemoryLimit,
    end_strays,
    memory_of,
    processes_of,
)

__all__ = ["Worker", "WorkerExit", "last_lines", "worker_name"]

NAME_PREFIX = {
    "train": "train-worker",
    "eval": "eval-worker",
    "canary": "canary",
    "inference": "inferworker",
}

TAIL_BYTES = 16 * 1024
"""How much of a log is read for its last lines."""

MOST_LOG_BYTES = 20_000_000
"""A log that is longer becomes ``<name>.log.1``, in the place of the one before."""

MEMORY_LOOK_SECONDS = 0.25
"""How often the memory of a worker that has a limit is looked at."""

MEMORY_GRACE_SECONDS = 2.0
"""How long a worker over its limit may take to end, at most: meanwhile it takes more."""

CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")
"""Terminal sequences and control characters, which a status file has no use for."""


def worker_name(kind: str) -> str:
    """Draw a name of the form that Sedna gives: ``train-worker-x7k2p``."""
    alphabet = string.ascii_lowercase + string.digits
    return f"{NAME_PREFIX[kind]}-{''.join(secrets.choice(alphabet) for _ in range(5))}"


@dataclass(frozen=True)
class WorkerExit:
    """How a worker ended.

    Attributes
    ----------
    code : int
        The exit code; ``-n`` if signal `n` ended it.
    seconds : float
        Wall time from start to end.
    peak_bytes : int or None
        Resident memory of its largest process at its largest. None if that was less than this
        process's own: Linux starts the count of a child there.
    excess : MemoryExcess or None
        How much memory it took and may take, if it was ended for that.
    """

    code: int
    seconds: float
    peak_bytes: int | None
    excess: MemoryExcess | None = None

    def __str__(self) -> str:
        return f"{self._how()}: it took {self.excess}" if self.excess else self._how()

    def _how(self) -> str:
        if self.code >= 0:
            return f"exit code {self.code}"
        try:
            return signal.Signals(-self.code).name
        except ValueError:
            return f"signal {-self.code}"


def last_lines(log: Path, most: int, start: int = 0) -> list[str]:
    """Return the last lines of a log, from byte `start` on, as clean text."""
    try:
        with log.open("rb") as output:
            end = output.seek(0, os.SEEK_END)
            output.seek(max(start, end - TAIL_BYTES))
            text = output.read().decode("utf-8", "replace")
    except OSError:
        return []
    # Of a line that a progress bar redrew, only its last state counts.
    shown = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    lines = (CONTROL.sub("", line).rstrip() for line in shown)
    return [line for line in lines if line][-most:]


class Worker:
    """Starts a command and watches it until it ends.

    Parameters
    ----------
    name : str
        What it reports as (see `worker_name`).
    kind : str
        ``train``, ``eval``, ``canary`` or ``inference``.
    command : sequence of str
        Program and arguments.
    environment : mapping
        Its whole environment: nothing of this process is added.
    directory : Path
        Where it runs.
    log : Path
        Takes both of its outputs, after what is already there.
    on_exit : callable
        Called once with this worker when it has ended, on a thread of its own.
    grace_seconds : float, default 30
        How long it may take to end when asked to.
    memory : MemoryLimit, optional
        What it and all that it starts may take.

    Raises
    ------
    WorkerError
        If no process can be started or the log cannot be written.
    """

    def __init__(
        self,
        name: str,
        kind: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: Path,
        log: Path,
        on_exit: Callable[[Worker], object],
        grace_seconds: float = 30.0,
        memory: MemoryLimit | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self.log = log
        self.exit: WorkerExit | None = None
        self._on_exit = on_exit
        self._grace_seconds = grace_seconds
        self._asked_to_end = False
        self._excess: MemoryExcess | None = None
        self._ended = Event()
        self._reaping = Lock()
        tied = [sys.executable, "-I", "-S", lifeline.__file__, str(os.getpid()), *command]
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("ab") as output:
                self._log_start = output.tell()
                self._started = time.monotonic()
                self._process = subprocess.Popen(
                    tied,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=directory,
                    env=dict(environment),
                    start_new_session=True,
                )
            self._count_starts_at = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        except OSError as error:
            raise WorkerError(
                f"the {kind} worker cannot be started: {error}", code="cannot-start", kind=kind
            ) from error
        self._watcher = Thread(target=self._watch, name=f"watch {name}", daemon=True)
        self._watcher.start()
        if memory is not None:
            Thread(
                target=self._hold_to, args=(memory,), name=f"memory of {name}", daemon=True
            ).start()

    @property
    def pid(self) -> int:
        """The process id, which is also its group's and session's."""
        return self._process.pid

    @property
    def seconds(self) -> float:
        """How long it has been running, or ran."""
        return self.exit.seconds if self.exit else time.monotonic() - self._started

    def stop(self) -> WorkerExit:
        """Ask the worker to end, wait as long as it may take, then kill what is left of it."""
        try:
            self.terminate()
            self._watcher.join(self._grace_seconds)
        finally:
            self._signal(signal.SIGKILL)
            self._watcher.join()
        assert self.exit is not None  # noqa: S101 (the watcher's last act but one)
        return self.exit

    def terminate(self) -> None:
        """Ask the worker to end and return at once; a second time would disturb its ending."""
        if not self._asked_to_end:
            self._asked_to_end = True
            self._signal(signal.SIGTERM)

    def last_lines(self, most: int = 12) -> list[str]:
        """Return what the worker wrote last."""
        return last_lines(self.log, most, self._log_start)

    def limit_log(self) -> None:
        """Begin the log anew if it has become too long; the worker's process need not know.

        What it writes between the copy and the cut is lost. On a full disk the copy is, too.
        """
        with suppress(OSError):
            if self.log.stat().st_size > MOST_LOG_BYTES:
                with suppress(StorageError):
                    copy_file(self.log, self.log.with_name(f"{self.log.name}.1"))
                os.truncate(self.log, 0)
                self._log_start = 0

    def _signal(self, number: signal.Signals) -> None:
        with self._reaping:
            if self.exit is None:
                os.killpg(self.pid, number)

    def _watch(self) -> None:
        # The group is ended while its leader is still a zombie: until it is reaped, nobody else
        # can have been given its number.
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with self._reaping:
            os.killpg(self.pid, signal.SIGKILL)
            end_strays(NAME, self.name)
            _, status, usage = os.wait4(self.pid, 0)
            code = self._process.returncode = os.waitstatus_to_exitcode(status)
            measured = usage.ru_maxrss > self._count_starts_at
            self.exit = WorkerExit(
                code,
                time.monotonic() - self._started,
                usage.ru_maxrss * 1024 if measured else None,
                self._excess,
            )
        self._ended.set()
        self._on_exit(self)

    def _hold_to(self, limit: MemoryLimit) -> None:
        """End the worker when it takes more memory than it may."""
        while not self._ended.wait(MEMORY_LOOK_SECONDS):
            used = memory_of(processes_of(self.name, self.pid), enough=limit.size)
            self._excess = limit.excess(used)
            if self._excess is not None:
                self.terminate()
                self._ended.wait(min(self._grace_seconds, MEMORY_GRACE_SECONDS))
                self._signal(signal.SIGKILL)
                return
