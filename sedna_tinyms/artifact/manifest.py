"""``manifest.json``: path, size and SHA-256 of every file of a model version.

A version is a flat directory. It holds exactly what its manifest names, the manifest itself, and
perhaps the manifest's signature; every one of them an ordinary file with one name.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from sedna_tinyms.artifact.json_text import parse_json
from sedna_tinyms.errors import ModelFileError, Problems

__all__ = ["MANIFEST", "SIGNATURE", "FileEntry", "Manifest", "OpenDirectory"]

MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
FORMAT_VERSION = 1
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
SHA256 = re.compile(r"[0-9a-f]{64}")
MOST_FILES = 64
MOST_MANIFEST_BYTES = 1 << 20
CHUNK = 1 << 20


@dataclass(frozen=True)
class FileEntry:
    """One file: its name, its size in bytes, its SHA-256 in hexadecimal."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The files of a version.

    Attributes
    ----------
    files : tuple of FileEntry
        By name.
    """

    files: tuple[FileEntry, ...]

    @classmethod
    def from_json(cls, text: bytes, source: str) -> Manifest:
        """Read a manifest.

        Raises
        ------
        ModelFileError
            If it is none.
        """
        try:
            said = parse_json(text)
        except ValueError as error:
            raise _refused(source, error, code="not-json") from error
        found = said.get("format_version") if isinstance(said, dict) else None
        if found is not None and found != FORMAT_VERSION:
            reason = f"its format_version is {found!r:.40}, not {FORMAT_VERSION}"
            raise _refused(
                source, reason, code="wrong-version", value=found, expected=FORMAT_VERSION
            )
        if not isinstance(said, dict) or set(said) != {"format_version", "files"}:
            reason = "it is not an object with format_version and files"
            raise _refused(source, reason, code="invalid-value")
        try:
            return cls(_entries(said["files"]))
        except ValueError as error:
            raise _refused(source, error, code="invalid-value") from error

    def as_json(self) -> str:
        """Return the text of the file."""
        said = {"format_version": FORMAT_VERSION, "files": [asdict(each) for each in self.files]}
        return json.dumps(said, indent=2) + "\n"

    def entry(self, name: str) -> FileEntry:
        """Return the entry of a file; `ModelFileError` if there is none."""
        for each in self.files:
            if each.path == name:
                return each
        names = ", ".join(each.path for each in self.files)
        raise ModelFileError(
            f"the manifest names no {name}; it names {names}",
            code="missing-file",
            name=name,
            valid=[each.path for each in self.files],
        )

    def require_names(self, present: Iterable[str], source: str) -> None:
        """Raise `ModelFileError` unless these are the directory's files, no more and no fewer."""
        named, present = {each.path for each in self.files}, set(present)
        problems = Problems()
        for name in sorted(named - present):
            problems.add(f"{name} is missing", code="missing-file", path=f"{source}/{name}")
        for name in sorted(present - named - {MANIFEST, SIGNATURE}):
            line = f"{name!r:.140} is there and not in the manifest"
            problems.add(line, code="unexpected-file", path=f"{source}/{name}")
        problems.raise_as(
            ModelFileError, f"the model version {source} is not what was published", path=source
        )


def _refused(source: str, reason: object, *, code: str, **fields: object) -> ModelFileError:
    return ModelFileError(
        f"the manifest {source} is refused: {reason}", code=code, path=source, **fields
    )


def _entries(said: object) -> tuple[FileEntry, ...]:
    if not isinstance(said, list) or not 0 < len(said) <= MOST_FILES:
        raise ValueError(f"files is no list of 1 to {MOST_FILES}")
    files = tuple(_entry(each) for each in said)
    if len({entry.path for entry in files}) != len(files):
        raise ValueError("a file is named twice")
    return files


def _entry(said: object) -> FileEntry:
    if not isinstance(said, dict) or set(said) != {"path", "size", "sha256"}:
        raise ValueError(f"{said!r:.60} is not a path with size and sha256")
    path, size, sha256 = said["path"], said["size"], said["sha256"]
    if not isinstance(path, str) or not FILE_NAME.fullmatch(path):
        raise ValueError(f"{path!r:.60} is not the name of a file in the directory")
    if path in (MANIFEST, SIGNATURE):
        raise ValueError(f"a manifest does not name {path}")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ValueError(f"the size of {path} is {size!r:.40}")
    if not isinstance(sha256, str) or not SHA256.fullmatch(sha256):
        raise ValueError(f"the sha256 of {path} is {sha256!r:.80}")
    return FileEntry(path, size, sha256)


