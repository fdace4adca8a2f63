"""A job's model versions on disk, and which of them is deployed.

::

    <directory>/000007/         a version, see `sedna_tinyms.artifact.version`
    <directory>/deployed.json   the pointer: number and digest of the deployed version
    <directory>/counter.json    the highest number ever given

A version takes its name when it is complete, and the pointer is replaced when the version that it
names is. A kill or a power cut at any moment leaves the old state or the new one; what was begun
stays under a hidden name, and the next publisher removes it.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from threading import get_ident
from typing import Any

from sedna_tinyms.artifact.description import ModelDescription
from sedna_tinyms.artifact.files import flush, write_json
from sedna_tinyms.artifact.format_version import require_version
from sedna_tinyms.artifact.json_text import parse_json
from sedna_tinyms.artifact.lock import exclusively
from sedna_tinyms.artifact.manifest import MANIFEST, SHA256, OpenDirectory
from sedna_tinyms.artifact.version import ModelVersion, open_version, write_version
from sedna_tinyms.errors import ConfigurationError, ModelFileError, StorageError

__all__ = ["Deployed", "ModelStore"]

NUMBER = re.compile(r"[0-9]{6,12}")
HIDDEN = re.compile(r"\..+\.(partial|removed)(\.json)?")
"""What is being written or removed, or was when somebody was killed."""

FORMAT_VERSION = 1
"""Of the pointer."""

MOST_REMEMBERED = 20
"""How many deployments the pointer remembers."""

LONGEST_WAIT_SECONDS = 10.0
"""For another process that publishes or deploys. A runner that waits hears no signal."""


@dataclass(frozen=True)
class Deployed:
    """What the pointer says.

    Attributes
    ----------
    version : int
        The deployed version's number.
    sha256 : str
        Its digest.
    before : tuple of int
        What was deployed before it, the latest last; going back takes from the end.
    reason : str
        Why, if whoever deployed it said so.
    """

    version: int
    sha256: str
    before: tuple[int, ...] = ()
    reason: str = ""

    def followed_by(self, number: int) -> tuple[int, ...]:
        """Return what will have been deployed before a version, once it is deployed."""
        if number in (*self.before, self.version):
            return self.before[: (*self.before, self.version).index(number)]
        return (*self.before, self.version)[-MOST_REMEMBERED:]


class ModelStore:
    """The versions below one directory. Several processes may use it at once.

    Parameters
    ----------
    directory : Path
        Where; it is made with the first version.
    signing_key : Path, optional
        Private key to sign new versions with.
    public_key : Path, optional
        Refuse every version that its owner has not signed.
    """

    def __init__(
        self,
        directory: Path,
        *,
        signing_key: Path | None = None,
        public_key: Path | None = None,
    ) -> None:
        self.directory = directory
        self._signing_key = signing_key
        self._public_key = public_key
        self._inside: int | None = None

    def numbers(self) -> list[int]:
        """Return the numbers of the versions, in order."""
        try:
            names = [path.name for path in self.directory.iterdir() if path.is_dir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ModelFileError(
                f"the store {self.directory} cannot be read: {error}",
                code="unreadable-file",
                path=self.directory,
            ) from error
        return sorted(int(name) for name in names if NUMBER.fullmatch(name))

    def path(self, number: int) -> Path:
        """Return the directory of a version, whether it exists or not."""
        return self.directory / f"{number:06d}"

    def open(
        self,
        number: int,
        *,
        architecture: str | None = None,
        class_names: Sequence[str] | None = None,
    ) -> ModelVersion:
        """Check a version and return it; parameters and errors as `open_version`."""
        if number not in self.numbers():
            numbers = self.numbers()
            known = ", ".join(map(str, numbers)) or "none"
            raise ModelFileError(
                f"{self.directory} has no version {number}; it has {known}",
                code="unknown-name",
                path=self.directory,
                value=number,
                valid=numbers,
            )
        version = open_version(
            self.path(number),
            public_key=self._public_key,
            architecture=architecture,
            class_names=class_names,
        )
        if version.description.version != number:
            raise ModelFileError(
                f"{version.directory} says that it is version {version.description.version}: it "
                "was renamed, or stands in the place of another",
                code="conflict",
                path=version.directory,
                value=version.description.version,
                expected=number,
            )
        return version

    def publish(self, files: Mapping[str, Path], description: ModelDescription) -> ModelVersion:
        """Make a new version with the next number; parameters and errors as `write_version`."""
        with self.alone():
            self._remove_leftovers()
            number = self._highest_number() + 1
            # The number is used up before it is used: it will not be given again, whatever comes.
            write_json(self.directory / "counter.json", {"last": number})
            return write_version(
                self.path(number),
                files,
                replace(description, version=number, created=_now()),
                signing_key=self._signing_key,
            )

    def deployed(self) -> Deployed | None:
        """Return what is deployed, as the pointer says; None before the first deployment.

        Raises
        ------
        ModelFileError
            If the pointer cannot be read, or is a newer release's.
        """
        path = self.directory / "deployed.json"
        try:
            said = parse_json(path.read_bytes())
            found = said.get("format_version", FORMAT_VERSION)  # the first pointers have none
            require_version(ModelFileError, "the pointer", path, found, (FORMAT_VERSION,))
            before, reason = tuple(said.get("before", ())), str(said.get("reason", ""))
            pointer = Deployed(said["version"], said["sha256"], before, reason)
            numbers = (pointer.version, *pointer.before)
            if {type(each) for each in numbers} != {int} or not SHA256.fullmatch(pointer.sha256):
                raise ValueError(f"it says {said!r:.80}")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise ModelFileError(
                f"the pointer {path} is damaged ({error}): deploy a version again to replace it",
                code="damaged",
                path=path,
            ) from error
        return pointer

    def open_deployed(self) -> ModelVersion:
        """Check the deployed version and return it.

        Raises
        ------
        ModelFileError
            If none is deployed, or it is not the one that was.
        """
        pointer = self.deployed()
        if pointer is None:
            raise ModelFileError(
                f"no version of {self.directory} is deployed",
                code="not-deployed",
                path=self.directory,
            )
        version = self.open(pointer.version)
        if version.digest != pointer.sha256:
            raise ModelFileError(
                f"{version.directory} is not the version that was deployed: its digest is "
                f"{version.digest}, and {pointer.sha256} was",
                code="wrong-digest",
                path=version.directory,
                value=version.digest,
                expected=pointer.sha256,
            )
        return version

    @contextmanager
    def deploying(
        self, number: int, *, downgrade: bool = False, reason: str = ""
    ) -> Iterator[ModelVersion]:
        """Put a version into service in this block; the pointer follows at its end.

        Nobody else publishes or deploys meanwhile. If the block raises, the pointer stays.

        Parameters
        ----------
        number : int
            Which.
        downgrade : bool
            Whether it may be older than the deployed one.
        reason : str
            Why, for the pointer to keep.

        Yields
        ------
        ModelVersion
            The version, checked.

        Raises
        ------
        ModelFileError
            If the version is refused.
        ConfigurationError
            If it is older than the deployed one.
        StorageError
            If the pointer cannot be written.
        """
        with self.alone():
            version = self.open(number)
            try:
                current = self.deployed()
            except ModelFileError as error:
                if error.code == "wrong-version":
                    raise
                current = None  # a damaged pointer is what a deployment mends
            if current is not None and number < current.version and not downgrade:
                raise ConfigurationError(
                    f"version {number} is older than version {current.version}, which is "
                    "deployed: going back has to be asked for",
                    code="downgrade",
                    value=number,
                    deployed=current.version,
                )
            yield version
            before = () if current is None else current.followed_by(number)
            pointer = Deployed(number, version.digest, before, reason)
            said = {"format_version": FORMAT_VERSION, **asdict(pointer)}
            write_json(self.directory / "deployed.json", said)

    def deploy(self, number: int, *, downgrade: bool = False) -> ModelVersion:
        """Let the pointer name another version; as `deploying` with nothing to do."""
        with self.deploying(number, downgrade=downgrade) as version:
            return version

    def parent(self, version: ModelVersion) -> int | None:
        """Return the number of the version that one was trained from, if it is still there."""
        for number in reversed(self.numbers()):
            if self._digest(number) == version.description.parent:
                return number
        return None

    def holding(self, sha256: str) -> int | None:
        """Return the newest version with a file of this digest; files are not looked at."""
        for number in reversed(self.numbers()):
            if self.holds(number, sha256):
                return number
        return None

    def holds(self, number: int, sha256: str) -> bool:
        """Tell whether a version's manifest names a file of this digest; it is not looked at."""
        return bool(SHA256.fullmatch(sha256)) and sha256 in self._manifest(number)

    def retain(self, most_versions: int, most_bytes: int) -> list[int]:
        """Remove the oldest versions until few enough are left.

        The deployed version stays, and the one that it was trained from, the one deployed before
        it, and the newest, even if they are too many.

        Returns
        -------
        list of int
            Those that were removed.

        Raises
        ------
        ModelFileError
            If it cannot be told which one is deployed; nothing is removed then.
        StorageError
            If one cannot be removed.
        """
        with self.alone():
            numbers = self.numbers()
            kept, removed = self._indispensable(numbers), []
            sizes = {number: _size(self.path(number)) for number in numbers}
            for number in numbers:
                left = len(sizes)
                if left <= most_versions and sum(sizes.values()) <= most_bytes:
                    break
                if number not in kept:
                    self._remove(number)
                    removed.append(number)
                    del sizes[number]
            return removed

    def _indispensable(self, numbers: Sequence[int]) -> set[int]:
        kept = set(numbers[-1:])
        pointer = self.deployed()
        if pointer is not None:
            kept |= {pointer.version, *pointer.before[-1:]}
            parent = self.parent(self.open(pointer.version))
            kept |= set() if parent is None else {parent}
        return kept

    def _manifest(self, number: int) -> str:
        """Return the text of a version's manifest; nothing if it cannot be read."""
        try:
            with OpenDirectory.at(self.path(number)) as opened:
                return opened.read(MANIFEST).decode(errors="replace")
        except ModelFileError:
            return ""

    def _digest(self, number: int) -> str:
        return hashlib.sha256(self._manifest(number).encode()).hexdigest()

    def _highest_number(self) -> int:
        """Return the highest number ever given, as far as anything still tells."""
        pointer = self._read("deployed.json").get("version")
        last = self._read("counter.json").get("last")
        known = [number for number in (pointer, last) if type(number) is int]
        return max([0, *known, *self.numbers()])

    def _read(self, name: str) -> dict[str, Any]:
        try:
            said = parse_json((self.directory / name).read_bytes())
        except (OSError, ValueError):
            return {}
        return said if isinstance(said, dict) else {}

    def _remove(self, number: int) -> None:
        """Take a version's name away in one step, then its files."""
        hidden = self.directory / f".{number:06d}.removed"
        try:
            self.path(number).rename(hidden)
            flush(self.directory)
            shutil.rmtree(hidden)
        except OSError as error:
            raise StorageError(
                f"cannot remove {self.path(number)}: {error}",
                code="cannot-write",
                path=self.path(number),
            ) from error

    def sweep(self) -> None:
        """Remove what somebody who was killed has begun; `StorageError` if that cannot be."""
        with self.alone():
            self._remove_leftovers()

    def _remove_leftovers(self) -> None:
        for path in self.directory.iterdir():
            if not HIDDEN.fullmatch(path.name):
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    @contextmanager
    def alone(self, limit_seconds: float | None = None) -> Iterator[None]:
        """Keep everybody else from publishing, deploying and removing in this block.

        It may stand inside another one of the same thread, as every method that changes something
        has it.

        Parameters
        ----------
        limit_seconds : float, optional
            How long to wait for another process; `LONGEST_WAIT_SECONDS` by default.

        Raises
        ------
        StorageError
            If another process keeps it for too long.
        """
        if self._inside == get_ident():
            yield
            return
        limit = LONGEST_WAIT_SECONDS if limit_seconds is None else limit_seconds
        with exclusively(self.directory / ".lock", limit):
            self._inside = get_ident()
            try:
                yield
            finally:
                self._inside = None


def _size(directory: Path) -> int:
    return sum(path.lstat().st_size for path in directory.iterdir())


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
