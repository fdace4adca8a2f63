"""What a job keeps of earlier rounds: the rest goes, so that no disk fills up over the months.

Two annotations say how much (see `sedna_tinyms.jobs.manifest.spec.Gates`). They count the model
versions, and by themselves the rounds, with what each trained on and saved, and its logs.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

from sedna_tinyms.artifact.store import ModelStore
from sedna_tinyms.errors import StorageError
from sedna_tinyms.jobs.accuracy import ROUNDS_AT_MOST
from sedna_tinyms.jobs.layout import JobLayout
from sedna_tinyms.jobs.manifest.spec import Gates

__all__ = ["retain"]


def retain(gates: Gates, layout: JobLayout, store: ModelStore, in_use: Collection[int]) -> None:
    """Remove the oldest versions, and the files of the oldest rounds, until few enough are left.

    Parameters
    ----------
    gates : Gates
        How many are kept, and how much they may take.
    layout, store
        Where they lie.
    in_use : collection of int
        Rounds whose files stay whatever they take.

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
    for number in reversed(layout.rounds()):
        files = layout.files_of(number)
        kept, size = kept + 1, size + sum(map(_size, files))
        if number not in in_use and (kept > most or size > most_bytes):
            _remove(files)
    # The accuracy matrix reads the evaluations of so many rounds.
    for number in layout.evaluated_rounds()[: -max(most, ROUNDS_AT_MOST)]:
        _remove([layout.eval_samples(number).parent, layout.eval_results(number).parent])


def _size(path: Path) -> int:
    try:
        return sum(each.lstat().st_size for each in (path, *path.rglob("*")) if not each.is_dir())
    except OSError as error:
        raise StorageError(
            f"cannot read {path}: {error}", code="unreadable-file", path=path
        ) from error


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"cannot remove {path}: {error}", code="cannot-write", path=path
            ) from error