class OpenDirectory:
    """A directory whose files are read by their names in it, whatever its path means later.

    No link is followed, out of it or within; a file with a second name (hard link) is refused,
    because somebody could change it from there.
    """

    def __init__(self, handle: int, path: Path) -> None:
        self._handle = handle
        self.path = path

    @classmethod
    @contextmanager
    def at(cls, path: Path, called: Path | None = None) -> Iterator[OpenDirectory]:
        """Yield the directory at a path; `ModelFileError` if there is none, or a link to one.

        Messages call it by `called`, where it has not its name yet.
        """
        try:
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            raise ModelFileError(
                f"there is no model version {path}: {error}",
                code="missing-file" if isinstance(error, FileNotFoundError) else "not-a-directory",
                path=path,
            ) from error
        try:
            yield cls(handle, called or path)
        finally:
            os.close(handle)

    def names(self) -> Sequence[str]:
        """Return the names of everything in it."""
        try:
            return sorted(os.listdir(self._handle))  # noqa: PTH208 (a handle has no iterdir)
        except OSError as error:
            raise ModelFileError(
                f"{self.path} cannot be read: {error}", code="unreadable-file", path=self.path
            ) from error

    def read(self, name: str, *, most_bytes: int = MOST_MANIFEST_BYTES) -> bytes:
        """Return the content of a small file; `ModelFileError` if that is refused."""
        with self._open(name) as (handle, size):
            if size > most_bytes:
                raise ModelFileError(
                    f"{self.path / name} has {size} bytes, too many",
                    code="too-large",
                    path=self.path / name,
                    value=size,
                    most=most_bytes,
                )
            return b"".join(_chunks(handle, size))

    def read_checked(self, entry: FileEntry, *, keep: bool) -> bytes:
        """Check a file against its entry, and return its content if it is to be kept.

        What is returned is what was checked, whatever becomes of the file.

        Raises
        ------
        ModelFileError
            If it is missing, linked, or not what the entry says.
        """
        kept, digest = [], hashlib.sha256()
        with self._open(entry.path) as (handle, size):
            if size != entry.size:
                how = f"it has {size} bytes, and {entry.size} are due"
                raise self._changed(entry, how, "wrong-length", value=size, expected=entry.size)
            for chunk in _chunks(handle, size):
                digest.update(chunk)
                if keep:
                    kept.append(chunk)
        found = digest.hexdigest()
        if found != entry.sha256:
            how = f"its SHA-256 is {found}"
            raise self._changed(entry, how, "wrong-digest", value=found, expected=entry.sha256)
        return b"".join(kept)

    def _changed(self, entry: FileEntry, how: str, code: str, **fields: object) -> ModelFileError:
        return ModelFileError(
            f"{self.path / entry.path} was changed or damaged: {how}. Go back to another version, "
            "or bring this one again from where it was made",
            code=code,
            path=self.path / entry.path,
            **fields,
        )

    @contextmanager
    def _open(self, name: str) -> Iterator[tuple[int, int]]:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            handle = os.open(name, flags, dir_fd=self._handle)
            try:
                status = os.fstat(handle)
                if not stat.S_ISREG(status.st_mode):
                    raise ModelFileError(
                        f"{self.path / name} is not an ordinary file",
                        code="not-regular-file",
                        path=self.path / name,
                    )
                if status.st_nlink != 1:
                    raise ModelFileError(
                        f"{self.path / name} has {status.st_nlink} names (hard links), by which "
                        "it could be changed: copy the version instead",
                        code="linked-file",
                        path=self.path / name,
                    )
                yield handle, status.st_size
            finally:
                os.close(handle)
        except (OSError, ValueError) as error:
            path = self.path / name
            if path.is_symlink():
                raise ModelFileError(
                    f"{path} cannot be read: {error}; links are not followed",
                    code="linked-file",
                    path=path,
                ) from error
            raise ModelFileError(
                f"{path} cannot be read: {error}",
                code="missing-file" if isinstance(error, FileNotFoundError) else "unreadable-file",
                path=path,
            ) from error


def _chunks(handle: int, size: int) -> Iterator[bytes]:
    """Yield a file's bytes, up to the size that was looked at."""
    while size > 0 and (chunk := os.read(handle, min(CHUNK, size))):
        size -= len(chunk)
        yield chunk
