"""NumPy's ``.npz`` archives from anybody: every way in which one can be broken is one error."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["read_npz"]


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an archive by their names; nothing is unpickled.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read: truncated, damaged, too large, or something else.
    """
    try:
        # NumPy leaves a file that it opened itself open where it cannot read it.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise
    except (OSError, EOFError, LookupError, TypeError, AttributeError, MemoryError) as error:
        raise ValueError(str(error)) from error
    except (zipfile.BadZipFile, zlib.error, RuntimeError) as error:  # the last: it is encrypted
        raise ValueError(str(error)) from error
