"""A signature that travels inside an ONNX file.

A deployed model is one file, which Sedna's controller copies to the edge by itself: there is no
second one for a signature. But an ONNX file is a protobuf message, to which an entry of
``metadata_props`` can be appended as bytes. The signature is that entry, the last of the file; it
is of the SHA-256 of all before it. Every reader of ONNX takes the file as before.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from pathlib import Path

from sedna_tinyms.artifact.files import write_file
from sedna_tinyms.artifact.signing import SIGNING_KEY, check_signature, sign
from sedna_tinyms.errors import ConfigurationError, ModelFileError

__all__ = ["REQUIRE_SIGNED", "require_signed_file", "sign_file"]

REQUIRE_SIGNED = "SEDNA_TINYMS_REQUIRE_SIGNED"
"""Environment variable: if set, not even a single file is loaded without a signature."""

SUFFIX = ".onnx"
KEY = b"sedna-tinyms.signature"
LENGTH = 88
"""Of 64 bytes in base64."""
ENTRY = b"\x0a" + bytes([len(KEY)]) + KEY + b"\x12" + bytes([LENGTH])
HEAD = b"\x72" + bytes([len(ENTRY) + LENGTH]) + ENTRY
"""Field 14 of ModelProto with its length, and in it the key and the length of the value."""


def sign_file(path: str | os.PathLike[str], private: Path) -> None:
    """Put a signature into an ONNX file, in the place of the one that it may have.

    Raises
    ------
    ConfigurationError
        If the file is not called ``*.onnx``, or the key is none.
    ModelFileError
        If it cannot be read to its end, or is no model.
    StorageError
        If it cannot be written.
    """
    from sedna_tinyms.artifact.weights_content import require_whole  # with NumPy

    if Path(path).suffix != SUFFIX:
        raise ConfigurationError(
            f"{os.fspath(path)} is no {SUFFIX} file; a checkpoint is signed as part of a version",
            code="unknown-format",
            path=path,
        )
    content, _ = _parted(_read(path))
    require_whole(content, os.fspath(path))
    signature = base64.b64encode(sign(_statement(content), private))
    with write_file(path) as temporary:
        temporary.write_bytes(content + HEAD + signature)


def require_signed_file(path: str | os.PathLike[str], public: Path, called: str = "") -> None:
    """Raise `ModelFileError` unless the owner of a key has signed an ONNX file as it is.

    Parameters
    ----------
    path : path
        The file.
    public : Path
        The owner's public key.
    called : str
        What messages call the file; its path by default.
    """
    source = called or os.fspath(path)
    content, signature = _parted(_read(path))
    if signature is None:
        raise ModelFileError(
            f"{source} has no signature, and that of the owner of {public} is asked for: let the "
            f"worker that trains have {SIGNING_KEY}, or sign it with sedna-tinyms model sign",
            code="unsigned",
            path=path,
            key=public,
        )
    check_signature(_statement(content), signature, public, source)


def _statement(content: bytes) -> bytes:
    """Return what is signed; no manifest, which is JSON, begins like that."""
    return b"file of SHA-256 " + hashlib.sha256(content).hexdigest().encode()


def _parted(content: bytes) -> tuple[bytes, bytes | None]:
    """Part a file into what is signed and the signature, None if it has none."""
    start = len(content) - len(HEAD) - LENGTH
    if start < 0 or content[start : start + len(HEAD)] != HEAD:
        return content, None
    try:
        return content[:start], base64.b64decode(content[-LENGTH:], validate=True)
    except binascii.Error:
        return content, None


def _read(path: str | os.PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ModelFileError(
            f"the model file {os.fspath(path)} cannot be read: {error}",
            code="missing-file" if isinstance(error, FileNotFoundError) else "unreadable-file",
            path=path,
        ) from error
