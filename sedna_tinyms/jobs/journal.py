"""What happened in a job, entry by entry: an append-only file that survives a kill at any moment.

Each entry is a line of JSON, so that ``tail``, ``grep`` and ``jq`` read it::

    {"entry": 7, "time": "...", "kind": "round_started", "data": {...}, "sha256": "..."}

An entry counts once its line is whole and on the disk (fsync). Its checksum covers the line and
the checksum of the one before, so that a line that was changed, removed or put elsewhere shows. A
last line that a kill or a power cut tore is dropped, as if it had never been begun; damage
anywhere else is an error, because what a job has done must not be guessed.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sedna_tinyms.artifact.files import flush
from sedna_tinyms.artifact.json_text import parse_json
from sedna_tinyms.errors import StorageError

__all__ = ["BookkeepingError", "Entry", "Journal", "now"]

DIGEST_LENGTH = 16
"""Hexadecimal digits: enough against accidents, and the lines stay short."""

Data = dict[str, Any]


class BookkeepingError(StorageError):
    """What a job does cannot be noted: it must not go on as if it had been."""

    def __init__(self, what: str, *, code: str, **fields: Any) -> None:
        advice = "Make room or mend the disk; the job goes on from the last entry"
        super().__init__(f"{what}. {advice}", code=code, **fields)


@dataclass(frozen=True)
class Entry:
    """One thing that happened.

    Attributes
    ----------
    kind : str
        What: ``round_started``.
    data : dict
        Everything that is needed to make it happen to a state in memory again.
    """

    kind: str
    data: Data


class Journal:
    """The journal of one job.

    Parameters
    ----------
    path : Path
        The file; it is made with the first entry.

    Attributes
    ----------
    entries : tuple of Entry
        What an earlier run left. Entries appended meanwhile are not added.

    Raises
    ------
    StorageError
        If the file cannot be read, or is damaged elsewhere than at its end; it is left as it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._count = 0
        self._digest = ""
        self._size = 0
        self.entries: tuple[Entry, ...] = tuple(self._read())

    def forget(self) -> None:
        """Let go of `entries`: those of many months are a lot of memory."""
        self.entries = ()

    def append(self, kind: str, **data: Any) -> None:
        """Add an entry; when this returns, it is on the disk.

        Raises
        ------
        BookkeepingError
            If the disk is full or cannot be written. The entry has not happened then: what was
            written of it is taken back, here or by the next reader.
        """
        line, digest = _line(self._count + 1, now(), kind, data, self._digest)
        new = self._size == 0
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                self._write(handle, line)
            finally:
                os.close(handle)
            if new:
                flush(self.path.parent)
        except OSError as error:
            raise BookkeepingError(
                f"cannot write to the journal {self.path}: {error}",
                code="no-space" if error.errno == errno.ENOSPC else "cannot-write",
                path=self.path,
            ) from error
        self._count, self._digest, self._size = self._count + 1, digest, self._size + len(line)

    def _write(self, handle: int, line: bytes) -> None:
        """Put a line behind the last whole one, where a torn one may stand."""
        os.ftruncate(handle, self._size)
        os.lseek(handle, self._size, os.SEEK_SET)
        try:
            left = memoryview(line)
            while left:
                left = left[os.write(handle, left) :]
            os.fsync(handle)
        except OSError:
            os.ftruncate(handle, self._size)
            raise

    def _read(self) -> list[Entry]:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(
                f"cannot read the journal {self.path}: {error}",
                code="unreadable-file",
                path=self.path,
            ) from error
        *lines, _torn = content.split(b"\n")
        if lines and b"\0" in lines[-1]:
            del lines[-1]  # a power cut, too: of a long line, the last block may be written first
        entries = []
        for number, line in enumerate(lines, start=1):
            try:
                entries.append(self._check(number, line))
            except (ValueError, LookupError, TypeError) as error:
                raise StorageError(
                    f"{self.path}:{number}: the journal is damaged here ({error}): restore the "
                    "file, cut it off before this line to go on from there, or move the output "
                    "directory away to begin anew",
                    code="damaged",
                    path=self.path,
                    line=number,
                ) from error
            self._size += len(line) + 1
        return entries

    def _check(self, number: int, line: bytes) -> Entry:
        found = parse_json(line)
        if found["entry"] != number:
            raise ValueError(f"it is entry {found['entry']}")
        entry = Entry(found["kind"], found["data"])
        whole, digest = _line(number, found["time"], entry.kind, entry.data, self._digest)
        if whole != line + b"\n":
            raise ValueError("its checksum is wrong")
        self._count, self._digest = number, digest
        return entry


def _line(number: int, time: str, kind: str, data: Data, before: str) -> tuple[bytes, str]:
    """Return an entry's line and its checksum."""
    fields = {"entry": number, "time": time, "kind": kind, "data": data}
    text = json.dumps(fields, allow_nan=False)
    digest = hashlib.sha256(f"{before}{text}".encode()).hexdigest()[:DIGEST_LENGTH]
    return f'{text[:-1]}, "sha256": "{digest}"}}\n'.encode(), digest


def now() -> str:
    """Return the time as the journal writes it."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
