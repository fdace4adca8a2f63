"""`sedna-tinyms run` for a toy job, in a process that need not import anything.

It is forked from one that has, which takes milliseconds where a new interpreter takes half a
second.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from types import TracebackType
from typing import Any

from toy_job import ToyJob

LIMIT_SECONDS = 120
FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(
    [
        "sedna_tinyms.cli.run_command",
        # What a run imports only when it needs it.
        "sedna_tinyms.artifact.weights_content",
        "sedna_tinyms.learning.accuracy_matrix",
    ]
)


class ForkedCommand:
    """A run of the command, with what `subprocess.Popen` has.

    Parameters
    ----------
    job : ToyJob
        What to run.
    *options : str
        Options of the command.
    before : callable, optional
        What the process does first, such as to limit itself. A function of a module.
    yaml : dict, optional
        Parameters of `ToyJob.yaml`, which is not written anew if this is None.
    """

    def __init__(
        self,
        job: ToyJob,
        *options: str,
        before: Callable[[], object] | None = None,
        yaml: dict[str, Any] | None = None,
    ) -> None:
        path = job.here / "job.yaml" if yaml is None else job.yaml(**yaml)
        words = ["run", str(path), "--root", str(job.root), "--poll", "0.02", *options]
        receiver, sender = FORKING.Pipe(duplex=False)
        self._process = FORKING.Process(target=_run, args=(words, before, sender))
        self._process.start()
        sender.close()
        self.stderr = os.fdopen(os.dup(receiver.fileno()), encoding="utf-8")
        receiver.close()

    @property
    def pid(self) -> int | None:
        """The process id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, or minus the signal; None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send the process a signal."""
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        """Kill the process."""
        self.send_signal(signal.SIGKILL)

    def communicate(self) -> str:
        """Return the rest of what it says on the standard error, once it has ended."""
        said = self.stderr.read()
        self._process.join(LIMIT_SECONDS)
        assert self._process.exitcode is not None, "it does not end"
        return said

    def __enter__(self) -> ForkedCommand:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._process.kill()
        self._process.join(LIMIT_SECONDS)
        self.stderr.close()


def run_command(job: ToyJob, *options: str, **settings: Any) -> tuple[int | None, str]:
    """Run a job's command to its end; return its exit code and what it said.

    The parameters are those of `ForkedCommand`, but that the YAML is written by default.
    """
    with ForkedCommand(job, *options, **{"yaml": {}, **settings}) as command:
        said = command.communicate()
    return command.returncode, said


def _run(words: list[str], before: Callable[[], object] | None, sender: Any) -> None:
    """Be the command: in the new process."""
    from sedna_tinyms.cli import main
    from sedna_tinyms.jobs.runner import JobRunner

    os.dup2(sender.fileno(), 2)
    sender.close()
    # An option of the runner, not of the command.
    JobRunner.__init__.__kwdefaults__["quiet_seconds"] = 0.0
    if before is not None:
        before()
    code = main(words)
    raise SystemExit(code)
