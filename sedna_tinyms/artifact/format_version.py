"""Refuse files of a version that this release cannot read: see ``docs/formats.md``."""

from __future__ import annotations

import os
from collections.abc import Collection

from sedna_tinyms.errors import SednaTinyMSError

__all__ = ["require_version"]


def require_version(
    kind: type[SednaTinyMSError],
    what: str,
    path: str | os.PathLike[str],
    found: object,
    readable: Collection[int],
) -> None:
    """Raise an error unless a file's format version is one of those that can be read.

    Parameters
    ----------
    kind : type
        Class of the error.
    what : str
        What the file is, for the message: ``"the journal"``.
    path : path
        The file.
    found : object
        The version that it states; anything, because the file may be damaged.
    readable : collection of int
        The versions that this release reads.
    """
    if type(found) is int and found in readable:
        return
    versions = " and ".join(str(each) for each in sorted(readable))
    raise kind(
        f"{what} {os.fspath(path)} has the format version {found!r:.40}; this release reads "
        f"{versions}. Read it with the release that wrote it, or with a newer one",
        code="wrong-version",
        path=str(path),
        value=found,
        expected=tuple(sorted(readable)),
    )
