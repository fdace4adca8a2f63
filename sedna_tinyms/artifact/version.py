"""A model version: a directory that is written whole or not at all, and loaded only if whole.

It holds the weights (``.ckpt``, ``.onnx``), perhaps a replay memory and other files of theirs,
``model.json``, ``manifest.json``, and perhaps the manifest's signature.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sedna_tinyms.artifact.companions import COMPANIONS
from sedna_tinyms.artifact.description import ModelDescription
from sedna_tinyms.artifact.files import READABLE_BY_ALL, flush
from sedna_tinyms.artifact.manifest import (
    FILE_NAME,
    MANIFEST,
    SIGNATURE,
    FileEntry,
    Manifest,
    OpenDirectory,
)
from sedna_tinyms.artifact.signing import check_signature, sign
from sedna_tinyms.errors import ForeignModelError, ModelFileError, StorageError

__all__ = ["WEIGHTS", "ModelVersion", "describe", "is_version", "open_version", "write_version"]

logger = logging.getLogger(__name__)

DESCRIPTION = "model.json"
WEIGHTS = (".ckpt", ".onnx")
"""Suffixes of the files that are looked into."""
OPEN_TO_ALL = 0o755
CHUNK = 1 << 20


@dataclass(frozen=True)
class ModelVersion:
    """A version that was found whole.

    Attributes
    ----------
    directory : Path
        Where it lies.
    description : ModelDescription
        What it is for.
    manifest : Manifest
        Its files.
    digest : str
        SHA-256 of the manifest, and so of everything in the version: its name everywhere.
    signed : bool
        Whether its signature was checked.
    warnings : tuple of str
        What could not be checked.
    """

    directory: Path
    description: ModelDescription
    manifest: Manifest
    digest: str
    signed: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of its files."""
        return sum(entry.size for entry in self.manifest.files)

    def weights(self, suffix: str) -> Path:
        """Return the weights file of a format (``.ckpt``); `ModelFileError` if there is none."""
        names = [each.path for each in self.manifest.files]
        for name in names:
            if name.endswith(suffix) and not name.endswith(COMPANIONS):
                return self.directory / name
        raise ModelFileError(
            f"the model version {self.directory} has no *{suffix}; it has {', '.join(names)}",
            code="missing-file",
            path=self.directory,
            suffix=suffix,
            valid=names,
        )


def is_version(directory: Path) -> bool:
    """Tell whether a directory says that it is a model version; not whether it is a good one."""
    return all((directory / name).is_file() for name in (MANIFEST, DESCRIPTION))


def open_version(
    directory: Path,
    *,
    public_key: Path | None = None,
    architecture: str | None = None,
    class_names: Sequence[str] | None = None,
) -> ModelVersion:
    """Check a model version, byte for byte.

    Looked at without MindSpore: that the files are those of the manifest, none more, none linked;
    of the weights, that they can be read to the end, hold no NaN or infinity, and say the same of
    themselves as ``model.json``. Nothing is unpickled, no file elsewhere is read.

    Parameters
    ----------
    directory : Path
        The version. One without a manifest, as a plain Sedna job leaves it with a single model,
        is taken with a warning.
    public_key : Path, optional
        Refuse what its owner has not signed.
    architecture, class_names : optional
        Refuse what is not for this network and these classes.

    Raises
    ------
    ModelFileError
        If it is not whole, or not signed.
    ForeignModelError
        If it is for something else.
    """
    version = _open(directory, public_key)
    version.description.require(str(directory), architecture=architecture, class_names=class_names)
    for warning in version.warnings:
        logger.warning("%s: %s", directory, warning)
    return version


def describe(
    files: Mapping[str, Path], *, successor_of: ModelDescription | None = None
) -> ModelDescription:
    """Return what weights files say about themselves.

    Parameters
    ----------
    files : mapping
        Paths by their name in a version.
    successor_of : ModelDescription, optional
        The model that they were trained from. Where that is of a known network, weights of a
        format that is not are refused.

    Raises
    ------
    ModelFileError
        If one cannot be opened, is empty or cut short, holds NaN, or they contradict each other.
    """
    description = ModelDescription()
    for name, path in files.items():
        if name.endswith(WEIGHTS):
            try:
                content = path.read_bytes()
            except OSError as error:
                missing = isinstance(error, FileNotFoundError)
                raise ModelFileError(
                    f"the model file {path} cannot be read: {error}",
                    code="missing-file" if missing else "unreadable-file",
                    path=path,
                ) from error
            own, warning = _look_into(content, str(path))
            if own is None and successor_of is not None and successor_of.architecture is not None:
                raise ModelFileError(
                    f"{path} cannot be taken for a {successor_of.architecture}, as the model that "
                    f"it was trained from is: {warning}",
                    code="unknown-format",
                    path=path,
                    expected=successor_of.architecture,
                )
            if own is None or own.architecture is None:
                continue
            if description.architecture is not None:
                description.require_words(own.words(), str(path))
            description = own
    return description


