"""A servable in service: what goes into its network, and what its outputs mean."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.artifact.json_text import parse_json
from sedna_tinyms.errors import ConfigurationError, did_you_mean
from sedna_tinyms.tinyms.serving.architectures import ARCHITECTURES, Blueprint, dataset_transform
from sedna_tinyms.tinyms.serving.catalogue import Entry

__all__ = ["STRATEGIES", "Servable", "probabilities"]

STRATEGIES = {"TOP1_CLASS": 1, "TOP3_CLASS": 3, "TOP5_CLASS": 5}
SHOWN_CLASSES = 5


@dataclass(frozen=True)
class Servable:
    """One version of a servable.

    Attributes
    ----------
    entry : Entry
        What servable.json says of it.
    blueprint : Blueprint
        What its network is built from.
    transform : callable
        From a picture, as an RGB array, to what the network takes.
    labels : tuple of str
        Names of the classes; may be fewer than there are classes.
    version : str
        The beginning of the checkpoint's SHA-256 digest.
    """

    entry: Entry
    blueprint: Blueprint
    transform: Callable[[NDArray[Any]], NDArray[np.float32]]
    labels: tuple[str, ...]
    version: str

    @classmethod
    def resolve(cls, entry: Entry, metadata: Mapping[str, str], version: str) -> Servable:
        """Complete an entry with what its checkpoint tells about itself.

        Raises
        ------
        ConfigurationError
            If something is missing, contradicts itself, or is not part of this core.
        """
        card = _card(metadata)
        architecture = ARCHITECTURES[entry.model]
        class_names = tuple(str(name) for name in card.get("class_names", ()))
        class_num = entry.class_num or len(class_names)
        if not class_num:
            raise ConfigurationError(
                "class_num is missing, and the checkpoint does not say it",
                code="missing-key",
                name="class_num",
            )
        size = architecture.input_size
        if architecture.any_size:
            size = entry.input_size or card.get("input_size", size)
        options = {"width_mult": card.get("width"), "pad_mode": card.get("pad_mode")}
        options = {k: v for k, v in options.items() if k in architecture.options and v is not None}
        shape = (architecture.channels, size, size)
        chosen = tuple(sorted((options | entry.options).items()))
        transform = _transform(entry.dataset, size, card)
        given = transform(np.zeros((8, 8, 3), np.uint8)).shape
        if given != shape:
            raise ConfigurationError(
                f"the transform of {entry.dataset!r} makes {given} of a picture, but "
                f"{entry.model} takes {shape}: set another dataset or input_size",
                code="wrong-shape",
                value=given,
                expected=shape,
            )
        labels = entry.labels or class_names or getattr(transform, "labels", ())
        return cls(
            entry=entry,
            blueprint=Blueprint(entry.model, class_num, shape, chosen),
            transform=transform,
            labels=tuple(str(label) for label in labels),
            version=version,
        )

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one input."""
        return self.blueprint.input_shape

    @property
    def detects(self) -> bool:
        """Whether it finds boxes rather than one class."""
        return ARCHITECTURES[self.entry.model].detects

    @property
    def strategies(self) -> list[str]:
        """How its outputs can be put into words."""
        if self.detects:
            return ["TOP1_CLASS"]
        return [name for name, count in STRATEGIES.items() if count <= self.blueprint.class_num]

    def check_strategy(self, strategy: str) -> None:
        """Raise `ConfigurationError` if the strategy is not one of `strategies`."""
        if strategy not in self.strategies:
            raise ConfigurationError(
                f"{self.entry.name} has no strategy {strategy!r:.80}"
                f"{did_you_mean(strategy, self.strategies)}; one of {', '.join(self.strategies)}",
                code="unknown-name",
                name="strategy",
                value=strategy,
                valid=tuple(self.strategies),
            )

    def words(self, output: NDArray[Any], picture: tuple[int, int], strategy: str) -> str:
        """Put the output for one picture, (height, width), into TinyMS's words.

        Raises
        ------
        ConfigurationError
            If the strategy is not one of `strategies`.
        """
        self.check_strategy(strategy)
        if self.detects:
            return json.dumps(self._boxes(output, picture))
        # Deferred: the vision module costs MindSpore's data pipeline.
        from sedna_tinyms.tinyms.vision import postprocess

        return postprocess(output, self._all_labels(), strategy)

    def predictions(self, output: NDArray[Any], picture: tuple[int, int]) -> list[dict[str, Any]]:
        """Return the likeliest classes, or the boxes, in the output for one picture."""
        if self.detects:
            return [
                {"label": str(box["category_id"]), "score": box["score"], "bbox": box["bbox"]}
                for box in self._boxes(output, picture)
            ]
        scores, labels = probabilities(output[0]), self._all_labels()
        order = np.argsort(-scores, kind="stable")[:SHOWN_CLASSES]
        return [{"label": labels[index], "score": float(scores[index])} for index in order]

    def _boxes(self, output: NDArray[Any], picture: tuple[int, int]) -> list[dict[str, Any]]:
        postprocess = self.transform.postprocess  # type: ignore[attr-defined]
        return list(postprocess(output, picture, "TOP1_CLASS"))

    def _all_labels(self) -> Sequence[str]:
        """Return a label for every class; a class without a name is called by its number."""
        return [
            self.labels[index] if index < len(self.labels) else f"class {index}"
            for index in range(self.blueprint.class_num)
        ]


def probabilities(row: NDArray[Any]) -> NDArray[np.float64]:
    """Return a classifier's output as probabilities; softmax, unless it has been applied."""
    scores = row.astype(np.float64)
    if scores.min() >= 0 and abs(scores.sum() - 1) < 1e-3:
        return scores
    exponentials = np.exp(scores - scores.max())
    return np.asarray(exponentials / exponentials.sum())


def _card(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return what a self-describing checkpoint says: each of its texts is JSON."""
    card = {}
    for name in ("class_names", "width", "input_size", "pad_mode", "mean", "std"):
        if name in metadata:
            try:
                card[name] = parse_json(metadata[name])
            except ValueError as error:
                raise ConfigurationError(
                    f"the checkpoint's {name} is not JSON", code="not-json", name=name
                ) from error
    return card


def _transform(dataset: str, size: int, card: Mapping[str, Any]) -> Any:
    transform = dataset_transform(dataset)
    from sedna_tinyms.tinyms.vision import ImageFolderTransform

    if not isinstance(transform, ImageFolderTransform):
        return transform
    return ImageFolderTransform(
        transform.labels,
        size,
        card.get("mean", transform.mean),
        card.get("std", transform.std),
    )
