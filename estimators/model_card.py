"""What a model file says about itself, so that one file is all that a worker needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sedna_tinyms.errors import ForeignModelError, ModelFileError
from sedna_tinyms.tinyms.vision.transforms import IMAGENET_MEAN, IMAGENET_STD

__all__ = ["ModelCard"]

ARCHITECTURE = "MobileNetV2"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class ModelCard:
    """A classifier's classes, and how its network and its input are made.

    Attributes
    ----------
    class_names : tuple of str
        In the order of the network's outputs.
    width : float
        Factor on every layer's channels.
    input_size : int
        Height and width of the input in pixels.
    pad_mode : {"pad", "same"}
        As for `sedna_tinyms.tinyms.model.MobileNetV2`.
    mean, std : tuple of float
        Per channel, for pixels from 0 to 255.
    """

    class_names: tuple[str, ...]
    width: float = 1.0
    input_size: int = 224
    pad_mode: str = "pad"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def metadata(self) -> dict[str, str]:
        """Return texts to store in a model file, each value as JSON."""
        described = {"architecture": ARCHITECTURE, "format_version": FORMAT_VERSION, **asdict(self)}
        return {name: json.dumps(value) for name, value in described.items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], url: str) -> ModelCard | None:
        """Read what `metadata` wrote; None if the file tells nothing about itself.

        Raises
        ------
        ForeignModelError
            If the file is for another architecture, or from a later version of this package.
        ModelFileError
            If what it says cannot be understood.
        """
        if "class_names" not in metadata:
            return None
        try:
            found: dict[str, Any] = {
                name: json.loads(metadata[name])
                for name in ("architecture", "format_version", *cls.__dataclass_fields__)
            }
            architecture, version = found.pop("architecture"), found.pop("format_version")
            card = cls(
                tuple(str(name) for name in found["class_names"]),
                float(found["width"]),
                int(found["input_size"]),
                str(found["pad_mode"]),
                tuple(float(value) for value in found["mean"]),
                tuple(float(value) for value in found["std"]),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise ModelFileError(
                f"the model file {url} describes itself in a way that cannot be read: {error!r}"
            ) from error
        if architecture != ARCHITECTURE:
            raise ForeignModelError(
                f"the model file {url} is for {architecture}; this estimator is for {ARCHITECTURE}"
            )
        if version != FORMAT_VERSION:
            raise ForeignModelError(
                f"the model file {url} has the format version {version}; this sedna-tinyms reads "
                f"version {FORMAT_VERSION}: use the same release that wrote it"
            )
        return card
