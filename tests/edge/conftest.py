import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TREE = Path(__file__).parents[2]
PACKAGED = ("sedna_tinyms", "estimators", "pyproject.toml", "setup.py", "README.md", "LICENSE")


class EdgeEnvironment:
    """A Python with ``sedna-tinyms[edge]`` and nothing else, as on an edge node."""

    def __init__(self, directory):
        self.python = directory / "bin" / "python"
        self.command = directory / "bin" / "sedna-tinyms"

    def run(self, *words, **variables):
        """Run a program of the environment and return what it printed."""
        done = subprocess.run(
            [str(word) for word in words],
            env=self.variables(**variables),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *words, log, **variables):
        with log.open("w") as output:
            return subprocess.Popen(
                [str(word) for word in words],
                env=self.variables(**variables),
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @staticmethod
    def variables(**variables):
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        return kept | {name: str(value) for name, value in variables.items()}


@pytest.fixture(scope="session")
def edge(tmp_path_factory):
    """Install the tree with the extra `edge` alone, through pip and its package index."""
    base = tmp_path_factory.mktemp("edge")
    source = base / "source"  # a copy, because a build leaves files beside pyproject.toml
    source.mkdir()
    for name in PACKAGED:
        if (TREE / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(TREE / name, source / name, ignore=ignored)
        else:
            shutil.copy(TREE / name, source)
    environment = base / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=120)
    installing = [environment / "bin" / "pip", "install", "--quiet", f"{source}[edge]"]
    subprocess.run(installing, check=True, timeout=240)
    return EdgeEnvironment(environment)
