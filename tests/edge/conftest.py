"""Environments with ``sedna-tinyms[edge]`` and nothing else, as on an edge node."""

import os
import re
import shutil
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

TREE = Path(__file__).parents[2]
PACKAGED = ("sedna_tinyms", "estimators", "pyproject.toml", "setup.py", "README.md", "LICENSE")
SCRIPT = """#!{python}
import sys
from sedna_tinyms.cli import main
sys.exit(main())
"""


class EdgeEnvironment:
    """A Python of its own.

    Attributes
    ----------
    installed : bool
        Whether pip has installed it from a package index.
    """

    def __init__(self, directory, installed):
        self.python = directory / "bin" / "python"
        self.command = directory / "bin" / "sedna-tinyms"
        self.installed = installed

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


def required(name, *extras):
    """Return the distributions that a distribution and some of its extras require, by name."""
    found = {}
    for line in metadata.requires(name) or ():
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            normal = re.sub(r"[-_.]+", "-", requirement.name).lower()
            found[normal] = metadata.distribution(normal)
            found |= required(normal, *requirement.extras)
    return found


def linked(directory):
    """Make an environment of links to what is installed here, as far as the edge needs it."""
    venv.create(directory, with_pip=False, symlinks=True)
    (site,) = directory.glob("lib/python*/site-packages")
    for distribution in required("sedna-tinyms", "edge").values():
        for name in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            if not (site / name).exists():
                (site / name).symlink_to(distribution.locate_file(name))
    for name in ("sedna_tinyms", "estimators"):
        (site / name).symlink_to(TREE / name)
    environment = EdgeEnvironment(directory, installed=False)
    environment.command.write_text(SCRIPT.format(python=environment.python))
    environment.command.chmod(0o755)
    return environment


def installed(base):
    """Install the tree with the extra `edge` alone, through pip and its package index."""
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
    return EdgeEnvironment(environment, installed=True)


@pytest.fixture(scope="session", params=["linked", pytest.param("pip", marks=pytest.mark.index)])
def edge(request, tmp_path_factory):
    """Return an environment for the edge, made of links here or by pip."""
    make = linked if request.param == "linked" else installed
    return make(tmp_path_factory.mktemp("edge"))
