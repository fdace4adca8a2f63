"""Host paths of a job YAML, below the directory that plays the host.

On a cluster ``/data/train.txt`` is a file of the node, and a worker sees it as
``/home/data/data/train.txt`` because the directory is mounted there. On one machine it is
``<root>/data/train.txt`` for everybody. Workers are given ``DATA_PATH_PREFIX=<root>``, so what
they report is the host path again, exactly as on a cluster.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from sedna_tinyms.errors import JobSpecError

__all__ = ["HostPaths", "check_host_path"]

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
ELSEWHERE = {
    "s3": "an object store needs Sedna's storage initializer",
    "http": "a download needs Sedna's storage initializer",
    "https": "a download needs Sedna's storage initializer",
}


def check_host_path(url: str) -> PurePosixPath:
    """Return the host path that a url of the YAML means, without ``.`` and double slashes.

    Raises
    ------
    JobSpecError
        If it is not an absolute path, climbs with ``..`` (Kubernetes refuses that in a hostPath
        too), or has a scheme. Sedna on a cluster also takes s3 and http(s); one machine does not.
    """
    match = SCHEME.match(url)
    scheme = match[1].lower() if match else ""
    if scheme in ELSEWHERE:
        raise JobSpecError(
            f"{url!r} cannot be used on one machine: {ELSEWHERE[scheme]}. Put the file below "
            "--root and write its host path, such as '/data/train.txt'",
            code="unsupported",
            value=url,
            scheme=scheme,
        )
    if scheme:
        raise JobSpecError(
            f"{url!r} has the scheme {scheme!r}, which Sedna does not know: write a host path "
            "such as '/data/train.txt'",
            code="unknown-name",
            value=url,
            scheme=scheme,
        )
    if "\0" in url:
        raise JobSpecError(
            f"{url!r} contains a NUL character, which no path can", code="invalid-url", value=url
        )
    if not url.startswith("/"):
        raise JobSpecError(
            f"{url!r} is not a host path: it must start with '/', and means a path below --root",
            code="invalid-url",
            value=url,
        )
    if ".." in url.split("/"):
        raise JobSpecError(
            f"{url!r} climbs with '..': write the path without it", code="invalid-url", value=url
        )
    # A path of POSIX may start with exactly two slashes and mean something else by it.
    return PurePosixPath("/" + url.lstrip("/"))


class HostPaths:
    """The mapping between host paths and files below `root`.

    Parameters
    ----------
    root : path
        The directory that plays the host's ``/``. It need not exist yet.

    Attributes
    ----------
    root : pathlib.Path
        `root`, absolute and without symbolic links.
    prefix : str
        What workers get as DATA_PATH_PREFIX: cut from a local path, it leaves the host path.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).resolve()
        self.prefix = "" if self.root == Path("/") else str(self.root)

    def local(self, url: str | PurePosixPath) -> Path:
        """Return the file on this machine for a host path.

        Raises
        ------
        JobSpecError
            If `url` is not a host path (see `check_host_path`), or a symbolic link on the way
            leads out of the root. In a pod such a link would lead nowhere, because only the
            file's own directory is mounted there.
        """
        host = check_host_path(str(url))
        path = self.root / host.relative_to("/")
        try:
            resolved = path.resolve()
        except (OSError, RuntimeError) as error:  # a loop of links; RuntimeError before 3.13
            raise JobSpecError(
                f"{host} cannot be followed below {self.root}: {error}",
                code="unreadable-file",
                value=str(host),
                path=path,
            ) from error
        if not resolved.is_relative_to(self.root):
            raise JobSpecError(
                f"{host} leads out of {self.root}: {path} is, or passes, a symbolic link to "
                f"{resolved}. Copy the data below --root, or choose a --root that holds both",
                code="outside-root",
                value=str(host),
                path=path,
            )
        return path

    def host(self, path: str | os.PathLike[str]) -> str:
        """Return the host path of a local path; one outside of the root stays as it is."""
        text = os.path.normpath(os.fspath(path))
        if self.prefix and (text == self.prefix or text.startswith(self.prefix + "/")):
            return text[len(self.prefix) :] or "/"
        return text
