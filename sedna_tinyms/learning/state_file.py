"""A strategy's own numbers, beside the model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.artifact.files import write_file
from sedna_tinyms.artifact.npz import read_npz
from sedna_tinyms.errors import ModelFileError

__all__ = ["read_state", "write_state"]


def write_state(path: str | os.PathLike[str], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays by name, whole or not at all."""
    with write_file(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **arrays)


def read_state(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Read what `write_state` wrote; nothing is unpickled.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged or holds anything but finite numbers.
    """
    try:
        arrays = read_npz(Path(path))
        if all(np.isfinite(array).all() for array in arrays.values()):
            return arrays
        reason: object = "it holds NaN or infinity"
    except (OSError, ValueError, TypeError) as error:  # the last: finite is said of numbers only
        reason = error
    raise ModelFileError(
        f"{path}, which belongs to the model beside it, is damaged or something else ({reason}): "
        "remove it to go on without, or restore it with its model"
    )
