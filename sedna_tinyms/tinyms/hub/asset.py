"""The description of a published model, one YAML file each, and the model file it points to.

A description lies at ``<hub directory>/<publisher>/<version>/<model>.yaml``. Its fields are
TinyMS's; ``class-num`` is one more, for data sets that TinyMS does not know.
"""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from sedna_tinyms.artifact.fetch import check_sha256, fetch
from sedna_tinyms.artifact.lock import exclusively
from sedna_tinyms.errors import ConfigurationError, DownloadError, Problems, did_you_mean
from sedna_tinyms.tinyms.hub.uid import Uid

__all__ = ["CACHE", "HUB_PATH", "Asset", "find_asset"]

HUB_PATH = "TINYMS_HUB_PATH"
"""The hub directories, separated as in PATH."""
CACHE = "TINYMS_HUB_CACHE"
"""Where downloaded model files are kept; ``~/.cache/sedna-tinyms/hub`` by default."""

FORMATS = ("ckpt", "mindir", "onnx")
MOST_BYTES = 5 << 30


@dataclass(frozen=True)
class Asset:
    """A published model.

    Attributes
    ----------
    uid : Uid
        Its name.
    source : Path
        The description.
    class_num : int or None
        How many classes it tells apart, if the description says so.
    link : str or None
        Where the model file is: an https address, or a path below the description's directory.
        None for a description without a model file.
    sha256 : str
        The digest of the model file.
    file_format : {"ckpt", "mindir", "onnx"}
        What kind of file it is.
    """

    uid: Uid
    source: Path
    class_num: int | None = None
    link: str | None = None
    sha256: str = ""
    file_format: str = "ckpt"

    def file(self) -> Path:
        """Return the model file, checked; downloaded at the first time.

        Raises
        ------
        ConfigurationError
            If there is none, or its path leads out of the hub directory.
        DownloadError
            If it cannot be had, or is not the right file.
        """
        if self.link is None:
            raise ConfigurationError(
                f"{self.source} describes {self.uid} but links no model file",
                code="missing-key",
                path=str(self.source),
                name="asset",
            )
        check = partial(check_sha256, sha256=self.sha256)
        if "://" in self.link:
            target = _cache() / f"{self.sha256}.{self.file_format}"
            with exclusively(target.with_suffix(".lock")):
                fetch([self.link], target, check=check, most_bytes=MOST_BYTES)
            return target
        return self._file_beside(check)

    def _file_beside(self, check: Callable[[Path], None]) -> Path:
        directory = self.source.parent.resolve()
        path = (directory / str(self.link)).resolve()
        if not path.is_relative_to(directory):
            raise ConfigurationError(
                f"{self.source}: asset-link is {self.link!r}, which leads out of {directory}",
                code="invalid-value",
                path=str(self.source),
                name="asset-link",
                value=self.link,
            )
        try:
            check(path)
        except OSError as error:
            raise DownloadError(
                f"the model file of {self.uid} cannot be read: {error}",
                code="missing-file" if isinstance(error, FileNotFoundError) else "unreadable-file",
                path=str(path),
            ) from error
        except DownloadError as error:
            fields = {**error.fields, "path": str(path)}
            raise DownloadError(f"{path}: {error}", code=error.code, **fields) from error
        return path


def find_asset(uid: Uid, directories: Iterable[str | os.PathLike[str]] | None = None) -> Asset:
    """Read the description of a published model.

    Parameters
    ----------
    uid : Uid
        Its name.
    directories : iterable of path, optional
        The hub directories; by default those in the variable ``TINYMS_HUB_PATH``.

    Raises
    ------
    ConfigurationError
        If there is no description of it, or the description is wrong.
    """
    if directories is None:
        directories = filter(None, os.environ.get(HUB_PATH, "").split(os.pathsep))
    roots = [Path(directory).expanduser() for directory in directories]
    for root in roots:
        path = root / uid.publisher / uid.version / f"{uid.model}.yaml"
        if path.is_file():
            return _read(path, uid)
    if not roots:
        raise ConfigurationError(
            f"there is no hub to look up {uid} in: name a directory of "
            f"publisher/version/model.yaml files in {HUB_PATH}, or as `assets`",
            code="missing-value",
            name=HUB_PATH,
        )
    known = [name for root in roots for name in _uids_in(root)]
    raise ConfigurationError(
        f"{uid} is not in the hub {', '.join(map(str, roots))}{did_you_mean(str(uid), known)}; "
        f"it has {', '.join(sorted(known)) or 'no models'}",
        code="unknown-name",
        name="uid",
        value=str(uid),
        valid=tuple(sorted(known)),
    )


