"""Unpacks an archive that may have been made by an enemy.

Everything goes below one fresh directory; nothing but plain files and directories is made; and
what an archive holds is measured before it is written.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from sedna_tinyms.errors import DownloadError, StorageError

__all__ = ["read_gzip", "unpack_tar"]

CHUNK = 1 << 18
LONGEST_HEADER = 1 << 20
"""No honest archive has a longer header; `tarfile` would take any length into memory."""


def unpack_tar(archive: Path, directory: Path, *, most_bytes: int, most_members: int) -> None:
    """Unpack a ``.tar`` or ``.tar.gz`` into a new directory.

    Owners, times and modes are left behind. At the first thing that is wrong everything stops;
    what was written until then stays in `directory`, for the caller to throw away.

    Parameters
    ----------
    archive : Path
        The archive.
    directory : Path
        Where its members go; it must not exist, and its parent must.
    most_bytes : int
        How much the members may hold together.
    most_members : int
        How many there may be.

    Raises
    ------
    DownloadError
        If the archive is damaged, holds too much, or holds a name outside of the directory, the
        same name twice, a link or a device.
    StorageError
        If a file cannot be written.
    """
    with _honest(archive):
        directory.mkdir()
        with archive.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        with gzip.open(archive) if zipped else archive.open("rb") as content:
            source = _ShortReads(content)
            with tarfile.open(fileobj=source, mode="r:") as tar:
                _unpack_members(tar, directory, most_bytes, most_members)


def read_gzip(archive: Path, *, most_bytes: int) -> Iterator[bytes]:
    """Yield the content of a ``.gz`` file, chunk by chunk.

    Raises
    ------
    DownloadError
        If it is damaged, or holds more than `most_bytes`.
    """
    taken = 0
    with _honest(archive), gzip.open(archive) as content:
        while chunk := content.read(CHUNK):
            taken += len(chunk)
            if taken > most_bytes:
                raise DownloadError(
                    f"{archive.name} holds more than the {most_bytes} bytes that are expected",
                    code="too-large",
                    most=most_bytes,
                )
            yield chunk


def _unpack_members(
    tar: tarfile.TarFile, directory: Path, most_bytes: int, most_members: int
) -> None:
    taken = 0
    for number, member in enumerate(tar, start=1):
        if number > most_members:
            raise DownloadError(
                f"it has more than the {most_members} members that are expected",
                code="too-large",
                most=most_members,
            )
        place = directory / _name_below(member)
        taken += member.size
        if taken > most_bytes:
            raise DownloadError(
                f"it holds more than the {most_bytes} bytes that are expected",
                code="too-large",
                most=most_bytes,
            )
        try:
            (place if member.isdir() else place.parent).mkdir(parents=True, exist_ok=True)
            if member.isfile():
                _write(tar.extractfile(member), place, member)
        except (FileExistsError, IsADirectoryError, NotADirectoryError):
            raise _unsafe(member, "is in the place of another one") from None


def _name_below(member: tarfile.TarInfo) -> PurePosixPath:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts or "\0" in member.name:
        raise _unsafe(member, "would be outside of the directory")
    if not (member.isfile() or member.isdir()):
        raise _unsafe(member, "is a link, a device or a pipe")
    if member.size < 0:
        raise _unsafe(member, f"claims to hold {member.size} bytes")
    return name


def _unsafe(member: tarfile.TarInfo, reason: str) -> DownloadError:
    return DownloadError(
        f"its member {member.name!r} {reason}", code="unsafe-archive", name=member.name
    )


def _write(content: IO[bytes] | None, place: Path, member: tarfile.TarInfo) -> None:
    if content is None:
        raise DownloadError(
            f"its member {member.name!r} has no content", code="damaged", name=member.name
        )
    left = member.size
    with place.open("xb") as file:
        while chunk := content.read(min(CHUNK, left)):
            left -= len(chunk)
            file.write(chunk)
    if left:
        raise DownloadError(
            f"its member {member.name!r} ends {left} bytes early",
            code="truncated",
            name=member.name,
        )


@contextmanager
def _honest(archive: Path) -> Iterator[None]:
    """Name the archive in what goes wrong with it."""
    try:
        yield
    except DownloadError as error:
        named = str(error).startswith(archive.name)
        raise DownloadError(
            str(error) if named else f"{archive.name} is refused: {error}",
            code=error.code,
            **{"path": archive, **error.fields},
        ) from None
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DownloadError(
            f"{archive.name} is damaged: {error}", code="damaged", path=archive
        ) from error
    except OSError as error:
        raise StorageError(
            f"cannot unpack {archive.name}: {error}", code="cannot-write", path=archive
        ) from error


class _ShortReads(io.RawIOBase):
    """A file that refuses to be read a large piece at a time."""

    def __init__(self, file: io.BufferedIOBase) -> None:
        self.file = file

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= LONGEST_HEADER:
            raise DownloadError(
                f"one of its headers is {size} bytes long", code="too-large", value=size
            )
        return self.file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()
