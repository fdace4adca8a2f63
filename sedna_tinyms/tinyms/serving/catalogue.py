"""Reads servable.json: which networks to serve, and under which names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sedna_tinyms.artifact.json_text import parse_json
from sedna_tinyms.errors import ConfigurationError, Problem, did_you_mean
from sedna_tinyms.tinyms.serving.architectures import ARCHITECTURES, TRANSFORMS

__all__ = ["CATALOGUE", "Entry", "read_catalogue"]

CATALOGUE = "servable.json"
SIZE_LIMIT = 1 << 20
NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9_-])?")
PUBLISHED = ("name", "description", "model")
KEYS = (*PUBLISHED, "dataset", "labels")
MODEL_KEYS = ("name", "format", "class_num", "input_size")
LARGEST_INPUT = 2048
MOST_CLASSES = 100_000


@dataclass(frozen=True)
class Entry:
    """One servable as servable.json describes it.

    Attributes
    ----------
    name : str
        Its name in addresses, and its directory's.
    description : str
        For people.
    model : str
        A key of `ARCHITECTURES`.
    class_num : int or None
        Number of classes; None if the checkpoint shall say it.
    input_size : int or None
        Height and width of the input, where the file sets it.
    options : dict
        Further keywords for the network.
    dataset : str
        Whose transform its pictures get.
    labels : tuple of str
        The classes' names, where the file sets them.
    published : dict
        What the file says of it, for lists of servables.
    problem : Problem or None
        Why it cannot be served as it stands; None if it can.
    """

    name: str
    description: str = ""
    model: str = ""
    class_num: int | None = None
    input_size: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    dataset: str = ""
    labels: tuple[str, ...] = ()
    published: dict[str, Any] = field(default_factory=dict)
    problem: Problem | None = None

    @property
    def checkpoint(self) -> str:
        """The checkpoint's path below the serving path."""
        return f"{self.name}/{self.model}.ckpt"


def read_catalogue(directory: Path) -> dict[str, Entry]:
    """Return the servables in ``servable.json`` by name.

    An entry that is wrong in itself is returned with its `problem`, and spoils no other.

    Raises
    ------
    ConfigurationError
        If the file as a whole cannot be used.
    """
    path = directory / CATALOGUE
    try:
        with path.open("rb") as stream:
            content = stream.read(SIZE_LIMIT + 1)
        if len(content) > SIZE_LIMIT:
            raise ConfigurationError(
                f"{path} has more than {SIZE_LIMIT} bytes",
                code="too-large",
                path=path,
                limit=SIZE_LIMIT,
            )
        listed = parse_json(content)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}",
            code="missing-file" if missing else "unreadable-file",
            path=path,
        ) from error
    except ValueError as error:
        raise ConfigurationError(
            f"{path} is not JSON: {error}", code="not-json", path=path
        ) from error
    if not isinstance(listed, list):
        raise ConfigurationError(
            f"{path} holds a JSON {type(listed).__name__}, not an array",
            code="wrong-type",
            path=path,
        )
    entries: dict[str, Entry] = {}
    for position, described in enumerate(listed, 1):
        name = described.get("name") if isinstance(described, dict) else None
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise ConfigurationError(
                f"{path}: the servable number {position} has the name {name!r:.80}; a name has "
                "1 to 128 letters, digits, '_', '-' or '.', and no '.' at either end",
                code="invalid-value",
                path=path,
                position=position,
                name="name",
                value=name,
            )
        if name in entries:
            raise ConfigurationError(
                f"{path} names the servable {name!r} twice",
                code="duplicate",
                path=path,
                position=position,
                name="name",
                value=name,
            )
        try:
            entries[name] = _entry(name, described)
        except ConfigurationError as error:
            problem = Problem(f"{CATALOGUE}: {error}", error.code, error.fields)
            entries[name] = Entry(name, problem=problem)
    return entries


def _entry(name: str, described: dict[str, Any]) -> Entry:
    model = described.get("model")
    if not isinstance(model, dict):
        raise ConfigurationError(
            f"model is {model!r:.80}; it must be an object with a name",
            code="wrong-type",
            name="model",
            value=model,
        )
    architecture = ARCHITECTURES.get(model["name"]) if isinstance(model.get("name"), str) else None
    if architecture is None:
        hint = did_you_mean(str(model.get("name")), ARCHITECTURES)
        raise ConfigurationError(
            f"unknown model {model.get('name')!r:.80}{hint}; one of {', '.join(ARCHITECTURES)}",
            code="unknown-name",
            name="model",
            value=model.get("name"),
            valid=tuple(ARCHITECTURES),
        )
    _known_keys(described, KEYS, "a servable")
    _known_keys(model, (*MODEL_KEYS, *architecture.options), f"the model {model['name']}")
    if model.get("format", "ckpt") != "ckpt":
        raise ConfigurationError(
            f"the format is {model['format']!r:.80}; it must be 'ckpt'",
            code="unknown-format",
            name="format",
            value=model["format"],
            valid=("ckpt",),
        )
    input_size = _whole_number(model, "input_size", LARGEST_INPUT)
    if input_size not in (None, architecture.input_size) and not architecture.any_size:
        raise ConfigurationError(
            f"input_size is {input_size}; {model['name']} takes {architecture.input_size} only",
            code="unsupported",
            name="input_size",
            value=input_size,
            expected=architecture.input_size,
        )
    return Entry(
        name=name,
        description=_text(described, "description"),
        model=model["name"],
        class_num=_whole_number(model, "class_num", MOST_CLASSES),
        input_size=input_size,
        options={key: model[key] for key in architecture.options if key in model},
        dataset=_dataset(name, described, architecture.dataset),
        labels=_labels(described),
        published={key: described[key] for key in PUBLISHED if key in described},
    )


def _dataset(name: str, described: dict[str, Any], usual: str) -> str:
    """Return the dataset that is named, or that the servable's name ends in, or the usual one."""
    if "dataset" not in described:
        suffix = name.rpartition("_")[2]
        return suffix if suffix in TRANSFORMS else usual
    dataset = _text(described, "dataset")
    if dataset not in TRANSFORMS:
        hint = did_you_mean(dataset, TRANSFORMS)
        raise ConfigurationError(
            f"unknown dataset {dataset!r:.80}{hint}; one of {', '.join(TRANSFORMS)}",
            code="unknown-name",
            name="dataset",
            value=dataset,
            valid=tuple(TRANSFORMS),
        )
    return dataset


def _labels(described: dict[str, Any]) -> tuple[str, ...]:
    labels = described.get("labels", [])
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ConfigurationError(
            f"labels is {labels!r:.80}; it must be an array of texts",
            code="wrong-type",
            name="labels",
            value=labels,
        )
    return tuple(labels)


def _text(described: dict[str, Any], key: str) -> str:
    value = described.get(key, "")
    if not isinstance(value, str):
        raise ConfigurationError(
            f"{key} is {value!r:.80}; it must be a text", code="wrong-type", name=key, value=value
        )
    return value


def _whole_number(described: dict[str, Any], key: str, most: int) -> int | None:
    value = described.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ConfigurationError(
            f"{key} is {value!r:.80}; it must be a number from 1 to {most}",
            code="out-of-range",
            name=key,
            value=value,
        )
    return value


def _known_keys(described: dict[str, Any], known: tuple[str, ...], owner: str) -> None:
    for key in described:
        if key not in known:
            raise ConfigurationError(
                f"unknown key {key!r:.80}{did_you_mean(key, known)}; "
                f"{owner} takes {', '.join(known)}",
                code="unknown-key",
                name=key,
                valid=known,
            )
