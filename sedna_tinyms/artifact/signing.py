"""Ed25519 signatures of model versions: whoever has the private key made them.

What is signed is the manifest, and by its digests every file. Keys are PEM files; the private one
belongs where models are trained, the public one on every device that loads them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sedna_tinyms.artifact.files import write_file
from sedna_tinyms.errors import ConfigurationError, ModelFileError, StorageError, extra

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

__all__ = [
    "PUBLIC_KEY",
    "SIGNING_KEY",
    "check_signature",
    "key_file",
    "make_keys",
    "read_public_key",
    "sign",
]

SIGNING_KEY = "SEDNA_TINYMS_SIGNING_KEY"
PUBLIC_KEY = "SEDNA_TINYMS_PUBLIC_KEY"
"""Environment variables that name key files."""

PREFIX = b"sedna-tinyms model manifest\n"
"""Stands before what is signed, so that a signature of something else is none of a model."""
MOST_KEY_BYTES = 10_000


def key_file(variable: str) -> Path | None:
    """Return the key file that an environment variable names; None if it is not set."""
    name = os.environ.get(variable)
    return Path(name) if name else None


def make_keys(private: Path, public: Path) -> None:
    """Write a new pair of keys; the private one is readable by its owner alone.

    Raises
    ------
    ConfigurationError
        If both paths lead to one file.
    StorageError
        If one of the files exists, or cannot be written.
    MissingExtraError
        If `cryptography` is not installed.
    """
    with extra("signing", "signing models"):
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
            PublicFormat,
        )
    if os.path.realpath(private) == os.path.realpath(public):  # even of links that lead nowhere
        raise ConfigurationError(
            f"{private} and {public} are one file; give the public key a file of its own",
            code="conflict",
            path=private,
        )
    for path in (private, public):
        if path.exists():
            raise StorageError(
                f"{path} exists; a key is not replaced: name another file",
                code="already-exists",
                path=path,
            )
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        handle = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secret)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StorageError(
            f"cannot write the private key {private}: {error}", code="cannot-write", path=private
        ) from error
    with write_file(public) as temporary:
        temporary.write_bytes(
            key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )


def sign(content: bytes, private: Path) -> bytes:
    """Return the signature of a manifest, 64 bytes.

    Raises
    ------
    ConfigurationError
        If the file is no private Ed25519 key.
    MissingExtraError
        If `cryptography` is not installed.
    """
    return _private_key(private).sign(PREFIX + content)


def check_signature(content: bytes, signature: bytes, public: Path, source: str) -> None:
    """Raise `ModelFileError` unless the owner of a key has signed a manifest.

    Raises
    ------
    ConfigurationError
        If the file is no public Ed25519 key.
    MissingExtraError
        If `cryptography` is not installed.
    """
    key = read_public_key(public)
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, PREFIX + content)
    except InvalidSignature:
        raise ModelFileError(
            f"{source} was not signed with the key that belongs to {public}, or was changed since",
            code="wrong-signature",
            path=source,
            key=public,
        ) from None


def _private_key(path: Path) -> Ed25519PrivateKey:
    with extra("signing", "signing models"):
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    content = _key_content(path)
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(
            f"{path} is no private key without a password: {error}", code="invalid-key", path=path
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise _key_of_another_kind(path)
    return key


def read_public_key(path: Path) -> Ed25519PublicKey:
    """Return the key in a PEM file.

    Raises
    ------
    ConfigurationError
        If the file is no public Ed25519 key.
    MissingExtraError
        If `cryptography` is not installed.
    """
    with extra("signing", "checking the signatures of models"):
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    content = _key_content(path)
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(
            f"{path} is no public key: {error}", code="invalid-key", path=path
        ) from None
    if not isinstance(key, Ed25519PublicKey):
        raise _key_of_another_kind(path)
    return key


def _key_of_another_kind(path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"{path} is a key of another kind; an Ed25519 key signs models",
        code="invalid-key",
        path=path,
    )


def _key_content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_KEY_BYTES)
    except OSError as error:
        raise ConfigurationError(
            f"the key {path} cannot be read: {error}",
            code="missing-file" if isinstance(error, FileNotFoundError) else "unreadable-file",
            path=path,
        ) from error
