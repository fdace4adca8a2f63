"""Files that grow by one whole line at a time, and survive a crash in the middle of one."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from sedna_tinyms.errors import StorageError

__all__ = ["append_line", "drop_cut_line"]

logger = logging.getLogger(__name__)


def append_line(path: Path, line: str) -> None:
    """Append a line in one write, so that a reader or another writer never sees a part of it.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    data = (line + "\n").encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            written = os.write(handle, data)
        finally:
            os.close(handle)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error}", code="cannot-write", path=str(path)
        ) from error
    if written < len(data):
        raise StorageError(
            f"cannot write {path}: the disk took {written} of {len(data)} bytes",
            code="no-space",
            path=str(path),
        )


def drop_cut_line(path: Path) -> None:
    """Remove a last line without its end, which a crash left behind.

    Raises
    ------
    StorageError
        If the file cannot be changed.
    """
    try:
        content = path.read_bytes() if path.exists() else b""
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            logger.warning("%s: dropped a last line that was cut off", path)
            os.truncate(path, whole)
    except OSError as error:
        raise StorageError(
            f"cannot mend {path}: {error}", code="cannot-write", path=str(path)
        ) from error
