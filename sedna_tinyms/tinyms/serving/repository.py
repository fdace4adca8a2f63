"""The servables in service, kept in step with the files of the serving path.

A changed checkpoint is copied aside, read and checked, then takes the place of the old one between
two predictions; predictions submitted before are run with the old one. Whatever is wrong with a
new file, the old network stays in service, and `Repository.states` says why.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Thread

from sedna_tinyms.artifact.files import open_ordinary
from sedna_tinyms.errors import ConfigurationError, ModelFileError, SednaTinyMSError
from sedna_tinyms.tinyms.model import read_weights
from sedna_tinyms.tinyms.serving.catalogue import CATALOGUE, Entry, read_catalogue
from sedna_tinyms.tinyms.serving.network import Network
from sedna_tinyms.tinyms.serving.refusal import without_paths
from sedna_tinyms.tinyms.serving.runner import Runner
from sedna_tinyms.tinyms.serving.servable import Servable

__all__ = ["Repository", "State"]

logger = logging.getLogger(__name__)

REASON_LIMIT = 500
Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class State:
    """How a name in servable.json stands.

    Attributes
    ----------
    entry : Entry
        What the file says.
    servable : Servable or None
        What is in service.
    loaded_at : float
        When it was put in service, in seconds since 1970.
    reason : str
        Why what the files now say is not in service; empty if it is.
    code : str
        The same for a program, such as ``missing-file``.
    """

    entry: Entry
    servable: Servable | None = None
    loaded_at: float = 0.0
    reason: str = ""
    code: str = ""


class Repository:
    """Loads what the serving path holds, and what changes there.

    Parameters
    ----------
    directory : Path
        With ``servable.json`` and ``<servable>/<model>.ckpt``.
    runner : Runner
        Where the networks go; must be running.
    observe : callable
        Is told the servable's name and whether it worked, for every attempt to load one.
    """

    def __init__(
        self, directory: Path, runner: Runner, observe: Callable[[str, bool], None]
    ) -> None:
        self.directory = directory
        self.reason = ""
        """Why servable.json as a whole cannot be used; empty if it can."""
        self.code = ""
        """The same for a program."""
        self._wanted: dict[str, Entry] = {}
        self._states: dict[str, State] = {}
        self._runner = runner
        self._observe = observe
        self._loaded: dict[str, tuple[Entry, Stamp | None]] = {}
        self._seen: dict[str, Stamp | None] = {}
        self._catalogue_stamp: Stamp | None = (0, 0, 0)  # of no file, and not of a missing one
        self._stopping = Event()
        self._thread: Thread | None = None

    @property
    def states(self) -> dict[str, State]:
        """How each name stands."""
        return dict(self._states)

    @property
    def ready(self) -> bool:
        """Whether everything that servable.json names is in service."""
        return not self.reason and all(state.servable for state in self._states.values())

    def find(self, name: str) -> Servable | None:
        """Return the servable in service under `name`."""
        state = self._states.get(name)
        return state.servable if state else None

    def load(self) -> None:
        """Put everything in service that can be; the rest is said in `states`."""
        self._refresh(settled=lambda _name, _stamp: True)

    def watch(self, seconds: float) -> None:
        """Look for changes every so often, on a thread of its own, until `stop`."""
        self._thread = Thread(target=self._watch, args=(seconds,), name="files", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End `watch`."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self, seconds: float) -> None:
        while not self._stopping.wait(seconds):
            try:
                self._refresh(self._settled)
            except Exception:
                logger.exception("looking for changed files failed; it is tried again")

    def _settled(self, name: str, stamp: Stamp | None) -> bool:
        """Whether a file looks as it did at the last look: nobody is writing it."""
        settled = name in self._seen and self._seen[name] == stamp
        self._seen[name] = stamp
        return settled

    def _refresh(self, settled: Callable[[str, Stamp | None], bool]) -> None:
        self._read_catalogue(settled)
        for name in [name for name in self._states if name not in self._wanted]:
            self._remove(name)
        for name, entry in self._wanted.items():
            stamp = None if entry.problem else _stamp(self.directory / entry.checkpoint)
            if self._loaded.get(name) != (entry, stamp) and settled(name, stamp):
                self._loaded[name] = (entry, stamp)
                self._load(entry)

    def _read_catalogue(self, settled: Callable[[str, Stamp | None], bool]) -> None:
        """Take over what servable.json names if it changed; nothing if it cannot be used."""
        stamp = _stamp(self.directory / CATALOGUE)
        if stamp == self._catalogue_stamp or not settled(CATALOGUE, stamp):
            return
        self._catalogue_stamp = stamp
        try:
            self._wanted = read_catalogue(self.directory)
        except ConfigurationError as error:
            self.reason, self.code = without_paths(error), error.code
            logger.error("%s; what was in service stays", error)
            return
        for name, entry in self._wanted.items():
            loading = State(entry, reason="it is being loaded", code="loading")
            self._states.setdefault(name, loading)
        self.reason = self.code = ""

    def _remove(self, name: str) -> None:
        self._states.pop(name)
        self._loaded.pop(name, None)
        self._runner.call(lambda: self._runner.remove(name)).result()
        logger.info("the servable %s is out of service: %s names it no more", name, CATALOGUE)

    def _load(self, entry: Entry) -> None:
        before = self._states.get(entry.name, State(entry))
        try:
            self._put_in_service(entry)
        except SednaTinyMSError as error:
            self._fail(entry, before, str(error), error.code)
        except Exception as error:  # MindSpore raises many kinds
            logger.exception("loading the servable %s", entry.name)
            reason = f"{type(error).__name__} while loading; the log has more"
            self._fail(entry, before, reason, "internal")
        else:
            self._observe(entry.name, True)

    def _fail(self, entry: Entry, before: State, reason: str, code: str) -> None:
        stays = "; the version before stays in service" if before.servable else ""
        logger.error("the servable %s cannot be loaded%s: %s", entry.name, stays, reason)
        reason = " ".join(without_paths(reason).split())[:REASON_LIMIT]
        self._states[entry.name] = replace(before, entry=entry, reason=reason, code=code)
        self._observe(entry.name, False)

    def _put_in_service(self, entry: Entry) -> None:
        if entry.problem is not None:
            problem = entry.problem
            raise ConfigurationError(problem.text, code=problem.code, **problem.fields)
        with _copy(self.directory / entry.checkpoint, entry.checkpoint) as (checkpoint, digest):
            try:
                weights = read_weights(checkpoint)
                servable = Servable.resolve(entry, weights.metadata, digest[:12])
                self._runner.call(lambda: self._exchange(servable, checkpoint)).result()
            except SednaTinyMSError as error:
                message = str(error).replace(str(checkpoint), entry.checkpoint)
                raise type(error)(message, code=error.code, **error.fields) from error
        logger.info("the servable %s is in service, version %s", entry.name, servable.version)

    def _exchange(self, servable: Servable, checkpoint: Path) -> None:
        """Give the network new weights, or put a new network in its place; on the runner."""
        network = self._runner.network(servable.entry.name)
        if network is None or network.blueprint != servable.blueprint:
            network = Network(servable.blueprint)
        network.load(checkpoint)
        self._runner.install(servable, network)
        self._states[servable.entry.name] = State(servable.entry, servable, time.time())


def _stamp(path: Path) -> Stamp | None:
    """Return what changes when a file does; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _code(error: OSError) -> str:
    """Return the code for a checkpoint that cannot be opened as an ordinary file."""
    codes = {
        errno.ENOENT: "missing-file",
        errno.EISDIR: "not-a-file",
        errno.EINVAL: "not-regular-file",
    }
    return codes.get(error.errno or 0, "unreadable-file")


@contextmanager
def _copy(path: Path, name: str) -> Iterator[tuple[Path, str]]:
    """Yield a copy of a file that nobody else writes to, and its SHA-256 digest."""
    with tempfile.TemporaryDirectory(prefix="sedna-tinyms-serving-") as directory:
        copy = Path(directory, path.name)
        try:
            with open_ordinary(path) as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target)
        except OSError as error:
            raise ModelFileError(
                f"the checkpoint {name} cannot be read: {error.strerror}",
                code=_code(error),
                path=name,
            ) from error
        digest = hashlib.sha256()
        with copy.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
        yield copy, digest.hexdigest()
