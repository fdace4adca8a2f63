"""Lends this package the import name `sedna`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Literal

from sedna_tinyms import plugin
from sedna_tinyms.errors import ConfigurationError, WorkerLibraryError, did_you_mean

__all__ = ["install", "uninstall"]

ALIAS = "sedna"
PACKAGE = "sedna_tinyms.sedna"
LIBRARIES = ("any", "kubeedge", "embedded")


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
            f"it must be one of {', '.join(LIBRARIES)}"
        )
    found = plugin.library()
    if library == "kubeedge" and found != "kubeedge":
        raise WorkerLibraryError(
            "KubeEdge Sedna's worker library is not installed: put the `lib` directory of a "
            "checkout of github.com/kubeedge/sedna on PYTHONPATH (no package index has it), and "
            "what it needs comes with `pip install 'sedna-tinyms[kubeedge]'`"
        )
    if library == "embedded" and found == "kubeedge" and ALIAS in sys.modules:
        raise WorkerLibraryError(
            "KubeEdge Sedna's worker library was imported already: choose the embedded one before "
            "the first import of sedna"
        )
    if found is None or (library == "embedded" and found == "kubeedge"):
        _forget_modules()  # Such as the namespace package of a mere directory called sedna.
        sys.meta_path.insert(0, _FINDER)
        return "embedded"
    return found


def uninstall() -> None:
    """Take back what `install` did; modules that were imported keep working under both names."""
    if _FINDER in sys.meta_path:
        sys.meta_path.remove(_FINDER)
        _forget_modules()


def _forget_modules() -> None:
    for name in list(sys.modules):
        if name == ALIAS or name.startswith(f"{ALIAS}."):
            del sys.modules[name]


class _AliasFinder:
    """Answers an import of ``sedna.x`` with the module ``sedna_tinyms.sedna.x`` itself.

    One module object stands under both names, so that classes, registries and settings exist once.
    """

    def find_spec(
        self,
        name: str,
        _path: Sequence[str] | None = None,
        _target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if name != ALIAS and not name.startswith(f"{ALIAS}."):
            return None
        real = find_spec(_real_name(name))
        if real is None:
            return None
        spec = ModuleSpec(name, self, origin=real.origin)  # type: ignore[arg-type]
        spec.submodule_search_locations = real.submodule_search_locations
        return spec

    def create_module(self, _spec: ModuleSpec) -> None:
        """Let Python create a placeholder: its import system would rename the real module."""

    def exec_module(self, placeholder: ModuleType) -> None:
        """Put the real module where the import system looks for the result."""
        name = placeholder.__name__
        sys.modules[name] = importlib.import_module(_real_name(name))


_FINDER: Any = _AliasFinder()


def _real_name(name: str) -> str:
    return PACKAGE + name.removeprefix(ALIAS)
