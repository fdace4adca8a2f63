"""The worker libraries that can be tested here, each in processes of its own.

Python knows one `sedna` in a process, and KubeEdge's library reads its environment when it is
imported; so every check starts real workers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sedna_tinyms import plugin
from sedna_tinyms.errors import WorkerLibraryError

__all__ = [
    "JOB",
    "LIMIT_SECONDS",
    "SEDNA_LIB",
    "Library",
    "libraries",
    "report",
    "write_number",
]

SEDNA_LIB = "SEDNA_LIB"
"""The variable that names the ``lib`` directory of a KubeEdge Sedna checkout."""

LIMIT_SECONDS = 120
KEPT = ("HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "VIRTUAL_ENV")
"""What a worker inherits; anything that Sedna reads comes from the check alone."""

JOB = {"NAMESPACE": "default", "JOB_NAME": "parts", "BACKEND_TYPE": "GENERIC"}
"""The checks' job, on a backend that no library knows: the estimator is called as it is."""

PROLOGUE = "from sedna_tinyms.testing import OneNumber\nfacts = {}\n"
EPILOGUE = "\nimport json, pathlib\npathlib.Path('facts.json').write_text(json.dumps(facts))\n"


@dataclass(frozen=True)
class Library:
    """A worker library, and how to start a worker on it.

    Attributes
    ----------
    name : {"embedded", "kubeedge"}
        Whose it is.
    path : str
        The directory that holds its package `sedna`; empty if Python finds it by itself.
    """

    name: str
    path: str = ""

    def run(self, code: str, directory: Path, **variables: object) -> Any:
        """Run a worker to its end.

        Parameters
        ----------
        code : str
            The worker script. It finds `OneNumber` and a dictionary `facts`, whose content must be
            plain data.
        directory : Path
            Where it runs.
        **variables
            The worker's environment.

        Returns
        -------
        dict
            What the script put into `facts`.
        """
        with self.start(code, directory, **variables) as worker:
            said = worker.communicate(timeout=LIMIT_SECONDS)[0]
            assert worker.returncode == 0, f"the worker on {self.name} failed:\n{said}"
        return json.loads((directory / "facts.json").read_text(encoding="utf-8"))

    @contextmanager
    def start(
        self, code: str, directory: Path, **variables: object
    ) -> Iterator[subprocess.Popen[str]]:
        """Start a worker; at the end of the block it is gone."""
        script = directory / "worker.py"
        script.write_text(PROLOGUE + textwrap.dedent(code) + EPILOGUE, encoding="utf-8")
        command = [sys.executable, "-m", "sedna_tinyms", "exec", "--library", self.name]
        with subprocess.Popen(
            [*command, script.name],
            cwd=directory,
            env=self._environment(variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as worker:
            try:
                yield worker
            finally:
                if worker.poll() is None:
                    worker.kill()

    def _environment(self, variables: Mapping[str, object]) -> dict[str, str]:
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        search = [self.path, str(Path(__file__).parents[2])]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, search))
        return environment | {name: str(value) for name, value in variables.items()}


def libraries(environment: Mapping[str, str] | None = None) -> tuple[list[Library], str]:
    """List the worker libraries that can be tested here.

    Parameters
    ----------
    environment : mapping, optional
        Where ``SEDNA_LIB`` is looked up; the environment of this process by default.

    Returns
    -------
    list of Library
        The embedded one, and KubeEdge's if it can be imported or ``SEDNA_LIB`` names it.
    str
        Why KubeEdge's is not among them; empty if it is.

    Raises
    ------
    WorkerLibraryError
        If ``SEDNA_LIB`` names something else.
    """
    env = os.environ if environment is None else environment
    embedded = Library("embedded")
    if path := env.get(SEDNA_LIB):
        if not plugin.holds_library(Path(path, "sedna")):
            raise WorkerLibraryError(
                f"{SEDNA_LIB} is {path!r}, which does not hold KubeEdge Sedna's package `sedna`; "
                "it must name the `lib` directory of a checkout of github.com/kubeedge/sedna",
                code="wrong-library",
                path=path,
            )
        return [embedded, Library("kubeedge", str(Path(path).resolve()))], ""
    if plugin.library() == "kubeedge":
        return [embedded, Library("kubeedge")], ""
    return [embedded], (
        f"KubeEdge's library was not tested: it is not importable, and {SEDNA_LIB} is not set to "
        "the `lib` directory of a checkout of github.com/kubeedge/sedna"
    )


def report(worker: str, kind: str, results: list[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """Build what a LocalController is to receive: the path, and the whole body."""
    return (
        f"/sedna/workers/{worker}/info",
        {
            "name": worker,
            "namespace": "default",
            "ownerName": "parts",
            "ownerKind": "incrementallearningjob",
            "kind": kind,
            "status": "completed",
            "results": results,
        },
    )


def write_number(path: Path, value: float) -> str:
    """Write a model file of `sedna_tinyms.testing.OneNumber`; return its path."""
    path.write_text(json.dumps(value), encoding="utf-8")
    return str(path)
