"""Programs in a process of their own that starts with MindSpore imported, which takes a second.

Run as a script, this is the process that has imported it. For each line of JSON that it reads, it
forks, runs a program in the child, and writes the exit status of the child.
"""

import gc
import json
import os
import runpy
import select
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

LIMIT = 120
"""Seconds that a program may take."""


class Forking:
    """Runs programs in children of one process; ``with Forking() as forking:``."""

    def __enter__(self):
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_):
        self._server.stdin.close()
        try:
            self._server.wait(10)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self._server.stdout.close()

    def run(self, *command, cwd=None, env=None):
        """Return what ``python COMMAND`` writes and its exit status, as `subprocess.run` does.

        Parameters
        ----------
        *command : str
            ``"-c", program``, ``"-m", module`` or a script, and the arguments of the program.
        cwd : path, optional
            The directory in which it runs.
        env : dict, optional
            Its environment, in place of that of the tests.
        """
        with tempfile.TemporaryDirectory() as directory:
            request = {
                "command": command,
                "cwd": str(cwd or Path.cwd()),
                "env": dict(os.environ if env is None else env),
                "output": directory,
            }
            self._server.stdin.write(json.dumps(request).encode() + b"\n")
            ready, _, _ = select.select([self._server.stdout], [], [], LIMIT)
            if not ready:
                os.killpg(self._server.pid, 9)
                raise TimeoutError(f"the program takes more than {LIMIT} s")
            reply = self._server.stdout.readline()
            if not reply:
                raise RuntimeError("the process that forks has ended")
            texts = [Path(directory, name).read_text() for name in ("stdout", "stderr")]
        return subprocess.CompletedProcess(command, int(reply), *texts)

    def words(self, program):
        """Return the words that a program writes; it must end well."""
        done = self.run("-c", program)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()


def serve():
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what MindSpore says is no reply
    import mindspore.dataset
    import mindspore.train  # noqa: F401

    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            run(json.loads(line))
        replies.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")


def run(request):
    """Run a program as the interpreter does, and end the process."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(Path(request["output"], name), os.O_WRONLY | os.O_CREAT), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    first, *arguments = request["command"]
    status = 0
    try:
        sys.path[0] = ""
        if first == "-c":
            program, *arguments = arguments
            sys.argv[:] = ["-c", *arguments]
            exec(compile(program, "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102
        elif first == "-m":
            module, *arguments = arguments
            sys.argv[:] = [module, *arguments]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        else:
            sys.path[0] = str(Path(first).parent)
            sys.argv[:] = [first, *arguments]
            runpy.run_path(first, run_name="__main__")
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(bool(end.code))
        if status and not isinstance(end.code, int):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    serve()
