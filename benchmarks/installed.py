"""How much disk the distributions take that a process imports from."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib.metadata import (
    Distribution,
    PackageNotFoundError,
    distribution,
    packages_distributions,
)
from pathlib import Path

__all__ = ["distributions_in_use", "install_mb"]

MEBIBYTE = 1 << 20
NAME = re.compile(r"[\w.-]+")
OURS = {"sedna-tinyms": ("sedna_tinyms", "estimators")}
"""An editable install lists none of its packages' files."""


def install_mb(without: Iterable[str] = ()) -> float:
    """Return the size of the files of `distributions_in_use`."""
    sizes = (_bytes(name) for name in distributions_in_use(without))
    return sum(sizes) / MEBIBYTE


def distributions_in_use(without: Iterable[str] = ()) -> list[str]:
    """Return the distributions that this process imported from, and all that these require.

    Parameters
    ----------
    without : iterable of str
        Distributions that were imported to measure, and do not count.
    """
    providing = packages_distributions()
    # Private modules come with public ones, but for hooks that run as every interpreter starts.
    imported = {name.partition(".")[0] for name in list(sys.modules) if not name.startswith("_")}
    waiting = {normalized(name) for module in imported for name in providing.get(module, ())}
    waiting -= {normalized(name) for name in without}
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if (installed := _installed(name)) is None:
            continue
        found.add(name)
        waiting |= {
            normalized(requirement)
            for line in installed.requires or ()
            if "extra ==" not in line and (requirement := NAME.match(line))
        } - found
    return sorted(found)


def normalized(name: str | re.Match[str]) -> str:
    """Return a distribution's name as package indexes compare it."""
    text = name if isinstance(name, str) else name.group()
    return re.sub(r"[-_.]+", "-", text).lower()


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:  # a requirement of other systems, or an alternative
        return None


def _bytes(name: str) -> int:
    files = {Path(str(file.locate())) for file in distribution(name).files or ()}
    for package in OURS.get(name, ()):
        if package in sys.modules:
            root = Path(str(sys.modules[package].__file__)).parent
            files |= set(root.rglob("*"))
    return sum(file.stat().st_size for file in files if file.is_file())
