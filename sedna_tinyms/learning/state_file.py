"""A strategy's own numbers, beside the model."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.artifact.files import write_file
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
        # NumPy leaves a file that it opened itself open where it cannot read it.
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        if all(np.isfinite(array).all() for array in arrays.values()):
            return arrays
        reason: object = "it holds NaN or infinity"
    except (OSError, ValueError, EOFError, KeyError, TypeError, MemoryError) as error:
        reason = error
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, AttributeError) as error:
        reason = error
    raise ModelFileError(
        f"{path}, which belongs to the model beside it, is damaged or something else ({reason}): "
        "remove it to go on without, or restore it with its model"
    )
