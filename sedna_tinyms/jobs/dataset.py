"""New lines of a dataset file, as they are appended to it."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sedna_tinyms.errors import DatasetError

__all__ = [
    "ARRIVAL_AT_MOST",
    "MAX_LINE_BYTES",
    "SETTLED_AFTER",
    "DatasetReader",
]

MAX_LINE_BYTES = 64 * 1024
"""A line must be shorter than this. Sedna stops reading at the first longer one, silently."""

SETTLED_AFTER = 5.0
"""Seconds without a change after which a last line without a newline counts as complete."""

ARRIVAL_AT_MOST = 60.0
"""Seconds after which what came in is an arrival even if the file never comes to rest."""

BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class _Position:
    """How far a dataset has been read: so many bytes, with this digest."""

    offset: int = 0
    lines: int = 0
    samples: int = 0
    sha256: str = hashlib.sha256().hexdigest()
    unterminated: bool = False


class DatasetReader:
    """Finds the lines that were appended to a ``txt`` dataset file since the last look.

    A sample is a line that holds more than white space, as written, without its line end. A last
    line without a newline may still be being written: it counts once the file has been left alone
    for `SETTLED_AFTER` seconds.

    What was counted must stay: the counted part of the file is compared with its digest whenever
    the file has changed, because Sedna splits by position and a file that was edited or shrunk
    would be counted wrongly without anyone noticing.

    What was found counts once it is said to (`go_on_from`); until then it is found again.

    Parameters
    ----------
    path : path
        The dataset file on this machine.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._counted = self._found = _Position()
        self._seen: tuple[int, ...] = ()
        self._growing_since: float | None = None
        self._looked_at: tuple[int, ...] = ()
        self._alone_since = 0.0

    @property
    def samples(self) -> int:
        """How many samples have been counted so far (Sedna's ``numberOfSamples``)."""
        return self._counted.samples

    @property
    def reading(self) -> dict[str, int | str | bool]:
        """How far the dataset has been read by the last `read_new`, as plain JSON."""
        return asdict(self._found)

    def go_on_from(self, reading: Mapping[str, Any]) -> None:
        """Count as read what this reader, or another one of the file, gave as its `reading`."""
        self._counted = self._found = _Position(
            offset=int(reading["offset"]),
            lines=int(reading["lines"]),
            samples=int(reading["samples"]),
            sha256=str(reading["sha256"]),
            unterminated=bool(reading["unterminated"]),
        )

    def read_new(self, now: float, quiet_seconds: float = 0.0) -> list[str]:
        """Return the samples of one arrival, or none while it is still coming in.

        They count when `reading` is handed to `go_on_from`.

        Parameters
        ----------
        now : float
            The time of a clock that is never set, `time.monotonic`, to tell for how long the file
            has been left alone: whether an arrival is over, and whether a last line without a
            newline settled.
        quiet_seconds : float
            An arrival is over when the file has been left alone this long, or after
            `ARRIVAL_AT_MOST` seconds. Lines appended one by one are one arrival that way, as they
            are to Sedna, which looks once a minute.

        Raises
        ------
        DatasetError
            If the file is missing or unreadable, what was counted is no longer there unchanged,
            or a new line is too long or not UTF-8. The same lines are then looked at again next
            time, so mending the file is enough.
        """
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                left_alone = self._seconds_left_alone(status, now)
                settled = left_alone >= SETTLED_AFTER
                seen = (*self._looked_at, settled)
                if seen == self._seen and self._found == self._counted:
                    return []
                if self._still_arriving(left_alone, now, quiet_seconds):
                    return []
                counted = file.read(self._counted.offset)
                fresh = file.read()
        except OSError as error:
            raise DatasetError(
                f"cannot read the dataset {self.path}: {error.strerror}. It is a text file with "
                "one sample a line",
                code="missing-file" if isinstance(error, FileNotFoundError) else "unreadable-file",
                path=self.path,
            ) from error
        self._check_unchanged(counted)
        samples, self._found = self._split(counted, fresh, settled)
        if not samples:
            self._counted = self._found
        self._seen = seen
        self._growing_since = None
        return samples

    def _seconds_left_alone(self, status: os.stat_result, now: float) -> float:
        """Return for how long the file is known not to have changed.

        That is since this reader saw it first as it is. Its time stamp is that of a clock that is
        set now and then, or another machine's: it counts at the first look of all, where there is
        nothing else to go by.
        """
        looked_at = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        if looked_at != self._looked_at:
            age = 0.0 if self._looked_at else max(0.0, time.time() - status.st_mtime)
            self._looked_at, self._alone_since = looked_at, now - age
        return now - self._alone_since

    def _still_arriving(self, left_alone: float, now: float, quiet_seconds: float) -> bool:
        if quiet_seconds <= 0 or left_alone >= quiet_seconds:
            return False
        if self._growing_since is None:
            self._growing_since = now
        return now - self._growing_since < ARRIVAL_AT_MOST

    def _check_unchanged(self, counted: bytes) -> None:
        before = self._counted
        if len(counted) < before.offset:
            raise DatasetError(
                f"{self.path} has shrunk: {before.lines} lines ({before.offset} bytes) were "
                f"counted and {len(counted)} bytes are left. Only append to a dataset, or start "
                "the job afresh with an empty output directory",
                code="truncated",
                path=self.path,
                size=len(counted),
                expected=before.offset,
            )
        if hashlib.sha256(counted).hexdigest() != before.sha256:
            raise DatasetError(
                f"{self.path} was edited or replaced: its first {before.lines} lines, which were "
                "counted already, are not the same any more. Put them back; to correct a label, "
                "append the picture again with the right one. Or start the job afresh with an "
                "empty output directory",
                code="wrong-digest",
                path=self.path,
                lines=before.lines,
            )

    def _split(self, counted: bytes, fresh: bytes, settled: bool) -> tuple[list[str], _Position]:
        """Return the samples of what is complete of the fresh part, and how far that is."""
        before = self._counted
        if before.unterminated and fresh[:1] not in (b"", b"\r", b"\n"):
            raise DatasetError(
                f"{self.path}:{before.lines}: this line went on after it had been counted, "
                f"because it stood without a newline for {SETTLED_AFTER:.0f} seconds. End it with "
                "a newline where it ended then, or start the job afresh with an empty output "
                "directory",
                code="conflict",
                path=self.path,
                line=before.lines,
            )
        complete = fresh if settled else fresh[: fresh.rfind(b"\n") + 1]
        if not complete:
            return [], before
        # A line that was counted without its newline may get it now: that is no new line.
        body = complete.removeprefix(b"\r").removeprefix(b"\n") if before.unterminated else complete
        lines = body.removesuffix(b"\n").split(b"\n") if body else []
        texts = [self._decode(line, before.lines + i) for i, line in enumerate(lines, start=1)]
        samples = [text for text in texts if text.strip()]

        return samples, _Position(
            offset=before.offset + len(complete),
            lines=before.lines + len(lines),
            samples=before.samples + len(samples),
            sha256=hashlib.sha256(counted + complete).hexdigest(),
            unterminated=not complete.endswith(b"\n"),
        )

    def _decode(self, line: bytes, number: int) -> str:
        where = f"{self.path}:{number}"
        if len(line) >= MAX_LINE_BYTES:
            raise DatasetError(
                f"{where}: the line has {len(line)} bytes and must have fewer than "
                f"{MAX_LINE_BYTES}: Sedna stops counting at it. A sample is a path with its label",
                code="too-large",
                path=self.path,
                line=number,
                size=len(line),
            )
        try:
            return line.removeprefix(BOM).removesuffix(b"\r").decode("utf-8")
        except UnicodeDecodeError as error:
            raise DatasetError(
                f"{where}: byte 0x{line[error.start]:02x} is not UTF-8: save the file as UTF-8",
                code="not-utf8",
                path=self.path,
                line=number,
                value=line[error.start],
            ) from error
