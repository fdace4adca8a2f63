"""Kills a real process at every step that it takes on the disk, one step further each time."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

DRIVER = """
import os, shutil, signal, sys
from pathlib import Path

template, copies = map(Path, sys.argv[1:3])
step, every = map(int, sys.argv[3:])

def arm(deadly):
    steps = iter(range(1, 100_000))
    for name in "open write fsync chmod mkdir rename replace unlink rmdir".split():
        def call(*arguments, _real=getattr(os, name), _name=name, **named):
            if next(steps) == deadly:
                if _name == "write":
                    _real(arguments[0], arguments[1][: len(arguments[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return _real(*arguments, **named)
        setattr(os, name, call)

# Once in this process, so that none of its children has to import anything.
shutil.copytree(template, copies / "whole")
work(copies / "whole")

steps = []
while True:
    steps.append(step)
    directory = copies / str(step)
    shutil.copytree(template, directory)
    process = os.fork()
    if process == 0:
        arm(step)
        work(directory)
        os._exit(0)
    _, status = os.waitpid(process, 0)
    if status == 0:
        break
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status
    step += every
print(*steps)
"""


def kill_at_every_step(work: str, template: Path, copies: Path, every: int = 1) -> list[Path]:
    """Run a program again and again, killed one step further each time, until it ends.

    If `every` is more than 1, it is killed so many steps further, from a first one that is drawn.

    Parameters
    ----------
    work : str
        Code that defines ``work(directory)``.
    template : Path
        What each process works on a copy of.
    copies : Path
        Where the copies go.

    Returns
    -------
    list of Path
        The copies as the killed processes left them, and the last as the whole run did.
    """
    program = [sys.executable, "-c", work + DRIVER]
    done = subprocess.run(
        [*program, str(template), str(copies), str(random.randint(1, every)), str(every)],
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    return [copies / step for step in done.stdout.split()]
