"""Starts a worker that cannot outlive its runner: ``python -I -S lifeline.py PID COMMAND ...``.

Asks Linux to kill this process when its parent, the runner `PID`, ends in whatever way, and then
becomes COMMAND. (`subprocess.Popen(preexec_fn=...)` could ask it too, but may deadlock in a runner
with threads; this costs 20 ms a worker instead.) Elsewhere than on Linux it only becomes COMMAND.
What COMMAND starts is not killed: the job's next run does that (see `processes`). Runs as a file
of its own, outside of any package.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
COMMAND_NOT_FOUND = 127


def main(runner: int, command: list[str]) -> None:
    """Tie this process to `runner` and become `command`."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != runner:  # it ended before the line above
            sys.exit(1)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it; COMMAND shall not inherit it
    try:
        os.execvp(command[0], command)  # noqa: S606 (that no shell is involved is the point)
    except OSError as error:
        sys.stderr.write(f"cannot start {command[0]}: {error.strerror}\n")
        sys.exit(COMMAND_NOT_FOUND)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
