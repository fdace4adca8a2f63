"""What OpenVINO made of a model, kept on disk: the next time it opens in half the time.

OpenVINO has such a cache of its own, but takes damaged files for whole ones, and computes something
else then; and it grows without end. Here each file has a checksum and belongs to the user, and the
least recently used ones make room. A cache never fails an engine: it compiles the model instead.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import struct
import time
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sedna_tinyms.artifact.files import write_file
from sedna_tinyms.engine.choice import cache_directory
from sedna_tinyms.engine.cpu import processor
from sedna_tinyms.errors import StorageError

if TYPE_CHECKING:
    import openvino

__all__ = ["compiled_model"]

logger = logging.getLogger(__name__)

MOST_BYTES = 128 << 20
"""Of all files together: a dozen times MobileNetV2."""
SUFFIX = ".compiled"
CHECKSUM = struct.Struct("<I")
"""CRC-32 of the rest of the file."""


def compiled_model(
    core: openvino.Core, content: bytes, options: Mapping[str, Any], version: str
) -> openvino.CompiledModel:
    """Return an ONNX file's content as OpenVINO runs it, compiled now or earlier.

    Raises
    ------
    RuntimeError
        If OpenVINO cannot load it.
    """
    question = json.dumps([dict(options), version, processor()]).encode()
    name = hashlib.sha256(hashlib.sha256(content).digest() + question).hexdigest()[:32]
    path = cache_directory("compiled") / f"{name}{SUFFIX}"
    kept = _kept(path)
    if kept is not None:
        try:
            return core.import_model(kept, "CPU", dict(options))
        except RuntimeError as error:
            logger.warning("%s cannot be used (%s); the model is compiled again", path, error)
    compiled = core.compile_model(core.read_model(io.BytesIO(content)), "CPU", dict(options))
    _keep(path, compiled)
    return compiled


def _kept(path: Path) -> bytes | None:
    """Return what was kept, if it is whole, and nobody else can have put it there."""
    try:
        with path.open("rb") as stream:
            mine = os.fstat(stream.fileno()).st_uid == os.geteuid()
            checksum, content = stream.read(CHECKSUM.size), stream.read()
    except OSError:
        return None
    if not mine or checksum != CHECKSUM.pack(zlib.crc32(content)):
        logger.warning("%s is damaged or another user's; the model is compiled again", path)
        return None
    now = time.time_ns()  # the kernel's own stamp may lag milliseconds behind
    with suppress(OSError):
        os.utime(path, ns=(now, now))
    return content


def _keep(path: Path, compiled: openvino.CompiledModel) -> None:
    """Write what was compiled, after the least recently used files have made room for it."""
    try:
        exported = io.BytesIO()
        compiled.export_model(exported)
        content = exported.getbuffer()
        size = CHECKSUM.size + len(content)
        if size > MOST_BYTES:
            return
        _make_room(path.parent, size)
        with write_file(path) as temporary, temporary.open("wb") as stream:
            stream.write(CHECKSUM.pack(zlib.crc32(content)))
            stream.write(content)
    except (OSError, StorageError, RuntimeError) as error:
        logger.info("the model will be compiled again next time: %s", error)


def _make_room(directory: Path, needed: int) -> None:
    files = []
    for path in directory.glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError):  # another process makes room too
            found = path.stat()
            files.append((found.st_mtime_ns, found.st_size, path))
    total = sum(size for _, size, _ in files) + needed
    for _, size, path in sorted(files):
        if total <= MOST_BYTES:
            return
        path.unlink(missing_ok=True)
        total -= size
