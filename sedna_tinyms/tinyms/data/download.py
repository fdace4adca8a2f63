"""Public data sets: downloaded, checked, unpacked, and put in place in one step."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sedna_tinyms.artifact.fetch import fetch
from sedna_tinyms.artifact.lock import exclusively
from sedna_tinyms.errors import (
    ConfigurationError,
    DatasetError,
    DownloadError,
    StorageError,
    did_you_mean,
)
from sedna_tinyms.tinyms.data.catalogue import DATASETS, Archive, DatasetSource

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["MIRROR", "download_dataset", "obtain"]

MIRROR = "TINYMS_DATASET_MIRROR"
"""Names the one place to take data sets from: a directory, or the address of one."""


def download_dataset(
    dataset_name: str, local_path: str | os.PathLike[str] = ".", *, mirror: str | None = None
) -> str:
    """Download a public data set, unless it is there already.

    What breaks off is taken up again by the next call. The data set takes its name only when it
    is whole, so an interrupted download is never mistaken for one.

    Parameters
    ----------
    dataset_name : {"mnist", "cifar10", "cifar100", "voc"}
        Which one; ``voc`` is the training and validation set of 2007.
    local_path : path
        Where to make the directory ``<dataset_name>``.
    mirror : str, optional
        Take the archives from this directory, or from below this https address, instead of the
        public servers: ``<mirror>/<archive>`` or ``<mirror>/<dataset_name>/<archive>``. By
        default what the variable ``TINYMS_DATASET_MIRROR`` names, if it is set.

    Returns
    -------
    str
        The directory of the data: ``<local_path>/mnist`` (with ``train`` and ``test``, and the
        training set once more in itself),
        ``.../cifar10/cifar-10-batches-bin``, ``.../cifar100/cifar-100-binary`` or
        ``.../voc/VOCdevkit/VOC2007``.

    Raises
    ------
    ConfigurationError
        If the name is unknown.
    DownloadError
        If no server, or not the mirror, has the right files.
    DatasetError
        If the directory exists, but is not that data set.
    StorageError
        If it cannot be written, or the disk has no room for it.
    """
    source = DATASETS.get(dataset_name)
    if source is None:
        raise ConfigurationError(
            f"unknown data set {dataset_name!r}{did_you_mean(str(dataset_name).lower(), DATASETS)};"
            f" one of {', '.join(DATASETS)}",
            code="unknown-name",
            name="dataset_name",
            value=dataset_name,
            valid=tuple(DATASETS),
        )
    chosen = mirror or os.environ.get(MIRROR)
    target = Path(local_path) / dataset_name
    obtain(source, target, [chosen, f"{chosen}/{dataset_name}"] if chosen else source.mirrors)
    return str(target / source.directory)


def obtain(source: DatasetSource, target: Path, mirrors: Sequence[str]) -> None:
    """Make `target` hold a data set, wholly or not at all; errors as `download_dataset`.

    Parameters
    ----------
    source : DatasetSource
        What to bring.
    target : Path
        The directory to make.
    mirrors : sequence of str
        Directories of this machine, or addresses of directories, that hold the archives.
    """
    if not source.lacking(target):
        return
    work = target.with_name(f".{target.name}.download")
    with exclusively(work / "lock"):
        if source.lacking(target):  # No other process was faster.
            _refuse_to_overwrite(source, target)
            _refuse_full_disk(source, work)
            _unpack_all(source, _bring_all(source, work, mirrors), work, target)
        shutil.rmtree(work)


def _refuse_to_overwrite(source: DatasetSource, target: Path) -> None:
    if target.is_dir() and not any(target.iterdir()):
        return
    if target.exists():
        faults = source.lacking(target)
        raise DatasetError(
            f"{target} exists but is not the whole data set ({'; '.join(faults[:3])}): remove it "
            "to have it downloaded anew, or choose another directory",
            code="conflict",
            path=str(target),
            faults=tuple(faults),
        )


def _refuse_full_disk(source: DatasetSource, work: Path) -> None:
    needed = sum(archive.most_bytes + archive.unpacked_bytes for archive in source.archives)
    free = shutil.disk_usage(work).free
    if free < needed:
        raise StorageError(
            f"{work.parent} has {free >> 20} MiB left, and up to {(needed >> 20) + 1} MiB are "
            "needed to download and unpack this data set",
            code="no-space",
            path=str(work.parent),
            value=free,
            expected=needed,
        )


def _bring_all(source: DatasetSource, work: Path, mirrors: Sequence[str]) -> list[Path]:
    """Return where each archive is: in a mirror's directory, or downloaded to `work`."""
    with _progress_bar() as progress:
        return [_bring(archive, work, mirrors, progress) for archive in source.archives]


def _bring(archive: Archive, work: Path, mirrors: Sequence[str], progress: Progress) -> Path:
    for mirror in mirrors:
        path = Path(mirror.removeprefix("file://"), archive.name).expanduser()
        if path.is_file():
            _check_in_place(archive, path)
            return path
    servers = [mirror.rstrip("/") for mirror in mirrors if "://" in mirror]
    servers = [server for server in servers if not server.startswith("file://")]
    if not servers:
        raise DownloadError(
            f"there is no {archive.name} in {' or '.join(mirrors)}",
            code="missing-file",
            name=archive.name,
            places=tuple(mirrors),
        )
    task = progress.add_task(archive.name, total=None)
    fetch(
        [f"{server}/{archive.name}" for server in servers],
        work / archive.name,
        check=archive.check,
        most_bytes=archive.most_bytes,
        show=lambda done, total: progress.update(task, completed=done, total=total),
    )
    return work / archive.name


def _check_in_place(archive: Archive, path: Path) -> None:
    try:
        archive.check(path)
    except DownloadError as error:
        fields = {**error.fields, "path": str(path)}
        raise DownloadError(f"{path}: {error}", code=error.code, **fields) from error


def _unpack_all(source: DatasetSource, files: Sequence[Path], work: Path, target: Path) -> None:
    fresh = work / "unpacked"
    try:
        shutil.rmtree(fresh, ignore_errors=True)  # What an interrupted call left.
        for archive, path in zip(source.archives, files, strict=True):
            archive.unpack(path, fresh)
        if faults := source.lacking(fresh):
            raise DownloadError(
                f"the archives do not hold the whole data set: {'; '.join(faults)}",
                code="missing-file",
                faults=tuple(faults),
            )
        for link, place in source.links.items():
            (fresh / link).symlink_to(place)
        os.sync()  # Thousands of small files reach the disk together, before the name stands.
        fresh.rename(target)
    except OSError as error:
        raise StorageError(
            f"cannot put the data set in {target}: {error}", code="cannot-write", path=str(target)
        ) from error


@contextmanager
def _progress_bar() -> Iterator[Progress]:
    """Show the downloads on a terminal; keep quiet in a log."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(
        *columns,
        TransferSpeedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        yield progress
