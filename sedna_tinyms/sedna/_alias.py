"""Lends this package the import name `sedna`."""

from __future__ import annotations

import sys
from typing import Literal

from sedna_tinyms import plugin
from sedna_tinyms.aliasing import ModuleAlias
from sedna_tinyms.errors import ConfigurationError, WorkerLibraryError, did_you_mean

__all__ = ["install", "uninstall"]

LIBRARIES = ("any", "kubeedge", "embedded")
_SEDNA = ModuleAlias("sedna", "sedna_tinyms.sedna")


def install(library: str = "any") -> Literal["kubeedge", "embedded"]:
    """Make ``import sedna`` work: with KubeEdge's library if there is one, with this one if not.

    Calling it again changes nothing. No file is written, and nothing that is installed is hidden.

    Parameters
    ----------
    library : {"any", "kubeedge", "embedded"}
        Insist on KubeEdge's, or on this one even where KubeEdge's is installed.

    Returns
    -------
    "kubeedge" or "embedded"
        Whose library ``import sedna`` gives from now on.

    Raises
    ------
    WorkerLibraryError
        If `sedna` is installed but is not KubeEdge's, in which case it is left alone, or if
        KubeEdge's was asked for and is missing, or comes too late for this one to take its place.
    """
    if library not in LIBRARIES:
        raise ConfigurationError(
            f"library is {library!r}{did_you_mean(library, LIBRARIES)}; "
            f"it must be one of {', '.join(LIBRARIES)}",
            code="unknown-name",
            name="library",
            value=library,
            valid=LIBRARIES,
        )
    found = plugin.library()
    if library == "kubeedge" and found != "kubeedge":
        raise WorkerLibraryError(
            "KubeEdge Sedna's worker library is not installed: put the `lib` directory of a "
            "checkout of github.com/kubeedge/sedna on PYTHONPATH (no package index has it), and "
            "what it needs comes with `pip install 'sedna-tinyms[kubeedge]'`",
            code="missing-library",
        )
    if library == "embedded" and found == "kubeedge" and "sedna" in sys.modules:
        raise WorkerLibraryError(
            "KubeEdge Sedna's worker library was imported already: choose the embedded one before "
            "the first import of sedna",
            code="conflict",
        )
    if found is None or (library == "embedded" and found == "kubeedge"):
        _SEDNA.install()
        return "embedded"
    return found


def uninstall() -> None:
    """Take back what `install` did; modules that were imported keep working under both names."""
    _SEDNA.uninstall()
