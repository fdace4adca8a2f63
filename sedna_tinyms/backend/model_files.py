"""Model files, wherever a URL points: found, fetched, put into place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from sedna_tinyms.artifact.companions import COMPANIONS
from sedna_tinyms.artifact.files import copy_file, remove_file
from sedna_tinyms.artifact.remote import file_system, is_remote
from sedna_tinyms.artifact.signed_file import REQUIRE_SIGNED, require_signed_file, sign_file
from sedna_tinyms.artifact.signing import PUBLIC_KEY, SIGNING_KEY, key_file
from sedna_tinyms.artifact.version import is_version, open_version
from sedna_tinyms.errors import (
    ConfigurationError,
    MissingExtraError,
    ModelFileError,
    StorageError,
)

__all__ = ["exists", "find_model", "local_path", "named_model", "publish"]

SIBLINGS = (".onnx", *COMPANIONS)
"""What belongs to a model file of the same stem, and must not outlive it."""


def local_path(url: str) -> Path:
    """Return the path of a local url, with or without ``file://``."""
    return Path(url.removeprefix("file://"))


def exists(url: str) -> bool:
    """Tell whether there is a file at `url`; False also where that cannot be found out."""
    if not is_remote(url):
        return local_path(url).is_file()
    try:
        with file_system(url) as (files, path):
            return bool(files.isfile(path))
    except (StorageError, MissingExtraError):
        return False


@contextmanager
def named_model(
    url: str, name: str, suffixes: Sequence[str], *, with_companions: bool = False
) -> Iterator[Path]:
    """Yield the model at `url` as a local file whose name tells its format.

    Parameters
    ----------
    url : str
        A file; a directory that holds `name`, or just one model; or a remote file.
    name : str
        The model's name, used where `url` is a directory.
    suffixes : sequence of str
        What a model's name may end in. A file of another name gets the first of them.
    with_companions : bool
        Whether what the next round needs of a model that is not used in place comes along.

    Raises
    ------
    ModelFileError
        If there is no such model, it is empty, or it cannot be fetched; or has no signature where
        ``SEDNA_TINYMS_REQUIRE_SIGNED`` asks for one.
    """
    with TemporaryDirectory(prefix="sedna-tinyms-") as scratch:
        if is_remote(url):
            path = Path(scratch, PurePosixPath(urlsplit(url).path).name or name)
            _fetch(url, path)
            if with_companions:
                _take_companions(url, path)
        else:
            path = find_model(local_path(url), name, suffixes)
        if path.stat().st_size == 0:
            raise ModelFileError(f"the model file {url} is empty (0 bytes)", code="empty", path=url)
        if path.suffix not in suffixes:
            # Sedna's hot update hands over names such as "model.2026-11-20 10:07:17.8".
            named = Path(scratch, f"model{suffixes[0]}")
            shutil.copyfile(path, named)
            if with_companions:
                _take_companions(str(path), named)
            path = named
        if os.environ.get(REQUIRE_SIGNED) and not is_version(path.parent):
            path = _signed(path, url, Path(scratch))
        try:
            yield path
        except ModelFileError as error:
            if Path(scratch) not in path.parents:
                raise
            fields = {**error.fields, "path": url}
            raise type(error)(
                f"the model at {url} is unusable: {error}", code=error.code, **fields
            ) from error


def _signed(model: Path, url: str, scratch: Path) -> Path:
    """Return a copy of a model, which nobody else can change, whose signature was checked."""
    key = key_file(PUBLIC_KEY)
    if key is None:
        raise ConfigurationError(
            f"{REQUIRE_SIGNED} asks for a signature, and {PUBLIC_KEY} names no key to check it "
            "with",
            code="missing-value",
            name=PUBLIC_KEY,
        )
    copied = scratch / "signed" / model.name
    copied.parent.mkdir()
    shutil.copyfile(model, copied)
    require_signed_file(copied, key, f"the model file {url}")
    return copied


def _take_companions(model: str, copied: Path) -> None:
    """Copy what belongs to a model to where the model was copied to."""
    for suffix in COMPANIONS:
        beside = model.removesuffix(".ckpt") + suffix
        target = copied.with_name(copied.name.removesuffix(".ckpt") + suffix)
        if exists(beside) and is_remote(beside):
            _fetch(beside, target)
        elif exists(beside):
            shutil.copyfile(beside, target)


