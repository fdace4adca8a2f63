"""The file of a replay memory: an ``.npz`` that is whole, unchanged, and holds no pickles.

Version 3 knows each sample by the digest of its picture. Version 2 had no digests. Version 1 held
pixels only and had no ``space``; its limit of a cell that had turned nothing away was 1. Its
checksum, and that of the first files of version 2, was a SHA-256. All are read, and written anew as
version 3.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.artifact.files import write_file
from sedna_tinyms.artifact.format_version import require_version
from sedna_tinyms.artifact.npz import read_npz
from sedna_tinyms.errors import ModelFileError

__all__ = ["CELLS", "DIGEST", "read_arrays", "write_arrays"]

FORMAT_VERSION = 3
READABLE = (1, 2, FORMAT_VERSION)
SPACE_OF_VERSION_1 = "pixels"
LISTED = ("items", "labels", "domains", "ranks", "digests")
"""Arrays with an entry a sample."""
CELLS = ("cell_labels", "cell_domains", "cell_limits", "cell_seen")
"""Arrays with an entry a cell."""
KINDS = dict(
    zip((*LISTED, *CELLS), ("biufc", "U", "U", "f", "S", "U", "U", "f", "iu"), strict=True)
)
WITHOUT_DIGESTS = tuple(name for name in KINDS if name != "digests")
"""The arrays of the versions before 3."""
DIGEST = "S64"
"""NumPy's type of a SHA-256 in hexadecimal digits; empty where it is not known."""


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write the arrays of a memory, whole or not at all.

    Parameters
    ----------
    path : path
        The file.
    arrays : mapping of str to ndarray
        Those of `LISTED` and `CELLS`, and `space`.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    complete = {
        **arrays,
        "version": np.array(FORMAT_VERSION),
        "checksum": np.array(_checksum(arrays)),
    }
    with write_file(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **complete)


def read_arrays(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Read what `write_arrays` wrote, now or in an earlier release, and check it.

    Returns
    -------
    dict of str to ndarray
        The arrays as `write_arrays` takes them today.

    Raises
    ------
    ModelFileError
        If the file is missing, truncated, damaged, no replay memory, or a newer release's.
    """
    path = Path(path)
    try:
        arrays = read_npz(path)
    except FileNotFoundError:
        raise ModelFileError(
            f"the replay memory {path} does not exist", code="missing-file", path=str(path)
        ) from None
    except ValueError as error:
        raise _broken(path, error) from error
    found = arrays["version"].tolist() if "version" in arrays else FORMAT_VERSION
    require_version(ModelFileError, "the replay memory", path, found, READABLE)
    if found == 1:
        arrays.setdefault("space", np.array(SPACE_OF_VERSION_1))
    if found < 3 and "ranks" in arrays:
        arrays["digests"] = np.zeros(arrays["ranks"].shape[:1], DIGEST)
    missing = [name for name in (*KINDS, "space", "version", "checksum") if name not in arrays]
    if missing:
        raise _broken(path, f"it has no {missing[0]!r}")
    _require_agreement(path, arrays)
    if found == 1 or arrays["checksum"].dtype.kind == "U":
        return _of_earlier_release(path, arrays)
    names = KINDS if found == FORMAT_VERSION else WITHOUT_DIGESTS
    if arrays["checksum"].tolist() != _checksum(arrays, names):
        raise _broken(path, "its checksum is wrong")
    return arrays


def _of_earlier_release(path: Path, arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Check the arrays of a file with a SHA-256, and return them as they are written today."""
    names = sorted(WITHOUT_DIGESTS)
    if arrays["version"].tolist() != 1:
        names.insert(0, "space")
    digest = hashlib.sha256()
    for name in names:
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode() + array.tobytes())
    if str(arrays["checksum"]) != digest.hexdigest():
        raise _broken(path, "its checksum is wrong")
    limits = arrays["cell_limits"]
    return arrays | {"cell_limits": np.where(limits < 1, limits, np.inf)}


def _require_agreement(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    if arrays["space"].dtype.kind != "U":
        raise _broken(path, f"'space' is {arrays['space'].dtype}")
    for name, kinds in KINDS.items():
        length = len(arrays["ranks" if name in LISTED else "cell_seen"])
        if arrays[name].dtype.kind not in kinds or arrays[name].shape[:1] != (length,):
            raise _broken(path, f"{name!r} is {arrays[name].dtype} {arrays[name].shape}")
    samples = zip(arrays["labels"].tolist(), arrays["domains"].tolist(), strict=True)
    cells = zip(arrays["cell_labels"].tolist(), arrays["cell_domains"].tolist(), strict=True)
    if not set(samples) <= set(cells):
        raise _broken(path, "its samples and its classes do not agree")


def _checksum(arrays: Mapping[str, NDArray[Any]], names: Iterable[str] = KINDS) -> int:
    """Return a CRC-32 of all arrays, which those of the zip's members do not hold together."""
    checksum = 0
    for name in ("space", *sorted(names)):
        array = np.ascontiguousarray(arrays[name])
        checksum = zlib.crc32(f"{name} {array.dtype.str} {array.shape} ".encode(), checksum)
        checksum = zlib.crc32(array.reshape(-1).view(np.uint8).data, checksum)
    return checksum


def _broken(path: Path, reason: object, code: str = "damaged") -> ModelFileError:
    return ModelFileError(
        f"the replay memory {path} is truncated, damaged or something else ({reason}): remove it "
        "to go on without the earlier rounds' samples, or restore it with its model",
        code=code,
        path=str(path),
    )
