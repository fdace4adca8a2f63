"""``model.json``: what a model version is for, how it was made, and how good it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from sedna_tinyms.artifact.json_text import parse_json
from sedna_tinyms.errors import ForeignModelError, ModelFileError, did_you_mean

__all__ = ["ARCHITECTURES", "ModelDescription"]

ARCHITECTURES = (
    *("AlexNet", "DenseNet100", "LeNet5", "MobileNetV2", "ResNet50", "SSD300"),
    *("VGG11", "VGG13", "VGG16", "VGG19"),
)
"""The networks that a version may name; one that names another is refused."""
FORMAT_VERSION = 1
OWN_WORDS = ("architecture", "class_names", "width", "input_size", "pad_mode", "mean", "std")
"""What the estimators' weights files say about themselves, under the same names."""


@dataclass(frozen=True)
class ModelDescription:
    """The words of one model version.

    Attributes
    ----------
    version : int
        Its number in its store; 0 where it is in none.
    created : str
        When, in ISO 8601 and UTC; for people only.
    architecture : str or None
        One of `ARCHITECTURES`; None where the weights do not say.
    class_names : tuple of str or None
        In the order of the outputs.
    width, input_size, pad_mode
        Factor on the channels, pixels in height and width, padding.
    mean, std : tuple of float or None
        Normalisation per channel, of pixels from 0 to 255.
    parent : str or None
        The digest of the version that this one was trained from.
    metrics : dict
        What was measured, by name.
    origin : dict
        How it was made: job, round, number of samples, versions of the software ...
    """

    version: int = 0
    created: str = ""
    architecture: str | None = None
    class_names: tuple[str, ...] | None = None
    width: float | None = None
    input_size: int | None = None
    pad_mode: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    parent: str | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], source: str) -> ModelDescription:
        """Return what a weights file says about itself, which may be nothing.

        Parameters
        ----------
        metadata : mapping
            The texts in it; each value is JSON, as the estimators write them.
        source : str
            The file, for messages.

        Raises
        ------
        ModelFileError
            If it cannot be understood.
        ForeignModelError
            If the architecture is not one of ours.
        """
        if "architecture" not in metadata:
            return cls()
        try:
            said = {name: parse_json(metadata[name]) for name in OWN_WORDS if name in metadata}
        except ValueError as error:
            raise ModelFileError(
                f"{source} describes itself in a way that cannot be read: {error}",
                code="not-json",
                path=source,
            ) from error
        return cls._checked(said, source)

    @classmethod
    def from_json(cls, text: bytes, source: str) -> ModelDescription:
        """Read ``model.json``; errors as `from_metadata`."""
        try:
            said = parse_json(text)
        except ValueError as error:
            raise ModelFileError(
                f"{source} cannot be read: {error}", code="not-json", path=source
            ) from error
        if not isinstance(said, dict):
            raise ModelFileError(
                f"{source} cannot be read: it is no object", code="wrong-type", path=source
            )
        version = said.pop("format_version", None)
        if version != FORMAT_VERSION:
            raise ModelFileError(
                f"{source} cannot be read: its format_version is {version!r:.40}, "
                f"not {FORMAT_VERSION}",
                code="wrong-version",
                path=source,
                value=version,
                expected=FORMAT_VERSION,
            )
        return cls._checked(said, source)

    @classmethod
    def _checked(cls, said: Mapping[str, Any], source: str) -> ModelDescription:
        known = [each.name for each in fields(cls)]
        for name, value in said.items():
            if name not in known:
                raise ModelFileError(
                    f"{source}: unknown entry {name!r}{did_you_mean(name, known)}",
                    code="unknown-key",
                    path=source,
                    name=name,
                    valid=known,
                )
            if not _is_valid(name, value):
                raise ModelFileError(
                    f"{source}: {name} is {value!r:.60}, which it cannot be",
                    code="invalid-value",
                    path=source,
                    name=name,
                    value=value,
                )
        architecture = said.get("architecture")
        if architecture is not None and architecture not in ARCHITECTURES:
            raise ForeignModelError(
                f"{source} is for the architecture {architecture!r:.60}"
                f"{did_you_mean(architecture, ARCHITECTURES)}; known are "
                + ", ".join(ARCHITECTURES),
                code="unknown-name",
                path=source,
                name="architecture",
                value=architecture,
                valid=ARCHITECTURES,
            )
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in said.items()
        }
        return cls(**values)

    def as_json(self) -> str:
        """Return the text of ``model.json``."""
        said = {"format_version": FORMAT_VERSION, **asdict(self)}
        return json.dumps(said, indent=2, allow_nan=False) + "\n"

    def words(self) -> dict[str, Any]:
        """Return what also stands in the weights files, without what is not known."""
        said = {name: getattr(self, name) for name in OWN_WORDS}
        return {name: value for name, value in said.items() if value is not None}

    def require(
        self,
        source: str,
        *,
        architecture: str | None = None,
        class_names: Sequence[str] | None = None,
    ) -> None:
        """Make sure that this is the model that somebody needs.

        Parameters
        ----------
        source : str
            Where it is, for the message.
        architecture, class_names : optional
            What it must be for; None where anything will do.

        Raises
        ------
        ForeignModelError
            If it is for something else, or does not say.
        """
        wanted = {
            "architecture": architecture,
            "class_names": None if class_names is None else tuple(class_names),
        }
        self.require_words({n: v for n, v in wanted.items() if v is not None}, source)

    def require_words(self, wanted: Mapping[str, Any], source: str) -> None:
        """Raise `ForeignModelError` unless each of the words has this value."""
        for name, value in wanted.items():
            found = getattr(self, name)
            if found != value:
                shown = "not said" if found is None else f"{found!r:.200}"
                raise ForeignModelError(
                    f"{source}: {name} is {shown}, and not {value!r:.200}",
                    code="class-mismatch" if name == "class_names" else "foreign-model",
                    path=source,
                    name=name,
                    value=found,
                    expected=value,
                )


def _is_valid(name: str, value: Any) -> bool:
    """Tell whether an entry may have a value."""
    if not _is_plain(value):
        return False
    if name in ("metrics", "origin"):
        return isinstance(value, dict)
    if name in ("version", "created"):
        return _is_whole(value) if name == "version" else isinstance(value, str)
    if value is None:
        return True
    if name == "class_names":
        return _is_list(value, str) and len(set(value)) == len(value) > 0
    if name in ("mean", "std"):
        return isinstance(value, list) and all(map(_is_number, value))
    if name == "input_size":
        return _is_whole(value) and value > 0
    if name == "width":
        return _is_number(value) and value > 0
    return isinstance(value, str)


def _is_plain(value: Any) -> bool:
    """Tell whether it is JSON that can be printed: no NaN, no infinity, no half characters."""
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return False
    return True


def _is_list(value: Any, kind: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, kind) for entry in value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