def write_version(
    target: Path,
    files: Mapping[str, Path],
    description: ModelDescription,
    *,
    signing_key: Path | None = None,
) -> ModelVersion:
    """Make a model version; it is there as a whole or not at all.

    Everything is copied into a hidden directory beside, reaches the disk, is checked there as a
    loader would, and takes its name in one rename.

    Parameters
    ----------
    target : Path
        The directory, which must not exist. One call at a time for each.
    files : mapping
        What to copy, by the name in the version.
    description : ModelDescription
        Becomes ``model.json``.
    signing_key : Path, optional
        Private key to sign with.

    Raises
    ------
    ModelFileError
        If the weights are refused, as `open_version` would.
    StorageError
        If something cannot be written.
    """
    _require_names(files)
    partial = target.with_name(f".{target.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        partial.chmod(OPEN_TO_ALL)
        entries = [_copy(source, partial / name) for name, source in files.items()]
        entries.append(_write(partial / DESCRIPTION, description.as_json().encode()))
        manifest = Manifest(tuple(sorted(entries, key=lambda each: each.path)))
        text = manifest.as_json().encode()
        _write(partial / MANIFEST, text)
        if signing_key is not None:
            _write(partial / SIGNATURE, sign(text, signing_key))
        flush(partial)
        version = _open(partial, called=target)
        if target.exists():
            raise StorageError(
                f"there is a {target} already; a version is never replaced",
                code="already-exists",
                path=target,
            )
        partial.rename(target)
        flush(target.parent)
    except OSError as error:
        raise StorageError(
            f"cannot write the model version {target}: {error}",
            code="no-space" if error.errno == errno.ENOSPC else "cannot-write",
            path=target,
        ) from error
    finally:
        with suppress(OSError):
            shutil.rmtree(partial)
    return version


def _open(
    directory: Path, public_key: Path | None = None, *, called: Path | None = None
) -> ModelVersion:
    with OpenDirectory.at(directory, called) as opened:
        names = opened.names()
        if MANIFEST in names:
            return _check(opened, names, public_key)
        if public_key is not None:
            raise ModelFileError(
                f"{directory} has no manifest, so nobody has signed it",
                code="unsigned",
                path=directory,
                key=public_key,
            )
        if left := {DESCRIPTION, SIGNATURE}.intersection(names):
            raise ModelFileError(
                f"the model version {directory} is not what was published:\n"
                f"  {MANIFEST} is missing, and {', '.join(sorted(left))} is there",
                code="missing-file",
                path=directory / MANIFEST,
            )
        return _take_plain(opened, names)


def _check(opened: OpenDirectory, names: Sequence[str], public_key: Path | None) -> ModelVersion:
    text = opened.read(MANIFEST)
    if public_key is not None:
        if SIGNATURE not in names:
            raise ModelFileError(
                f"{opened.path} is not signed, and {public_key} asks for that",
                code="unsigned",
                path=opened.path,
                key=public_key,
            )
        check_signature(text, opened.read(SIGNATURE), public_key, str(opened.path))
    manifest = Manifest.from_json(text, str(opened.path / MANIFEST))
    manifest.require_names(names, str(opened.path))
    described = opened.read_checked(manifest.entry(DESCRIPTION), keep=True)
    description = ModelDescription.from_json(described, str(opened.path / DESCRIPTION))
    warnings = []
    for entry in manifest.files:
        is_weights = entry.path.endswith(WEIGHTS)
        content = opened.read_checked(entry, keep=is_weights)
        if is_weights:
            warnings += _compare(content, str(opened.path / entry.path), description)
    digest = hashlib.sha256(text).hexdigest()
    return ModelVersion(
        opened.path, description, manifest, digest, public_key is not None, tuple(warnings)
    )


def _take_plain(opened: OpenDirectory, names: Sequence[str]) -> ModelVersion:
    """Make a version of a directory with one model, as Sedna's own libraries leave it."""
    models = [name for name in names if name.endswith(WEIGHTS) and FILE_NAME.fullmatch(name)]
    stems = {PurePosixPath(name).stem for name in models}
    if len(stems) != 1:
        raise ModelFileError(
            f"{opened.path} has no {MANIFEST} and holds {len(stems)} models "
            f"({', '.join(models) or 'none'}): it is no model version",
            code="ambiguous" if stems else "missing-file",
            path=opened.path,
            valid=models,
        )
    stem = stems.pop()
    beside = [f"{stem}{suffix}" for suffix in COMPANIONS if f"{stem}{suffix}" in names]
    entries, description = [], ModelDescription()
    warnings = [f"there is no {MANIFEST}: nobody knows whether this is what was written"]
    for name in models + beside:
        content = opened.read(name, most_bytes=1 << 40)
        entries.append(FileEntry(name, len(content), hashlib.sha256(content).hexdigest()))
        if name in models:
            own, warning = _look_into(content, str(opened.path / name))
            warnings += [warning] if warning else []
            description = own or description
    manifest = Manifest(tuple(entries))
    digest = hashlib.sha256(manifest.as_json().encode()).hexdigest()
    return ModelVersion(opened.path, description, manifest, digest, False, tuple(warnings))


def _compare(content: bytes, name: str, description: ModelDescription) -> list[str]:
    """Make sure that weights are for what the version says; return what cannot be told."""
    own, warning = _look_into(content, name)
    if own is None and description.architecture is not None:
        raise ModelFileError(f"{name} cannot be read: {warning}", code="unknown-format", path=name)
    if own is not None and description.architecture is not None:
        try:
            description.require_words(own.words(), DESCRIPTION)
        except ForeignModelError as error:
            raise ForeignModelError(
                f"{name} is for something else: {error}",
                code=error.code,
                **{**error.fields, "path": name},
            ) from None
    return [warning] if warning else []


def _look_into(content: bytes, name: str) -> tuple[ModelDescription | None, str]:
    """Return what weights say, None if they cannot be read; and what is to be warned of.

    Checkpoints of a user's own network may be in any format, and say nothing. What begins as one
    that is known, and what is called ``.onnx``, is whole or refused.
    """
    # With NumPy, which a runner's --help does without.
    from sedna_tinyms.artifact.weights_content import read_content, require_finite, require_whole

    file = PurePosixPath(name).name
    try:
        found = read_content(content, file)
    except ModelFileError as error:
        require_whole(content, name)
        return None, f"the weights were not looked at: {error}"
    require_finite(found.arrays, name)
    own = ModelDescription.from_metadata(found.metadata, name)
    if own.architecture is None:
        return own, f"{file} does not say for which network it is"
    return own, ""


def _require_names(files: Mapping[str, Path]) -> None:
    for name in files:
        if not FILE_NAME.fullmatch(name) or name in (MANIFEST, SIGNATURE, DESCRIPTION):
            raise ModelFileError(
                f"a file of a model version cannot be called {name!r:.140}",
                code="invalid-value",
                name=name,
            )
    if not files:
        raise ModelFileError("a model version without any file is none", code="empty")


def _copy(source: Path, target: Path) -> FileEntry:
    """Copy a file to the disk itself, and return what was copied."""
    if not source.is_file():
        raise ModelFileError(
            f"the model file {source} does not exist, or is no file",
            code="not-a-file" if source.exists() else "missing-file",
            path=source,
        )
    digest, size = hashlib.sha256(), 0
    with source.open("rb", buffering=0) as content:
        handle = _create(target)
        try:
            while chunk := content.read(CHUNK):
                _write_all(handle, chunk)
                digest.update(chunk)
                size += len(chunk)
            os.fsync(handle)
        finally:
            os.close(handle)
    return FileEntry(target.name, size, digest.hexdigest())


def _write(target: Path, content: bytes) -> FileEntry:
    handle = _create(target)
    try:
        _write_all(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)
    return FileEntry(target.name, len(content), hashlib.sha256(content).hexdigest())


def _create(target: Path) -> int:
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, READABLE_BY_ALL)
    os.chmod(handle, READABLE_BY_ALL)  # noqa: PTH101 (whatever the umask; a handle has no chmod)
    return handle


def _write_all(handle: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(handle, left) :]
