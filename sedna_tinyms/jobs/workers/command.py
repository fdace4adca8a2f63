"""What a worker template's command means on this machine.

In a cluster ``args: ["train.py"]`` is handed to the image's entrypoint, ``python``, and the image
holds the script in its working directory. Here the job's own directory, where its YAML lies,
stands for the image: the script is looked up there and run by ``sedna-tinyms exec`` with this very
Python, which brings the TINYMS backend and, where KubeEdge's is absent, the worker library.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path, PurePath

from sedna_tinyms.errors import JobSpecError
from sedna_tinyms.jobs.manifest.spec import WorkerTemplate

__all__ = ["worker_command"]

PYTHON = re.compile(r"python(3(\.\d+)?)?")
EXEC = (("sedna-tinyms", "exec"), ("python", "-m", "sedna_tinyms", "exec"))
OPTIONS_WITH_VALUE = frozenset({"-W", "-X"})
NO_SCRIPT = frozenset({"-m", "-c", "-"})


def worker_command(kind: str, template: WorkerTemplate, directory: Path) -> list[str]:
    """Return the program and arguments that start a worker.

    Parameters
    ----------
    kind : str
        ``train``, ``eval`` or ``inference``, for messages.
    template : WorkerTemplate
        ``command`` and ``args`` as in the YAML.
    directory : Path
        Where the job's YAML lies and the worker will run.

    Returns
    -------
    list of str
        ``python script args``, with or without options of Python, becomes a run of
        ``sedna-tinyms exec``; any other program is started as it is.

    Raises
    ------
    JobSpecError
        If there is no command, or its script is not there.
    """
    words = list(template.command or ("python",)) + list(template.args)
    if words == ["python"]:
        raise JobSpecError(
            f"the {kind} template has neither command nor args, and what its image would start "
            f'is unknown here: give the script, as in args: ["{kind}.py"]',
            code="missing-key",
            name="args",
            kind=kind,
        )
    program = PurePath(words[0]).name
    if PYTHON.fullmatch(program):
        words[0] = "python"
    elif program == "sedna-tinyms":
        words[0] = program
    for start in EXEC:
        if tuple(words[: len(start)]) == start:
            return _exec([], words[len(start) :], kind, directory)
    if words[0] != "python":
        return words
    options = _python_options(words[1:])
    rest = words[1 + len(options) :]
    if not rest or rest[0] in NO_SCRIPT:
        return [sys.executable, *options, *rest]
    return _exec(options, rest, kind, directory)


def _python_options(words: list[str]) -> list[str]:
    """Return the leading words that are options of Python itself."""
    end = 0
    while end < len(words) and words[end].startswith("-") and words[end] not in NO_SCRIPT:
        end += 2 if words[end] in OPTIONS_WITH_VALUE else 1
    return words[:end]


def _exec(options: list[str], words: list[str], kind: str, directory: Path) -> list[str]:
    if not words:
        raise JobSpecError(
            f"the {kind} template's command names no script to run",
            code="missing-value",
            name="command",
            kind=kind,
        )
    script = _find_script(words[0], kind, directory)
    return [sys.executable, *options, "-m", "sedna_tinyms", "exec", str(script), *words[1:]]


def _find_script(name: str, kind: str, directory: Path) -> Path:
    """Return the script as it is named, or of that file name in the job's directory.

    The second is for a path inside the image, such as ``/home/work/train.py``.
    """
    candidates = [directory / name, directory / PurePath(name).name]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    places = " and ".join(str(candidate) for candidate in dict.fromkeys(candidates))
    raise JobSpecError(
        f"the {kind} worker's script {name!r} is not there (looked for {places}); "
        "worker scripts lie beside the job's YAML",
        code="missing-file",
        name=name,
        kind=kind,
        paths=list(dict.fromkeys(candidates)),
    )
