"""CIFAR's binary files: MindSpore reads whole ones, `read_cifar` those of any size.

A record is one byte for the class, or two for CIFAR-100 (a coarse class and a fine one), then
32 x 32 pixels of red, of green and of blue.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.errors import ConfigurationError, DatasetError
from sedna_tinyms.tinyms.data.catalogue import CIFAR10_BATCH, CIFAR100_RECORD

__all__ = ["read_cifar", "with_checked_files"]

SIZE = 32
LABEL_BYTES = {10: 1, 100: 2}

WHOLE_FILES = {
    "Cifar10Dataset": {
        ("data_batch_*.bin", "train"): CIFAR10_BATCH,
        ("test_batch.bin", "test"): CIFAR10_BATCH,
    },
    "Cifar100Dataset": {
        ("train.bin", "train"): 50_000 * CIFAR100_RECORD,
        ("test.bin", "test"): 10_000 * CIFAR100_RECORD,
    },
}
"""The sizes that MindSpore takes for granted: by dataset, the files' names and usage."""


def read_cifar(
    path: str | os.PathLike[str], classes: int = 10
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Read one binary file of CIFAR, of any number of records.

    ``NumpySlicesDataset(read_cifar(file), ["image", "label"])`` is a dataset of it, which
    `cifar10_transform` takes.

    Parameters
    ----------
    path : path
        The file.
    classes : {10, 100}
        Of CIFAR-10, or of CIFAR-100, whose fine classes are the labels.

    Returns
    -------
    pictures : ndarray of uint8, shape (N, 32, 32, 3)
    labels : ndarray of int32, shape (N,)

    Raises
    ------
    ConfigurationError
        If `classes` is another number.
    DatasetError
        If the file is missing, or does not consist of such records.
    """
    if classes not in LABEL_BYTES:
        raise ConfigurationError(
            f"classes is {classes!r}; CIFAR has 10 or 100",
            code="out-of-range",
            name="classes",
            value=classes,
            valid=tuple(LABEL_BYTES),
        )
    label_bytes = LABEL_BYTES[classes]
    record = label_bytes + 3 * SIZE * SIZE
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DatasetError(
            f"{os.fspath(path)} cannot be read: {error.strerror}",
            code="missing-file" if isinstance(error, FileNotFoundError) else "unreadable-file",
            path=os.fspath(path),
        ) from error
    rows = np.frombuffer(content[: len(content) // record * record], np.uint8)
    labels = rows.reshape(-1, record)[:, label_bytes - 1]
    if not content or len(content) % record or labels.max() >= classes:
        raise DatasetError(
            f"{os.fspath(path)} ({len(content)} bytes) is no file of CIFAR-{classes}: it must "
            f"consist of records of {record} bytes, each with a class below {classes}",
            code="damaged",
            path=os.fspath(path),
        )
    pixels = rows.reshape(-1, record)[:, label_bytes:].reshape(-1, 3, SIZE, SIZE)
    return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)), labels.astype(np.int32)


def with_checked_files(kind: type) -> type:
    """Return one of MindSpore's CIFAR datasets that refuses files which it would not read whole.

    A smaller file is an error in the middle of a training, of a larger one the end is left out.
    """
    build = kind.__init__  # type: ignore[misc]

    @functools.wraps(build)
    def initialize(self: Any, *arguments: Any, **keywords: Any) -> None:
        build(self, *arguments, **keywords)
        _require_whole_files(kind.__name__, Path(self.dataset_dir), self.usage)

    names = {"__init__": initialize, "__module__": kind.__module__, "__doc__": kind.__doc__}
    return type(kind.__name__, (kind,), names)


def _require_whole_files(dataset: str, directory: Path, usage: str) -> None:
    for (pattern, belongs_to), size in WHOLE_FILES[dataset].items():
        for path in sorted(directory.glob(pattern)) if usage in (belongs_to, "all") else ():
            if (found := path.stat().st_size) != size:
                raise DatasetError(
                    f"{path} has {found:,} bytes; MindSpore reads files of {size:,} only. Read it "
                    f'with NumpySlicesDataset(read_cifar("{path}"), ["image", "label"])',
                    code="wrong-length",
                    path=str(path),
                    value=found,
                    expected=size,
                )
