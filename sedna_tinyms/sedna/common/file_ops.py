"""Files of a job, here or elsewhere.

Anything with a scheme (``http://``, ``s3://``, ``gs://`` ...) goes through fsspec. A copy either
arrives whole or is an error: no call returns as if it had worked, and a source is removed only
after its copy stands. Nothing is unpickled, because a pickle from elsewhere runs code.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from sedna_tinyms.artifact.files import copy_file, open_ordinary, write_file, write_json
from sedna_tinyms.artifact.json_text import parse_json
from sedna_tinyms.artifact.remote import file_system, is_remote
from sedna_tinyms.artifact.unpack import unpack_tar
from sedna_tinyms.errors import ConfigurationError, DownloadError, StorageError

__all__ = ["FileOps"]

PathLike = str | os.PathLike[str]

MOST_UNPACKED_BYTES = 1 << 35
MOST_UNPACKED_FILES = 1_000_000
"""More than any dataset here has, less than what an archive of a few megabytes may claim."""


class FileOps:
    """File operations for local paths and URLs alike; every method is a class method."""

    @classmethod
    def exists(cls, path: PathLike) -> bool:
        """Tell whether a local file or directory exists; nothing remote is asked."""
        return _local(path).exists()

    @classmethod
    def is_local(cls, path: PathLike) -> bool:
        """Tell whether a path is ``file://...`` or exists on this machine."""
        return os.fspath(path).startswith("file://") or (
            not cls.is_remote(path) and cls.exists(path)
        )

    @classmethod
    def is_remote(cls, path: PathLike) -> bool:
        """Tell whether a path has a scheme other than ``file``."""
        return is_remote(path)

    @classmethod
    def join_path(cls, *parts: PathLike) -> str:
        """Join parts below the first, even if they begin with a slash."""
        first, *others = (os.fspath(part) for part in parts)
        if not others:
            return first
        rest = [other.lstrip("/") for other in others]
        if cls.is_remote(first):
            return "/".join([first.rstrip("/"), *rest])
        return str(Path(first, *rest))

    @classmethod
    def clean_folder(cls, target: PathLike | Iterable[PathLike] | None, clean: bool = True) -> None:
        """Make local directories (a file's parent), after deleting them if `clean`."""
        targets = [target] if isinstance(target, str | os.PathLike) else target or ()
        for path in targets:
            if path is None or cls.is_remote(path):
                continue
            if clean:
                cls.delete(path)
            directory = _local(path)
            if directory.is_file():
                directory = directory.parent
            directory.mkdir(parents=True, exist_ok=True)

    @classmethod
    def make_dir(cls, *parts: PathLike) -> None:
        """Make the directory that the joined parts name."""
        _local(cls.join_path(*parts)).mkdir(parents=True, exist_ok=True)

    @classmethod
    def make_base_dir(cls, *parts: PathLike) -> None:
        """Make the parent of what the joined parts name."""
        _local(cls.join_path(*parts)).parent.mkdir(parents=True, exist_ok=True)

    @classmethod
    def delete(cls, path: PathLike) -> None:
        """Remove a local file or directory, if it is there."""
        target = _local(path)
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target, ignore_errors=True)
        else:
            target.unlink(missing_ok=True)

    @classmethod
    def remove_path_prefix(cls, org_str: str, prefix: str) -> str:
        """Cut the directory `prefix` off a path: ``/home/data2/m`` is not below ``/home/data``."""
        stem = prefix.rstrip("/")
        if stem and (org_str == stem or org_str.startswith(f"{stem}/")):
            return org_str[len(stem) :]
        return org_str

    @classmethod
    def copy_file(cls, src: PathLike, dst: PathLike) -> None:
        """Copy a local file, or a directory with all it holds; into `dst` if that is a directory.

        Raises
        ------
        StorageError
            If the source is missing or the copy cannot be written.
        """
        source, target = _local(src), _local(dst)
        if source.is_dir():
            cls.copy_folder(source, target)
            return
        if not source.is_file():
            raise StorageError(
                f"cannot copy {source} to {target}: there is no such file",
                code="missing-file",
                path=str(source),
            )
        if target.is_dir():
            target = target / source.name
        if not (target.exists() and target.samefile(source)):
            copy_file(source, target)

    @classmethod
    def copy_folder(cls, src: PathLike, dst: PathLike) -> None:
        """Copy a local directory over another, which keeps what the first does not have."""
        shutil.copytree(_local(src), _local(dst), dirs_exist_ok=True)

    @classmethod
    def download(cls, src: PathLike, dst: PathLike | None = None, unzip: bool = False) -> str:
        """Bring a file or directory here, and return where it is.

        Parameters
        ----------
        src : str or path
            A local path or a URL.
        dst : str or path, optional
            Where to put it; a new temporary file by default.
        unzip : bool
            Unpack what is named ``.tar.gz`` into the directory `dst`.

        Raises
        ------
        StorageError
            If the source is missing, cannot be read, or the copy cannot be written.
        MissingExtraError
            If the scheme needs a package that is not installed.
        """
        target = _new_file() if dst is None else os.fspath(dst)
        unpack = unzip and os.fspath(src).endswith(".tar.gz")
        arrival = _new_file() if unpack else target
        if cls.is_remote(src):
            _get(os.fspath(src), arrival)
        else:
            cls.copy_file(src, arrival)
        if unpack:
            try:
                _unpack(Path(arrival), _local(target))
            except (OSError, DownloadError, StorageError) as error:
                raise StorageError(
                    f"cannot unpack {os.fspath(src)}: {error}",
                    code=getattr(error, "code", "damaged"),
                    path=os.fspath(src),
                ) from error
            finally:
                cls.delete(arrival)
        return target

    @classmethod
    def upload(cls, src: PathLike, dst: PathLike, tar: bool = False, clean: bool = True) -> str:
        """Copy a local file or directory to `dst`, which may be a URL, and return `dst`.

        Parameters
        ----------
        src, dst : str or path
            From where, to where.
        tar : bool
            Send a ``.tar.gz`` of the directory.
        clean : bool
            Remove the source once the copy stands, unless both are the same file.
        """
        fetched = cls.is_remote(src)
        source = _local(cls.download(src) if fetched else src)
        sent = Path(shutil.make_archive(str(source), "gztar", source)) if tar else source
        if cls.is_remote(dst):
            _put(sent, os.fspath(dst))
        else:
            cls.copy_file(sent, dst)
        if tar and not _same(sent, dst):
            cls.delete(sent)
        if (clean or fetched) and not _same(source, dst):
            cls.delete(source)
        return os.fspath(dst)

    @classmethod
    def dump(cls, obj: Any, dst: PathLike) -> str:
        """Write plain data (what JSON can hold) to a path or URL."""
        if not cls.is_remote(dst):
            write_json(_local(dst), obj)
            return os.fspath(dst)
        temporary = _new_file()
        write_json(temporary, obj)
        return cls.upload(temporary, dst)

    @classmethod
    def load(cls, src: PathLike) -> Any:
        """Read what `dump` wrote; anything else, a pickle above all, is refused."""
        try:
            return parse_json(read_bytes(src))
        except ValueError as error:
            raise ConfigurationError(
                f"{os.fspath(src)} is not JSON ({error}); pickled and joblib files are not read, "
                "because they can run any code: store plain data, or NumPy's .npz",
                code="not-json",
                path=os.fspath(src),
            ) from error

    @classmethod
    def load_pickle(cls, *_arguments: Any, **_keywords: Any) -> NoReturn:
        """Refuse: reading a pickle can run any code."""
        raise ConfigurationError(
            "pickles are neither read nor written here, because reading one can run any code: "
            "use FileOps.dump and FileOps.load for plain data, or NumPy's .npz",
            code="unsupported",
        )

    dump_pickle = obj_to_pickle_string = pickle_string_to_obj = load_pickle

    @classmethod
    def get_file_hash(cls, filename: PathLike) -> str:
        """Return the MD5 of a file in hexadecimal, to compare files; "" if it is missing."""
        path = _local(filename)
        if not path.is_file():
            return ""
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def read_bytes(source: PathLike) -> bytes:
    """Read a whole file, here or elsewhere; errors as `FileOps.download`."""
    if not FileOps.is_remote(source):
        return read_local(source)
    url = os.fspath(source)
    with _transfer(url) as (files, path):
        content: bytes = files.cat_file(path)
        return content


