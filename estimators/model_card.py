"""What a model file says about itself, so that one file is all that a worker needs."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.artifact.json_text import parse_json
from sedna_tinyms.errors import ForeignModelError, ModelFileError
from sedna_tinyms.pictures import IMAGENET_MEAN, IMAGENET_STD

if TYPE_CHECKING:
    from estimators.settings import Settings
    from sedna_tinyms.tinyms.model import MobileNetV2, Weights

__all__ = ["ModelCard"]

logger = logging.getLogger(__name__)

ARCHITECTURE = "MobileNetV2"
FORMAT_VERSION = 1
HEAD_WEIGHT = "head.head.1.weight"
SETTABLE = ("class_names", "width", "input_size", "pad_mode", "mean", "std")
"""What an estimator may be set to, and a model file always says."""


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
    learned : tuple of int or None
        How many labels of each class the model has learned; None if that is not known, as of a
        model of an earlier release.
    """

    class_names: tuple[str, ...]
    width: float = 1.0
    input_size: int = 224
    pad_mode: str = "pad"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    learned: tuple[int, ...] | None = None

    @classmethod
    def from_settings(cls, settings: Settings, class_names: Sequence[str]) -> ModelCard:
        """Describe a new model."""
        given = {name: getattr(settings, name) for name in SETTABLE}
        described = {name: _plain(value) for name, value in given.items() if value is not None}
        return cls(**described | {"class_names": tuple(class_names)})

    @classmethod
    def from_file(cls, settings: Settings, weights: Weights, path: Path) -> ModelCard:
        """Describe a model file, from its own words or, where it has none, from the settings.

        Raises
        ------
        ForeignModelError
            If the file and the settings contradict each other; the message names both.
        ModelFileError
            If what the file says cannot be understood.
        """
        card = cls.from_metadata(weights.metadata, str(path))
        if card is None:
            head = weights.arrays.get(HEAD_WEIGHT)
            numbers = [str(number) for number in range(0 if head is None else len(head))]
            return cls.from_settings(settings, settings.class_names or numbers)
        card.require({name: getattr(settings, name) for name in SETTABLE}, path)
        return card

    def require(self, wanted: Mapping[str, Any], path: Path) -> None:
        """Make sure that the model in a file is the one that an estimator is set to.

        Parameters
        ----------
        wanted : mapping
            Values by attribute; None where any will do. Of class names there may be more at the
            end, which the model is to learn.
        path : Path
            The file, for the message.

        Raises
        ------
        ForeignModelError
            If one differs; the message names both.
        """
        for name, value in wanted.items():
            found = getattr(self, name)
            if value is not None and not _fits(found, _plain(value)):
                raise ForeignModelError(
                    f"the model file {path} has {name} {_shown(found)}, this estimator is set to "
                    f"{_shown(_plain(value))}: set the same {name}, none at all, or name another "
                    "model",
                    code="class-mismatch" if name == "class_names" else "foreign-model",
                    path=str(path),
                    name=name,
                    value=found,
                    expected=_plain(value),
                )

    def with_classes(self, class_names: Sequence[str]) -> ModelCard:
        """Return the same description for further classes, which are not learned yet."""
        learned = self.learned
        if learned is not None:
            learned = (*learned, *[0] * (len(class_names) - len(learned)))
        return replace(self, class_names=tuple(class_names), learned=learned)

    def untrained(self) -> ModelCard:
        """Return the same description of a model that has learned nothing."""
        return replace(self, learned=(0,) * len(self.class_names))

    def having_learned(self, labels: Iterable[int]) -> ModelCard:
        """Return the same description of a model that has learned these labels as well.

        Parameters
        ----------
        labels : iterable of int
            Numbers of classes.
        """
        if self.learned is None:
            return self
        counts = Counter(labels)
        learned = tuple(known + counts[number] for number, known in enumerate(self.learned))
        return replace(self, learned=learned)

    def has_learned(self, number: int) -> bool:
        """Tell whether the model has learned a sample of a class."""
        if number >= len(self.class_names):
            return False
        return self.learned is None or self.learned[number] > 0

    def build(self, seed: int) -> MobileNetV2:
        """Return a network of this description, with random weights, for prediction."""
        from sedna_tinyms.tinyms.model import MobileNetV2  # the rest does without MindSpore

        state = np.random.get_state()  # the network draws its weights from the global generator
        np.random.seed(seed % 2**32)
        try:
            network = MobileNetV2(
                len(self.class_names), width_mult=self.width, pad_mode=self.pad_mode
            )
        finally:
            np.random.set_state(state)
        network.set_train(False)
        return network

    def build_from(self, path: Path, seed: int) -> tuple[MobileNetV2, bool]:
        """Return a network of this description with weights that do not say what they are for.

        Their head is left out, and drawn at random, unless it has as many classes: whether it was
        taken comes second.

        Raises
        ------
        ModelFileError, ForeignModelError
            If they cannot be read, or are another network's.
        """
        from sedna_tinyms.tinyms.model import load_weights, read_weights

        network = self.build(seed)
        arrays = read_weights(path).arrays
        heads = [a for n, a in arrays.items() if n.startswith(("head.", "classifier."))]
        fits = any(array.shape[:1] == (len(self.class_names),) for array in heads)
        logger.info("%s", load_weights(network, path, skip_head=not fits))
        return network, fits

    def normalize(self, pixels: NDArray[np.generic]) -> NDArray[np.float32]:
        """Bring pixels from 0 to 255, of shape (N, 3, H, W), to the network's input."""
        mean, std = (np.array(value, np.float32)[:, None, None] for value in (self.mean, self.std))
        normalized: NDArray[np.float32] = (pixels.astype(np.float32) - mean) / std
        return normalized

    def metadata(self) -> dict[str, str]:
        """Return texts to store in a model file, each value as JSON."""
        described = {"architecture": ARCHITECTURE, "format_version": FORMAT_VERSION, **asdict(self)}
        if self.learned is None:
            del described["learned"]
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
        _require_version(metadata, url)
        try:
            found: dict[str, Any] = {
                name: parse_json(metadata[name])
                for name in ("architecture", "format_version", *SETTABLE)
            }
            architecture = found.pop("architecture")
            card = cls(
                tuple(str(name) for name in found["class_names"]),
                float(found["width"]),
                int(found["input_size"]),
                str(found["pad_mode"]),
                tuple(float(value) for value in found["mean"]),
                tuple(float(value) for value in found["std"]),
                _learned(metadata, len(found["class_names"])),
            )
        except (KeyError, ValueError, TypeError, OverflowError) as error:
            raise ModelFileError(
                f"the model file {url} describes itself in a way that cannot be read: {error!r}",
                code="damaged",
                path=url,
            ) from error
        if architecture != ARCHITECTURE:
            raise ForeignModelError(
                f"the model file {url} is for {architecture}; this estimator is for {ARCHITECTURE}",
                code="foreign-model",
                path=url,
                name="architecture",
                value=architecture,
                expected=ARCHITECTURE,
            )
        return card


