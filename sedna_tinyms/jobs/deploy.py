"""Puts a new model in the place of the one in service, cold or hot, or leaves all as it was.

Cold: the deploy model's file is replaced and the inference worker starts anew. Hot: the model is
also laid into the job's hot-update directory, where ``model_config.json`` tells the running
worker of it. Every file is replaced in one rename, the model before the config that names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path

from sedna_tinyms.artifact.files import copy_file, remove_file, remove_leftovers, write_json
from sedna_tinyms.errors import StorageError
from sedna_tinyms.jobs.layout import HOT_UPDATE_LOCK
from sedna_tinyms.jobs.manifest.spec import Job

__all__ = ["HotUpdate", "ModelReplacement", "hot_update_seconds", "settle"]

LOADING_SECONDS = 120.0
"""How long loading a model may take an inference worker."""


def hot_update_seconds(job: Job) -> float:
    """Return how long a hot update may take where nothing else is said."""
    return job.spec.deploy_model.poll_period_seconds + LOADING_SECONDS


class ModelReplacement:
    """Replaces model files and can undo it.

    The old files stay beside the new ones, under ``.<name>.replaced``, until `done`: undoing is a
    rename then, which needs no space on a full disk, and possible for a later process too (see
    `settle`).

    Parameters
    ----------
    sources : mapping
        The new model's file for each file to be replaced.
    """

    def __init__(self, sources: Mapping[Path, Path]) -> None:
        self._sources = dict(sources)
        self._kept: dict[Path, Path | None] = {}

    def apply(self) -> None:
        """Replace every file.

        Raises
        ------
        StorageError
            If one cannot be; those before it are put back then.
        """
        try:
            for target, source in self._sources.items():
                if not source.is_file():
                    raise StorageError(
                        f"there is no model file {source} to deploy",
                        code="missing-file",
                        path=source,
                    )
                self._kept[target] = _keep(target)
                copy_file(source, target)
        except BaseException:
            self.undo()
            raise

    def undo(self) -> None:
        """Put back what was replaced; `StorageError` if that cannot be."""
        for target, kept in self._kept.items():
            if kept is None:
                remove_file(target)
            else:
                _put_back(kept, target)
        self._kept.clear()

    def done(self) -> None:
        """Forget the old files; `StorageError` if one cannot be removed."""
        for kept in self._kept.values():
            if kept is not None:
                remove_file(kept)
        self._kept.clear()


def settle(targets: Iterable[Path], *, undo: bool) -> None:
    """Clear up after a replacement whose process was killed: undo it, or make it final.

    Raises
    ------
    StorageError
        If a file cannot be put back or removed.
    """
    for target in targets:
        kept = _kept_name(target)
        if undo and kept.exists():
            _put_back(kept, target)
        remove_file(kept)
        for path in (target, kept):
            remove_leftovers(path)


def _put_back(kept: Path, target: Path) -> None:
    try:
        kept.replace(target)
    except OSError as error:
        raise StorageError(
            f"cannot put the model {target} back from {kept}: {error}",
            code="cannot-write",
            path=target,
        ) from error


def _keep(target: Path) -> Path | None:
    if not target.exists():
        return None
    kept = _kept_name(target)
    copy_file(target, kept)
    return kept


def _kept_name(target: Path) -> Path:
    return target.with_name(f".{target.name}.replaced")


class HotUpdate:
    """The directory in which the hot-update thread of an inference worker looks for news.

    The config names the model and a time, which is the thread's version of it::

        {"model_config": {"model_path": ..., "model_update_time": "20261120T100717.828253Z"}}

    Sedna writes the time as Go prints it, with spaces and a plus sign, and the worker library
    makes a file name of it; and it overwrites one model file in place. Here the time is fit for a
    file name, and every version has a file of its own.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "model_config.json"

    def lay_down(self, model: Path, name: int | str) -> Path:
        """Copy a model, named by its round or version, into the directory; nobody is told yet."""
        version = self.directory / f"{model.stem}.{name}{model.suffix}"
        copy_file(model, version)
        return version

    def announce(self, version: Path) -> None:
        """Tell the worker of a model that was laid down."""
        time = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
        config = {"model_path": str(version), "model_update_time": time}
        write_json(self.config, {"model_config": config})

    def withdraw(self) -> None:
        """Take the announcement back: what starts or looks from now on finds none.

        Raises
        ------
        StorageError
            If it cannot be removed.
        """
        remove_file(self.config)

    def tidy(self, version: Path) -> None:
        """Remove every model but the one in service; directories are none.

        Raises
        ------
        StorageError
            If one cannot be removed.
        """
        kept = (version, self.config, self.directory / HOT_UPDATE_LOCK)
        for path in self.directory.iterdir():
            if path.is_file() and path not in kept:
                remove_file(path)
