"""Names of a package that are imported when they are asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from typing import Any

from sedna_tinyms.errors import extra

__all__ = ["imported_when_used"]


def imported_when_used(
    package: str, homes: Mapping[str, str], need_mindspore: Collection[str]
) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package of which only a part needs MindSpore.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    homes : mapping of str to str
        The module below the package that each name is in.
    need_mindspore : collection of str
        The names that raise MissingExtraError where MindSpore is not installed.
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if name in need_mindspore:
            with extra("mindspore", name):
                import_module("mindspore")
        value = getattr(import_module(f"{package}.{homes[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return find