def _learned(metadata: Mapping[str, str], classes: int) -> tuple[int, ...] | None:
    if "learned" not in metadata:
        return None
    learned = tuple(int(count) for count in parse_json(metadata["learned"]))
    if len(learned) != classes or min(learned, default=0) < 0:
        raise ValueError(f"learned is {learned} for {classes} classes")
    return learned


def _require_version(metadata: Mapping[str, str], url: str) -> None:
    """Raise `ForeignModelError` for a file of another version, whatever else it says of itself."""
    try:
        version = parse_json(metadata["format_version"])
    except (KeyError, ValueError):
        return  # the reader of the rest says so
    if version != FORMAT_VERSION:
        raise ForeignModelError(
            f"the model file {url} has the format version {version}; this sedna-tinyms reads "
            f"version {FORMAT_VERSION}: use the same release that wrote it",
            code="wrong-version",
            path=url,
            value=version,
            expected=FORMAT_VERSION,
        )


def _plain(value: Any) -> Any:
    """Return sequences as tuples, so that equal settings compare as equal."""
    return value if isinstance(value, str | int | float) else tuple(value)


def _fits(found: Any, wanted: Any) -> bool:
    if isinstance(found, tuple) and isinstance(wanted, tuple):
        return found == wanted[: len(found)]
    return bool(found == wanted)


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
