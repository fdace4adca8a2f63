"""Keeps hard examples for a person to label, within a quota of the disk and without repetitions.

A camera sees the same hard thing many times, and nobody may label for days. So a picture that
resembles one already kept is left out, and where the quota is reached, a picture makes room only
for one that is worth more. What is kept survives a restart; pictures that a person takes away are
forgotten by and by.
"""

from __future__ import annotations

import base64
import errno
import json
import logging
import math
import os
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sedna_tinyms.artifact.files import copy_file, write_text
from sedna_tinyms.artifact.json_text import parse_json
from sedna_tinyms.errors import ConfigurationError, StorageError

__all__ = ["HardExampleStore", "Kept"]

logger = logging.getLogger(__name__)

NOTES = ".notes"
"""The directory of what is known about each picture, below the pictures' own."""

MOST_TAKEN = 1000
"""Of how many pictures that were taken away the embedding is remembered."""


class Kept(str, Enum):
    """What became of a picture that was offered."""

    KEPT = "kept"
    DUPLICATE = "duplicate"
    """It resembles one that is kept, or was: it stays where it is."""
    NO_ROOM = "no room"
    """Those kept are worth more, or it is larger than the quota: it stays where it is."""


@dataclass(frozen=True)
class _Note:
    """What is known about a picture, also after somebody took it away."""

    value: float
    direction: NDArray[np.float32] | None
    size: int  # of the note's own file

    @classmethod
    def of(cls, value: float, embedding: ArrayLike | None) -> _Note:
        """Return a new note."""
        direction = None if embedding is None else np.asarray(embedding, np.float32).ravel()
        if direction is not None:
            length = float(np.linalg.norm(direction))
            usable = math.isfinite(length) and length > 0
            direction = (direction / length).astype(np.float32) if usable else None
        note = cls(float(value) if math.isfinite(value) else 0.0, direction, 0)
        return cls(note.value, note.direction, len(note.as_text()))

    @classmethod
    def read(cls, path: Path) -> _Note:
        """Read a note; one that cannot be understood says nothing."""
        try:
            text = path.read_text(encoding="ascii")
            known = parse_json(text)
            packed = known["direction"]
            direction = None
            if packed is not None:
                content = base64.b64decode(packed, validate=True)
                direction = np.frombuffer(content, "<f2").astype(np.float32)
            return cls(float(known["value"]), direction, len(text))
        except (OSError, ValueError, LookupError, TypeError, OverflowError) as error:
            logger.warning("the note %s cannot be read (%s): it says nothing", path, error)
            return cls(0.0, None, path.stat().st_size if path.exists() else 0)

    def as_text(self) -> str:
        """Return what `read` reads."""
        packed = None
        if self.direction is not None:
            packed = base64.b64encode(self.direction.astype("<f2").tobytes()).decode("ascii")
        return json.dumps({"value": self.value, "direction": packed})