def find_model(path: Path, name: str, suffixes: Sequence[str]) -> Path:
    """Return the model file that `path` means, which in a directory ends in one of `suffixes`.

    A model version (see `sedna_tinyms.artifact.version`), or a file in one, is checked first; and
    for its signature, if ``SEDNA_TINYMS_PUBLIC_KEY`` names a key.

    Raises
    ------
    ModelFileError
        If it does not exist, is a directory with no model or several, or is a model version that
        is not whole.
    """
    directory = path.parent if path.is_file() else path
    if is_version(directory):
        version = open_version(directory, public_key=key_file(PUBLIC_KEY))
        return path if path.is_file() else version.weights(suffixes[0])
    if path.is_file():
        return path
    if not path.is_dir():
        raise ModelFileError(
            f"the model file {path} does not exist", code="missing-file", path=str(path)
        )
    if (path / name).is_file():
        return path / name
    models = sorted(
        entry
        for entry in path.iterdir()
        if entry.suffix in suffixes and not entry.name.endswith(COMPANIONS) and entry.is_file()
    )
    if len(models) == 1:
        return models[0]
    if models:
        raise ModelFileError(
            f"the directory {path} holds {len(models)} models "
            f"({', '.join(model.name for model in models)}) and none is called {name}: "
            "name the file",
            code="ambiguous",
            path=str(path),
            found=tuple(model.name for model in models),
        )
    if path.suffix in suffixes:
        raise ModelFileError(
            f"{path} is a directory where a model file should be; KubeEdge's IncrementalLearning "
            "makes one when it starts before the model is there: remove it and put the file there",
            code="not-a-file",
            path=str(path),
        )
    raise ModelFileError(
        f"the directory {path} holds no model (no {name}, no other *{suffixes[0]})",
        code="missing-file",
        path=str(path),
        name=name,
    )


def publish(directory: Path, model: str, target: str) -> str:
    """Copy a model and its siblings out of `directory`, each whole or not at all.

    If ``SEDNA_TINYMS_SIGNING_KEY`` names a key, ONNX files are signed with it first.

    Parameters
    ----------
    directory : Path
        What an estimator saved, and nothing else.
    model : str
        The model's name in it. It is copied last: its siblings are there when it appears.
    target : str
        Path or URL of the model; siblings go beside it under its stem. Those of an earlier model
        of that name are removed.

    Returns
    -------
    str
        `target`.

    Raises
    ------
    StorageError
        If something cannot be written.
    """
    stem = PurePosixPath(model).stem
    parent, _, target_name = target.rpartition("/")
    target_stem = PurePosixPath(target_name).stem
    written = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    if key := key_file(SIGNING_KEY):
        for path in written:
            if path.suffix == ".onnx":
                sign_file(path, key)
    written.sort(key=lambda path: path.name == model)
    for suffix in SIBLINGS:
        if not (directory / f"{stem}{suffix}").exists():
            _remove(target.removesuffix(target_name) + f"{target_stem}{suffix}")
    for path in written:
        relative = str(path.relative_to(directory))
        if relative == model:
            destination = target
        else:
            if relative.startswith(f"{stem}."):
                relative = target_stem + relative.removeprefix(stem)
            destination = f"{parent}/{relative}" if parent else relative
        _copy(path, destination)
    return target


def _copy(path: Path, target: str) -> None:
    if not is_remote(target):
        copy_file(path, local_path(target))
        return
    with file_system(target) as (files, place):
        files.put_file(str(path), place)


def _remove(target: str) -> None:
    if not is_remote(target):
        remove_file(local_path(target))
        return
    with file_system(target) as (files, place):
        if files.exists(place):
            files.rm_file(place)


def _fetch(url: str, path: Path) -> None:
    try:
        with file_system(url) as (files, place):
            files.get_file(place, str(path))
    except FileNotFoundError:
        raise ModelFileError(
            f"the model file {url} does not exist", code="missing-file", path=url
        ) from None
    except StorageError as error:
        raise ModelFileError(
            f"the model file {url} cannot be fetched: {error}", code=error.code, path=url
        ) from error