def _cache() -> Path:
    if chosen := os.environ.get(CACHE):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base, "sedna-tinyms", "hub").expanduser()


def _uids_in(root: Path) -> Iterator[str]:
    for path in root.glob("*/*/*.yaml"):
        yield path.relative_to(root).with_suffix("").as_posix()


def _read(path: Path, uid: Uid) -> Asset:
    try:
        described = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error}", code=_code_of(error), path=str(path)
        ) from error
    if not isinstance(described, dict):
        raise ConfigurationError(
            f"{path} must hold the fields of one model, and does not",
            code="wrong-type",
            path=str(path),
        )
    problems = Problems()
    _check(described, FIELDS, "", problems)
    file = described.get("asset")
    if isinstance(file, dict):
        _check(file, ASSET_FIELDS, "asset.", problems)
    problems.raise_as(ConfigurationError, f"{path} does not describe a model", path=str(path))
    if file is None:
        return Asset(uid, path, described.get("class-num"))
    return Asset(
        uid,
        path,
        described.get("class-num"),
        file["asset-link"],
        file["asset-sha256"].lower(),
        file["file-format"],
    )


def _code_of(error: Exception) -> str:
    if isinstance(error, OSError):
        return "unreadable-file"
    return "not-utf8" if isinstance(error, UnicodeDecodeError) else "not-yaml"


@dataclass(frozen=True)
class _Field:
    """What a field may be."""

    valid: Callable[[Any], bool]
    meaning: str
    required: bool = True


def _check(
    described: Mapping[str, Any], fields: Mapping[str, _Field], prefix: str, problems: Problems
) -> None:
    for name in described:
        if name not in fields:
            problems.add(
                f"unknown field {prefix}{name}{did_you_mean(name, fields)}",
                code="unknown-key",
                name=f"{prefix}{name}",
                valid=tuple(fields),
            )
    for name, field in fields.items():
        if name not in described:
            if field.required:
                problems.add(
                    f"{prefix}{name} is missing; it is {field.meaning}",
                    code="missing-key",
                    name=f"{prefix}{name}",
                )
        elif not field.valid(described[name]):
            problems.add(
                f"{prefix}{name} is {described[name]!r}; it must be {field.meaning}",
                code="invalid-value",
                name=f"{prefix}{name}",
                value=described[name],
            )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _matches(pattern: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_backends(value: Any) -> bool:
    backends = ("cpu", "gpu", "ascend")
    return (
        isinstance(value, list)
        and bool(value)
        and all(str(backend).lower() in backends for backend in value)
    )


FIELDS = {
    "model-name": _Field(_is_text, "a text", required=False),
    "backbone-name": _Field(_is_text, "a text"),
    "module-type": _Field(
        _matches(r"(audio|cv|nlp|recommend|other)(-[\w-]+)?"),
        "audio, cv, nlp, recommend or other, with a suffix such as in cv-classification",
    ),
    "fine-tunable": _Field(lambda value: isinstance(value, bool), "true or false"),
    "input-shape": _Field(
        lambda value: isinstance(value, list) and all(map(_is_count, value)),
        "a list of whole numbers, such as [1, 32, 32]",
    ),
    "model-version": _Field(lambda value: _is_text(value) or _is_number(value), "such as v1"),
    "train-dataset": _Field(_is_text, "a data set, such as cifar10"),
    "train-backend": _Field(_is_text, "a text", required=False),
    "accuracy": _Field(_is_number, "a number", required=False),
    "author": _Field(_is_text, "a text"),
    "update-time": _Field(
        lambda value: _is_text(value) or isinstance(value, datetime.date), "a date"
    ),
    "user-id": _Field(_is_text, "a text"),
    "used-for": _Field(
        _matches(r"(inference|transfer-learning)(/(inference|transfer-learning))*"),
        "inference, transfer-learning, or both with a slash between",
    ),
    "infer-backend": _Field(_is_backends, "a list of cpu, gpu, ascend"),
    "tinyms-version": _Field(lambda value: _is_text(value) or _is_number(value), "such as 0.2"),
    "license": _Field(_is_text, "a text"),
    "summary": _Field(_is_text, "a text"),
    "class-num": _Field(_is_count, "a whole number", required=False),
    "asset": _Field(lambda value: isinstance(value, dict), "a mapping", required=False),
}
ASSET_FIELDS = {
    "asset-link": _Field(_is_text, "an https address, or a path beside this file"),
    "asset-sha256": _Field(_matches("[0-9A-Fa-f]{64}"), "64 hexadecimal digits"),
    "file-format": _Field(
        lambda value: isinstance(value, str) and value in FORMATS, "one of " + ", ".join(FORMATS)
    ),
}
