"""What a job keeps of earlier rounds: the rest goes, so that no disk fills up over the months.

Two annotations say how much (see `sedna_tinyms.jobs.manifest.spec.Gates`). They count the model
versions, and by themselves the directories into which train workers saved.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from sedna_tinyms.artifact.store import ModelStore
from sedna_tinyms.errors import StorageError
from sedna_tinyms.jobs.layout import JobLayout
from sedna_tinyms.jobs.manifest.spec import Gates

__all__ = ["retain"]


def retain(gates: Gates, layout: JobLayout, store: ModelStore, in_use: Collection[int]) -> None:
    """Remove the oldest versions and training directories until few enough are left.

    Parameters
    ----------
    gates : Gates
        How many are kept, and how much they may take.
    layout, store
        Where they lie.
    in_use : collection of int
        Rounds whose directories stay whatever they take.

    Raises
    ------
    ModelFileError
        If it cannot be told which version is deployed.
    StorageError
        If something cannot be removed.
    """
    most, most_bytes = int(gates.keep_versions), int(gates.keep_bytes)
    if store.numbers():
        store.retain(most, most_bytes)
    kept = size = 0
    for number in reversed(layout.trained_rounds()):
        directory = layout.model_directory(number)
        kept, size = kept + 1, size + _size(directory)
        if number not in in_use and (kept > most or size > most_bytes):
            _remove(directory)


def _size(directory: Path) -> int:
    try:
        return sum(path.lstat().st_size for path in directory.rglob("*"))
    except OSError as error:
        raise StorageError(f"cannot read {directory}: {error}") from error


def _remove(directory: Path) -> None:
    try:
        shutil.rmtree(directory)
    except OSError as error:
        raise StorageError(f"cannot remove {directory}: {error}") from error
