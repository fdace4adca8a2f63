"""A network's answers to pictures, on the fastest engine; and the ONNX file that gives the same."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import mindspore
import numpy as np
from numpy.typing import NDArray

from estimators.model_card import ModelCard
from sedna_tinyms.artifact.files import write_file
from sedna_tinyms.engine import Engine, available_engines, open_engine
from sedna_tinyms.errors import ModelFileError
from sedna_tinyms.learning.layers import Outputs, TrainedPart, head_of, weights_digest
from sedna_tinyms.pictures import Picture, load_pixels, pixel_batches
from sedna_tinyms.tinyms.model import MobileNetV2
from sedna_tinyms.tinyms.model.mobilenetv2_onnx import check_onnx, mobilenetv2_onnx

__all__ = ["Answers", "as_onnx", "can_export", "compared_in", "mark_of", "write_onnx"]

logger = logging.getLogger(__name__)

BATCH = 32
FEW = 16
"""So many pictures go through MindSpore one by one: it computes a graph of one shape, and a batch
of 32 with 8 pictures in it takes as long as with 32. A shape between would be compiled for seconds.
"""
COMPARED = "compared_with_mindspore"
"""Entry of an ONNX file's metadata: the digest of the backbone that MindSpore computed alike."""
TOLERANCE = 1e-3


def can_export() -> bool:
    """Whether ONNX files can be written here, and run to be checked before they are published."""
    return find_spec("onnx") is not None and bool(available_engines())


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


def write_onnx(
    network: MobileNetV2,
    card: ModelCard,
    path: str | os.PathLike[str],
    pixels: NDArray[np.uint8] | None,
    compared: str | None,
) -> str:
    """Write a network as ONNX, after it gave what MindSpore gives for real pixels.

    MindSpore computes a backbone once; after that it is known to be the same in ONNX, and where
    only the head changed, the head is checked.

    Parameters
    ----------
    network, card
        The network.
    path : path
        The file.
    pixels : ndarray of uint8, shape (N, 3, H, W), or None
        What to compare with; noise by default.
    compared : str or None
        What this function returned last, or `compared_in` found in a file.

    Returns
    -------
    str
        The digest of the backbone that was compared with MindSpore.

    Raises
    ------
    ModelFileError
        If the outputs differ; nothing is written.
    """
    if pixels is None:
        pixels = _any_pixels(card.input_size)
    digest = weights_digest(network)
    content = as_onnx(network, card, digest)
    if digest != compared:
        check_onnx(content, pixels, _computed_by_mindspore(network, card.normalize(pixels)))
    else:
        _check_head(content, pixels[:2], network)
    with write_file(path) as temporary:
        temporary.write_bytes(content)
    return digest


def compared_in(path: str | os.PathLike[str]) -> str | None:
    """Return the digest of the backbone in an ONNX file that was compared with MindSpore's."""
    from sedna_tinyms.engine.onnx_file import read_onnx

    try:
        return dict(read_onnx(path).metadata).get(COMPARED)
    except ModelFileError:
        return None


def as_onnx(network: MobileNetV2, card: ModelCard, compared: str = "") -> bytes:
    """Return a network as an ONNX file's content.

    Parameters
    ----------
    network, card
        The network.
    compared : str
        The digest of its backbone, if that was compared with MindSpore, or will be before the file
        is written.
    """
    metadata = card.metadata() | ({COMPARED: compared} if compared else {})
    return mobilenetv2_onnx(
        network,
        input_size=card.input_size,
        mean=card.mean,
        std=card.std,
        metadata=metadata,
    )


def _computed_by_mindspore(
    network: MobileNetV2, inputs: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    """Compute both outputs layer by layer: compiling the network would take seconds."""
    mode = mindspore.get_context("mode")
    mindspore.set_context(mode=mindspore.PYNATIVE_MODE)
    try:
        whole = Outputs(TrainedPart(network, 0))
        logits, features = whole.of(inputs, len(inputs), np.asarray)
    finally:
        mindspore.set_context(mode=mode)
    return {"logits": logits, "features": features}


def _check_head(content: bytes, pixels: NDArray[np.uint8], network: MobileNetV2) -> None:
    with open_engine(content, available_engines()[0]) as engine:
        found = engine.run(pixels)
    weight, bias = head_of(network)
    wanted = found["features"] @ weight.T + bias
    difference = float(np.abs(found["logits"] - wanted).max() / max(np.abs(wanted).max(), 1e-6))
    if not difference <= TOLERANCE:
        raise ModelFileError(
            f"the ONNX model is not published: its logits differ from the head's by up to "
            f"{difference:.2g} of the largest; {TOLERANCE:.2g} is allowed"
        )


def _any_pixels(size: int) -> NDArray[np.uint8]:
    """Return a picture for a model that has seen none: noise, coarse enough to reach the end."""
    coarse = np.random.default_rng(0).integers(0, 256, (1, 3, 8, 8), np.uint8)
    repeated = coarse.repeat(-(-size // 8), axis=2).repeat(-(-size // 8), axis=3)
    return repeated[:, :, :size, :size]