class HardExampleStore:
    """A directory of hard examples; one process at a time puts pictures in.

    Anybody may take pictures away, or put others in, at any time.

    Parameters
    ----------
    directory : path
        Where the pictures go. Those that are there without a note are worth 0.
    quota_bytes : int
        Most bytes that the pictures, and what is noted about them, may take together.
    duplicate_cosine : float
        From which cosine of their embeddings on, two pictures show the same. Where it lies depends
        on the network: the nearest other picture has a cosine of 0.76 (median) among photos and
        MobileNetV2 1.0, and of 0.99 among dark pictures and MobileNetV2 0.35, while the same scene
        with the noise of another frame has more than 0.999. A person's label lost is worse than
        one spent twice, so the default is strict.

    Raises
    ------
    ConfigurationError
        If a number is out of its range.
    StorageError
        If the directory cannot be made.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        quota_bytes: int,
        duplicate_cosine: float = 0.999,
    ) -> None:
        if isinstance(quota_bytes, bool) or not isinstance(quota_bytes, int) or quota_bytes < 0:
            raise ConfigurationError(
                f"the quota of the hard examples is {quota_bytes!r}; it must be a whole number of "
                "bytes, 0 to keep none",
                code="out-of-range",
                name="quota_bytes",
                value=quota_bytes,
            )
        if not 0 < duplicate_cosine <= 1:
            raise ConfigurationError(
                f"duplicate_cosine is {duplicate_cosine!r}; it must be more than 0 and at most 1",
                code="out-of-range",
                name="duplicate_cosine",
                value=duplicate_cosine,
            )
        self.directory = Path(directory)
        self.quota_bytes = quota_bytes
        self.duplicate_cosine = duplicate_cosine
        try:
            (self.directory / NOTES).mkdir(parents=True, exist_ok=True)
            notes = sorted((self.directory / NOTES).glob("[!.]*"), key=lambda p: p.stat().st_mtime)
        except OSError as error:
            raise StorageError(
                f"cannot keep hard examples in {self.directory}: {error}",
                code="cannot-write",
                path=str(self.directory),
            ) from error
        self._notes = {path.name.removesuffix(".json"): _Note.read(path) for path in notes}

    @property
    def nbytes(self) -> int:
        """Bytes that the pictures and the notes take now."""
        return sum(self._pictures().values()) + sum(note.size for note in self._notes.values())

    @property
    def names(self) -> list[str]:
        """The names of the pictures, the one of the highest value first."""
        return sorted(self._pictures(), key=lambda name: (-self._value(name), name))

    def offer(
        self,
        picture: str | os.PathLike[str],
        value: float,
        embedding: ArrayLike | None = None,
    ) -> Kept:
        """Move a picture in, if it is worth it.

        Parameters
        ----------
        picture : path
            The file; it stays where it is unless it is kept.
        value : float
            How much a label of it is worth, the higher the more.
        embedding : array of float, optional
            Its features. Without them, it resembles no other.

        Raises
        ------
        StorageError
            If the picture cannot be moved; it is where it was then.
        """
        source = Path(picture)
        note = _Note.of(value, embedding)
        if self._is_known(note.direction):
            return Kept.DUPLICATE
        pictures = self._pictures()
        leaving = self._leaving(pictures, note.value, _size(source) + note.size)
        if leaving is None:
            return Kept.NO_ROOM
        name = _free_name(source, pictures.keys() | self._notes.keys())
        _move(source, self.directory / name)
        for worse in leaving:  # only now: what cannot be moved costs no other picture
            self._remove(worse)
        self._notes[name] = note
        try:
            write_text(self._note_path(name), note.as_text())
        except StorageError as error:  # the picture is what matters; a restart values it at 0
            logger.warning("%s is kept without a note: %s", name, error)
        return Kept.KEPT

    def _pictures(self) -> dict[str, int]:
        """Return the pictures that are there now, with their sizes."""
        try:
            with os.scandir(self.directory) as entries:
                return {
                    entry.name: entry.stat().st_size
                    for entry in entries
                    if entry.is_file() and not entry.name.startswith(".")
                }
        except OSError as error:
            raise StorageError(
                f"cannot look into {self.directory}: {error}",
                code="unreadable-file",
                path=str(self.directory),
            ) from error

    def _value(self, name: str) -> float:
        return self._notes[name].value if name in self._notes else 0.0

    def _is_known(self, direction: NDArray[np.float32] | None) -> bool:
        if direction is None:
            return False
        others = [note.direction for note in self._notes.values()]
        alike = [each for each in others if each is not None and each.shape == direction.shape]
        return bool(alike) and float((np.stack(alike) @ direction).max()) >= self.duplicate_cosine

    def _leaving(self, pictures: dict[str, int], value: float, size: int) -> list[str] | None:
        """Return what must go for a new picture; None if what is worth less is not enough.

        Notes of pictures that were taken away go first, the oldest before the others.
        """
        taken = [name for name in self._notes if name not in pictures]
        worse = [name for name in pictures if self._value(name) < value]
        leaving = taken[: max(0, len(taken) - MOST_TAKEN)]
        room = self.quota_bytes - self.nbytes
        room += sum(self._notes[name].size for name in leaving)
        for name in (*taken[len(leaving) :], *sorted(worse, key=self._value)):
            if size <= room:
                break
            leaving.append(name)
            room += pictures.get(name, 0)
            room += self._notes[name].size if name in self._notes else 0
        return leaving if size <= room else None

    def _remove(self, name: str) -> None:
        (self.directory / name).unlink(missing_ok=True)
        self._note_path(name).unlink(missing_ok=True)
        self._notes.pop(name, None)

    def _note_path(self, name: str) -> Path:
        return self.directory / NOTES / f"{name}.json"


def _size(picture: Path) -> int:
    try:
        return picture.stat().st_size
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        raise StorageError(
            f"cannot keep the hard example {picture}: {error}",
            code="missing-file" if missing else "unreadable-file",
            path=str(picture),
        ) from error


def _free_name(source: Path, names: Collection[str]) -> str:
    """Return a name that shows, with a number in it where another picture bears it."""
    visible = Path(source.name.lstrip(".") or "picture")
    name, number = visible.name, 2
    while name in names:
        name, number = f"{visible.stem}-{number}{visible.suffix}", number + 1
    return name


def _move(source: Path, target: Path) -> None:
    """Move a file so that `target` is whole at every moment, also onto another disk."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise StorageError(
                f"cannot move {source} to {target}: {error}", code="cannot-write", path=str(target)
            ) from error
        copy_file(source, target)
        source.unlink(missing_ok=True)
