"""A network's answers to pictures, on the fastest engine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimators.evaluation import Answering
from estimators.model_card import ModelCard
from estimators.onnx_export import as_onnx, can_export
from sedna_tinyms.engine import Engine, open_engine
from sedna_tinyms.learning.layers import Outputs, TrainedPart, head_of, weights_digest
from sedna_tinyms.pictures import Picture, load_pixels, pixel_batches
from sedna_tinyms.tinyms.model import MobileNetV2

__all__ = ["Answers", "mark_of"]

BATCH = 32
FEW = 16
"""So many pictures go through MindSpore one by one: it computes a graph of one shape, and a batch
of 32 with 8 pictures in it takes as long as with 32. A shape between would be compiled for seconds.
"""


class Answers:
    """What a network said at one moment: its weights are copied, and later changes not noticed.

    Parameters
    ----------
    network : MobileNetV2
        The network.
    card : ModelCard
        What it is for.
    engine : str
        As for `sedna_tinyms.engine.open_engine`, or ``mindspore`` for the network itself, which is
        also what ``auto`` takes where no engine is installed.

    Attributes
    ----------
    mark : str
        Tells networks with other weights or classes apart: see `mark_of`.
    runs_on : str
        What computes, and why.
    """

    def __init__(self, network: MobileNetV2, card: ModelCard, engine: str = "auto") -> None:
        self.mark = mark_of(network, card)
        self.card = card
        self._network = Outputs(TrainedPart(network, 0))
        self._engine: Engine | None = None
        self.runs_on = f"mindspore: {'asked for' if engine == 'mindspore' else 'no engine'}"
        if engine != "mindspore" and (engine != "auto" or can_export()):
            self._engine = open_engine(as_onnx(network, card), engine)
            self.runs_on = str(self._engine.choice)

    def __deepcopy__(self, memo: dict[int, Any]) -> Answers:
        return self  # nothing here ever changes

    def answering(self) -> Answering:
        """Return what gives the logits of pixels, and what these depend on."""
        name = hashlib.sha256(f"{self.mark} {self.runs_on.partition(':')[0]}".encode()).hexdigest()
        return Answering(f"answers-{name[:40]}", lambda pixels: self._of(pixels, BATCH)[0])

    def to(self, pictures: Sequence[Picture]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the logits (N, classes) and the pooled features (N, D) of one picture or more."""
        size = self.card.input_size
        if len(pictures) <= BATCH:
            return self._of(load_pixels(pictures, size), 1 if len(pictures) <= FEW else BATCH)
        parts = [self._of(pixels, BATCH) for pixels in pixel_batches(pictures, size, BATCH)]
        logits, features = zip(*parts, strict=True)
        return np.concatenate(logits), np.concatenate(features)

    def _of(
        self, pixels: NDArray[np.uint8], at_once: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if self._engine is not None:
            found = self._engine.run(pixels)
            return found["logits"], found["features"]
        return self._network.of(pixels, at_once, self.card.normalize)


def mark_of(network: MobileNetV2, card: ModelCard) -> str:
    """Return a text that differs where weights or classes do."""
    digest = hashlib.sha256(weights_digest(network).encode())
    for array in head_of(network):
        digest.update(array.tobytes())
    return f"{digest.hexdigest()} {card}"
