"""The part of a network that stays as it is, on the fastest engine installed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.engine import (
    Choice,
    Engine,
    available_engines,
    choose_engine,
    open_engine,
    usable_cores,
)
from sedna_tinyms.learning.activations import BATCH
from sedna_tinyms.learning.cache import space_name
from sedna_tinyms.learning.layers import FrozenPart, forward, weights_digest
from sedna_tinyms.tinyms.model import MobileNetV2
from sedna_tinyms.tinyms.model.mobilenetv2_onnx import frozen_onnx

__all__ = ["FrozenBackbone"]

logger = logging.getLogger(__name__)

KEPT_AS = np.float16
"""Activations lie in [-40, 40] or so, and are noisier than half precision is coarse."""


class FrozenBackbone:
    """The first cells of a MobileNetV2, from pixels to activations, as they are now.

    An engine is opened by the first `run`, while the next pictures are being decoded; where all
    activations are cached, none is.

    Parameters
    ----------
    network : MobileNetV2
        The network.
    cut : int
        How many of its backbone's cells; the pooling is behind all 19.
    input_size : int
        Height and width of the pixels.
    mean, std : sequence of three floats
        What the network's input is normalized with.
    engine : str
        As for `sedna_tinyms.engine.open_engine`; ``mindspore`` for the network itself, which is
        also what ``auto`` takes where no engine is installed.
    precision : str
        As for `open_engine`.
    space : str, optional
        What `space_of` gives, if that is known.

    Attributes
    ----------
    choice : Choice
        What computes, in which precision, and why.
    space : str
        Names what the activations are: of which weights, pixels and layer. Activations of one space
        may stand side by side, as those of a replay memory that was filled in another precision do.
    cached_as : str
        Names the precision too: what a round learns from must not depend on what others, who
        computed more or less precisely, have cached.
    computed : int
        Pictures that went through it.
    """

    def __init__(
        self,
        network: MobileNetV2,
        cut: int,
        *,
        input_size: int,
        mean: Sequence[float],
        std: Sequence[float],
        engine: str = "auto",
        precision: str = "auto",
        space: str | None = None,
    ) -> None:
        self.computed = 0
        self.space = space or self.space_of(network, cut, input_size, mean, std)
        self._mean, self._std = (np.array(v, np.float32)[:, None, None] for v in (mean, std))
        self._model: FrozenPart | bytes | Engine  # a file's content becomes an engine
        if engine == "mindspore" or (engine == "auto" and not available_engines()):
            self._model = FrozenPart(network, cut)
            reason = "asked for" if engine == "mindspore" else "no engine is installed"
            self.choice = Choice("mindspore", "f32", usable_cores(), reason)
        else:
            self._model = frozen_onnx(network, cut, mean, std, input_size=input_size)
            self.choice = choose_engine(self._model, engine, precision=precision, batch=BATCH)
        self.cached_as = f"{self.space}-{self.choice.precision}"
        logger.info("%d frozen cells run on %s", cut, self.choice)

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenBackbone:
        return self  # what it computes never changes

    @staticmethod
    def space_of(
        network: MobileNetV2, cut: int, input_size: int, mean: Sequence[float], std: Sequence[float]
    ) -> str:
        """Return the `space` of such a part."""
        padding = network.backbone.backbone[0].features[0].pad_mode
        return space_name(
            transform=f"crop {input_size} {tuple(mean)} {tuple(std)} {padding}",
            weights_digest=weights_digest(network, cut),
            cut=cut,
            dtype=KEPT_AS,
        )

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Return the activations (N, C, H, W) of pixels (N, 3, height, width)."""
        if isinstance(self._model, bytes):
            self._model = open_engine(self._model, self.choice)
        if isinstance(self._model, Engine):
            found = self._model.run(pixels)["activations"]
        else:
            found = forward(self._model, pixels, BATCH, self._normalized)
        self.computed += len(pixels)
        return found.astype(KEPT_AS)

    def _normalized(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        normalized: NDArray[np.float32] = (pixels.astype(np.float32) - self._mean) / self._std
        return normalized