def read_local(source: PathLike, most_bytes: int | None = None) -> bytes:
    """Read an ordinary file of this machine; `StorageError` if it is none, or has more bytes."""
    try:
        with open_ordinary(_local(source)) as file:
            content = file.read(-1 if most_bytes is None else most_bytes + 1)
    except (OSError, ValueError) as error:  # a name with NUL
        raise StorageError(
            f"cannot read {os.fspath(source)}: {error}",
            code="unreadable-file",
            path=os.fspath(source),
        ) from error
    if most_bytes is not None and len(content) > most_bytes:
        raise StorageError(
            f"{os.fspath(source)} has more than {most_bytes} bytes",
            code="too-large",
            path=os.fspath(source),
            most=most_bytes,
        )
    return content


@contextmanager
def _transfer(url: str) -> Iterator[tuple[Any, str]]:
    try:
        with file_system(url) as (files, path):
            yield files, path
    except FileNotFoundError as error:
        raise StorageError(
            f"cannot transfer {url}: there is no such file", code="missing-file", path=url
        ) from error


def _get(url: str, target: str) -> None:
    with _transfer(url) as (files, path):
        if not url.startswith("http") and files.isdir(path):
            files.get(path.rstrip("/") + "/", target.rstrip("/") + "/", recursive=True)
            return
    place = Path(target, Path(path).name) if Path(target).is_dir() else Path(target)
    with write_file(place) as temporary, _transfer(url) as (files, path):
        files.get_file(path, str(temporary))


def _put(source: Path, url: str) -> None:
    with _transfer(url) as (files, path):
        if source.is_dir():
            files.put(f"{source}/", path.rstrip("/") + "/", recursive=True)
        else:
            files.put_file(str(source), path)


def _unpack(archive: Path, target: Path) -> None:
    """Put what an archive holds in the place of `target`, which stays if the archive is bad."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=target.parent) as aside:
        content = Path(aside, "content")
        unpack_tar(
            archive, content, most_bytes=MOST_UNPACKED_BYTES, most_members=MOST_UNPACKED_FILES
        )
        FileOps.delete(target)
        content.rename(target)


def _same(source: Path, dst: PathLike) -> bool:
    if FileOps.is_remote(dst) or not source.exists() or not FileOps.exists(dst):
        return False
    return source.samefile(_local(dst))


def _local(path: PathLike) -> Path:
    return Path(os.fspath(path).removeprefix("file://"))


def _new_file() -> str:
    handle, name = tempfile.mkstemp(prefix="sedna-")
    os.close(handle)
    return name
