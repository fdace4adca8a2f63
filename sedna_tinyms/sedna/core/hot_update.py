"""Puts a newly deployed model into service while the worker goes on predicting."""

from __future__ import annotations

import os
import stat
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from sedna_tinyms.artifact.json_text import parse_json
from sedna_tinyms.errors import ConfigurationError, ModelFileError, StorageError
from sedna_tinyms.sedna.common.config import Context
from sedna_tinyms.sedna.common.constant import K8sResourceKindStatus
from sedna_tinyms.sedna.common.file_ops import FileOps, read_local
from sedna_tinyms.sedna.common.log import LOGGER

__all__ = ["DEFAULT_PERIOD_SECONDS", "ModelLoadingThread"]

DEFAULT_PERIOD_SECONDS = 60.0
MOST_CONFIG_BYTES = 1 << 20


class _Deployed(NamedTuple):
    """What the config file names."""

    model_path: str
    version: str


class ModelLoadingThread(threading.Thread):
    """Watches the hot-update config file, and loads each model that it announces.

    The file is ``{"model_config": {"model_path": ..., "model_update_time": ...}}``; a new time is
    a new model. The thread ends with the process and outlives every error: whatever could not be
    read or loaded is tried again at the next poll, and until then the old model stays in service.
    Each outcome is reported once for each version.

    Parameters
    ----------
    estimator : backend
        What is asked to `load` the new model.
    callback : callable, optional
        Called with ``task_info=None``, ``status`` (``completed`` or ``failed``) and
        ``kind="deploy"``.
    version : str
        The version in service; the first one that the file names differs and is loaded.
    period : float, optional
        Seconds between two polls; ``MODEL_POLL_PERIOD_SECONDS`` by default.

    Attributes
    ----------
    loaded : int
        How many models were put into service.
    refused : Counter of str
        How many were not, by the kind of error: ``{"ForeignModelError": 1}``.
    reason : str
        Why the last one was refused; empty while the last one is in service.
    """

    def __init__(
        self,
        estimator: Any,
        callback: Callable[..., Any] | None = None,
        version: str = "latest",
        *,
        period: float | None = None,
    ) -> None:
        super().__init__(name="model-hot-update", daemon=True)
        self.backend = estimator
        self.callback = callback
        self.version = version
        self.period = _poll_period() if period is None else period
        self.config_path = Context.get_parameters("MODEL_HOT_UPDATE_CONFIG")
        self.loaded = 0
        self.refused: Counter[str] = Counter()
        self.reason = ""
        self._stopped = threading.Event()
        self._failed_version: str | None = None

    def run(self) -> None:
        """Poll until the process ends or `stop` is called."""
        if not self.config_path:
            LOGGER.error("MODEL_HOT_UPDATE is on, but MODEL_HOT_UPDATE_CONFIG names no file")
            return
        while not self._stopped.wait(self.period):
            try:
                self.poll()
            except Exception:
                LOGGER.exception("hot update: this poll failed; the model in service stays")

    def stop(self) -> None:
        """Let the thread end after the poll that it is at."""
        self._stopped.set()

    def poll(self) -> bool:
        """Look once, and load what is new; True if a new model is in service now."""
        deployed = self._read_config()
        if deployed is None or deployed.version == self.version:
            return False
        with tempfile.TemporaryDirectory(prefix="sedna-hot-update-") as directory:
            try:
                model = _fetch(deployed.model_path, Path(directory))
            except StorageError as error:
                LOGGER.warning("hot update: %s; it is tried again at the next poll", error)
                return False
            if self._read_config() != deployed:
                return False  # The next model arrived meanwhile: the copy may hold parts of it.
            failure = self._load(model, deployed)
        loaded = failure is None
        again = deployed.version == self._failed_version
        self._failed_version = None if loaded else deployed.version
        if loaded:
            self.version = deployed.version
        self._count(failure, again)
        if loaded or not again:
            self._report(loaded)
        return loaded

    def _read_config(self) -> _Deployed | None:
        try:
            entry = parse_json(read_local(self.config_path, MOST_CONFIG_BYTES))["model_config"]
            return _Deployed(str(entry["model_path"]), str(entry["model_update_time"]))
        except StorageError as error:
            LOGGER.debug("hot update: nothing deployed yet: %s", error)
        except (ValueError, TypeError, KeyError) as error:
            LOGGER.warning("hot update: %s cannot be used: %r", self.config_path, error)
        return None

    def _load(self, model: str, deployed: _Deployed) -> Exception | None:
        """Put a model into service, or return why that cannot be done."""
        try:
            if not getattr(self.backend, "reloadable", True):
                raise ModelFileError(
                    "the estimator has no load(model_url=...) to change its model",
                    code="missing-method",
                )
            self.backend.load(model)
        except Exception as error:  # an estimator may fail in any way
            LOGGER.exception(
                "hot update: %r (version %r) cannot be loaded; the model in service stays",
                *deployed,
            )
            return error
        LOGGER.info("hot update: %r (version %r) is in service", *deployed)
        return None

    def _count(self, error: Exception | None, again: bool) -> None:
        self.reason = "" if error is None else str(error)
        if error is None:
            self.loaded += 1
        elif not again:
            self.refused[type(error).__name__] += 1

    def _report(self, loaded: bool) -> None:
        if self.callback is not None:
            status = K8sResourceKindStatus.COMPLETED if loaded else K8sResourceKindStatus.FAILED
            self.callback(task_info=None, status=status.value, kind="deploy")


def _poll_period() -> float:
    given = Context.get_parameters("MODEL_POLL_PERIOD_SECONDS", DEFAULT_PERIOD_SECONDS)
    try:
        seconds = int(given)
    except ValueError:
        raise ConfigurationError(
            f"MODEL_POLL_PERIOD_SECONDS is {given!r}; it must be a whole number of seconds",
            code="not-an-integer",
            name="MODEL_POLL_PERIOD_SECONDS",
            value=given,
        ) from None
    return float(seconds) if seconds >= 1 else DEFAULT_PERIOD_SECONDS


def _fetch(source: str, directory: Path) -> str:
    """Copy the model, under a name with its own suffix, which is how loaders tell formats."""
    before = _state(source)
    target = str(directory / f"model{Path(source).suffix}")
    FileOps.download(source, target)
    if _state(source) != before:
        raise StorageError(f"{source} changed while it was copied", code="in-use", path=source)
    return target


def _state(source: str) -> tuple[int, int] | None:
    """Size and time of a local file, which a controller may be overwriting in place."""
    if FileOps.is_remote(source):
        return None
    try:
        status = os.stat(source.removeprefix("file://"))  # noqa: PTH116 - what was said, as it is
    except (OSError, ValueError) as error:  # a name with NUL, or characters that no name can have
        raise StorageError(
            f"cannot read the model {source!r}: {error}", code="unreadable-file", path=source
        ) from error
    if not stat.S_ISREG(status.st_mode):
        raise StorageError(
            f"the model {source!r} is no file, but a directory or something else",
            code="not-regular-file",
            path=source,
        )
    return status.st_size, status.st_mtime_ns
