"""A MobileNetV2 that already tells the drawn colours apart: trained once, by ``make_models.py``."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from drawn_pictures import COLOURS
from numpy.typing import NDArray
from small_checkpoint import checkpoint

from estimators.model_card import ModelCard
from sedna_tinyms.learning.memory import PIXELS, ReplayMemory
from sedna_tinyms.pictures import Picture, load_pixels

NAMES = tuple(COLOURS)
SIZE, WIDTH = 32, 0.1
CARD = ModelCard(NAMES, WIDTH, SIZE)
HEAD = ("head.head.1.weight", "head.head.1.bias")


@cache
def _weights() -> Mapping[str, NDArray[np.float16]]:
    with np.load(Path(__file__).parent / "colours.npz") as archive:
        return dict(archive)


def weights(class_names: Sequence[str] = NAMES) -> dict[str, NDArray[np.float32]]:
    """Return the weights by parameter, with outputs for some of the colours, in that order."""
    arrays = {name: array.astype(np.float32) for name, array in _weights().items()}
    rows = [NAMES.index(name) for name in class_names]
    return arrays | {name: arrays[name][rows] for name in HEAD}


def write_model(
    path: Path,
    class_names: Sequence[str] = NAMES,
    *,
    remembered: Sequence[tuple[Picture, str]] = (),
    changes: Mapping[str, Any] | None = None,
    said: Mapping[str, str] | None = None,
) -> Path:
    """Write a model file without MindSpore, as an estimator saves it, and return its path.

    Parameters
    ----------
    path : Path
        The model file.
    class_names : sequence of str
        Which colours it knows.
    remembered : sequence of (picture, colour), optional
        What its replay memory, beside it, holds as pixels of the round ``round-1``.
    changes : mapping of str to ndarray, optional
        Other values for some parameters.
    said : mapping of str to str, optional
        What it says about itself; by default, the truth.
    """
    card = ModelCard(tuple(class_names), WIDTH, SIZE)
    arrays = weights(class_names) | dict(changes or {})
    path.write_bytes(checkpoint(arrays, card.metadata() if said is None else said))
    if remembered:
        pictures, labels = zip(*remembered, strict=True)
        memory = ReplayMemory(3 * SIZE * SIZE * len(labels), space=PIXELS)
        memory.update(load_pixels(pictures, SIZE), labels, "round-1")
        memory.save(path.with_suffix(".memory.npz"))
    return path


def copied(model: Path, directory: Path) -> Path:
    """Copy a model and all that lies beside it; return its new path."""
    for file in model.parent.glob(f"{model.stem}.*"):
        shutil.copy(file, directory)
    return directory / model.name
