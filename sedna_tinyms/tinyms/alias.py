"""Lends this core the import name `tinyms`, for programs written for TinyMS."""

from __future__ import annotations

from importlib.util import find_spec

from sedna_tinyms.aliasing import ModuleAlias
from sedna_tinyms.errors import ConfigurationError

__all__ = ["install_as_tinyms"]

_TINYMS = ModuleAlias("tinyms", "sedna_tinyms.tinyms")


def install_as_tinyms() -> None:
    """Make ``import tinyms`` mean this core, with all of its modules.

    Both names then lead to the same module objects. Calling it again changes nothing, and no
    file is written. ``sedna-tinyms exec --as-tinyms script.py`` does it for a script.

    Raises
    ------
    ConfigurationError
        If another `tinyms` is installed, or lies in the directory of the program: it is left
        alone.

    Examples
    --------
    >>> from sedna_tinyms.tinyms import install_as_tinyms
    >>> install_as_tinyms()
    >>> import tinyms as ts
    >>> ts.ones((2, 2)).shape
    (2, 2)
    """
    if _TINYMS.installed:
        return
    found = find_spec("tinyms")
    if found is not None and found.origin is not None:  # A mere directory has no origin.
        raise ConfigurationError(
            f"there is another tinyms, in {found.origin}, which is left alone: `pip uninstall "
            "tinyms`, or take its directory off the path, to have this core in its place",
            code="wrong-library",
            name="tinyms",
            path=found.origin,
        )
    _TINYMS.install()
