"""Run code in a new Python process: what is imported belongs to a process as a whole."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

LIMIT_SECONDS = 120
STRICT = ("-W", "error", "-c")
"""A warning is an error."""
LENIENT = ("-c",)
"""For what imports MindSpore, which warns."""


def run_python(
    directory: Path,
    code: str,
    files: Mapping[str, str] | None = None,
    command: tuple[str, ...] = STRICT,
    **environment: str,
) -> Any:
    """Run code in `directory`, beside some files, and return what it assigned to `seen`.

    Where `command` ends in the name of a script, the code is written into it.
    """
    for name, text in (files or {}).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    code = f"import json, sys\n{textwrap.dedent(code)}\nprint(json.dumps(seen))\n"
    if command[-1].endswith(".py"):
        (directory / command[-1]).write_text(code)
    else:
        command = (*command, code)
    done = subprocess.run(
        [sys.executable, *command],
        cwd=directory,
        env={k: v for k, v in os.environ.items() if k in ("PATH", "HOME")} | environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def python(tmp_path: Path) -> Callable[..., Any]:
    """Return `run_python` in the test's own directory."""
    return functools.partial(run_python, tmp_path)
