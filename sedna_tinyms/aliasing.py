"""Lends a package of ours the import name of another one, such as `sedna` or `tinyms`.

One module object stands under both names, so that classes, registries and settings exist once.
No file is written.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

__all__ = ["ModuleAlias"]


class ModuleAlias:
    """Answers an import of ``<alias>.x`` with the module ``<package>.x`` itself.

    Parameters
    ----------
    alias : str
        The import name to lend; a top-level one.
    package : str
        The full name of the package that it then means.
    """

    def __init__(self, alias: str, package: str) -> None:
        self.alias = alias
        self.package = package

    @property
    def installed(self) -> bool:
        """Whether the name is lent now."""
        return self in sys.meta_path

    def install(self) -> None:
        """Lend the name, before anything that is installed under it."""
        if not self.installed:
            self._forget_modules()  # Such as the namespace package of a mere directory.
            sys.meta_path.insert(0, self)

    def uninstall(self) -> None:
        """Take the name back; modules that were imported keep working under both names."""
        if self.installed:
            sys.meta_path.remove(self)
            self._forget_modules()

    def find_spec(
        self,
        name: str,
        _path: Sequence[str] | None = None,
        _target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Find a module of the package by its name under the alias."""
        if not _within(name, self.alias):
            return None
        real = find_spec(self._real_name(name))
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
        sys.modules[name] = importlib.import_module(self._real_name(name))
        # What it imported of its own is known under the alias at once. Python would otherwise
        # load it again, and hide a function `model.lenet5` behind the module of the same name.
        for real, module in list(sys.modules.items()):
            if _within(real, self._real_name(name)):
                sys.modules.setdefault(self.alias + real.removeprefix(self.package), module)

    def _real_name(self, name: str) -> str:
        return self.package + name.removeprefix(self.alias)

    def _forget_modules(self) -> None:
        for name in [name for name in sys.modules if _within(name, self.alias)]:
            del sys.modules[name]


def _within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")
