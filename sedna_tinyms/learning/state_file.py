"""A strategy's own numbers, beside the model (`sedna_tinyms.artifact.companions`)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.artifact.files import write_file
from sedna_tinyms.artifact.format_version import require_version
from sedna_tinyms.artifact.npz import read_npz
from sedna_tinyms.errors import ModelFileError

__all__ = ["read_state", "write_state"]

FORMAT_VERSION = 1
OWNER, VERSION = "strategy", "format_version"
"""The entries that are no arrays of the strategy's: its name; absent in the first files."""


def write_state(
    path: str | os.PathLike[str], strategy: str, arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write a strategy's arrays by name, whole or not at all; `StorageError` if that fails."""
    with write_file(path) as temporary, temporary.open("wb") as stream:
        said = {OWNER: np.array(strategy), VERSION: np.array(FORMAT_VERSION)}
        np.savez(stream, **said, **arrays)


def read_state(path: str | os.PathLike[str], strategy: str) -> dict[str, NDArray[Any]]:
    """Read what `write_state` wrote; nothing is unpickled.

    Returns
    -------
    dict of str to ndarray
        The arrays; none, if the file is another strategy's.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged, a newer release's, or holds anything but finite numbers.
    """
    try:
        arrays = read_npz(Path(path))
        version = arrays.pop(VERSION, np.array(FORMAT_VERSION)).tolist()
        require_version(ModelFileError, "the strategy's file", path, version, (FORMAT_VERSION,))
        owner = arrays.pop(OWNER, None)
        if owner is None:
            reason: object = "it names no strategy"
        elif not all(np.isfinite(array).all() for array in arrays.values()):
            reason = "it holds NaN or infinity"
        else:
            return arrays if str(owner) == strategy else {}
    except (OSError, ValueError, TypeError) as error:  # the last: finite is said of numbers only
        reason = error
    raise ModelFileError(
        f"{path}, which belongs to the model beside it, is damaged or something else ({reason}): "
        "remove it to go on without, or restore it with its model",
        code="missing-file" if isinstance(reason, FileNotFoundError) else "damaged",
        path=str(path),
    )
