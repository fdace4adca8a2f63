"""A network's answers to pictures, on the fastest engine; and the ONNX file that gives the same."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
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

__all__ = ["Answers", "can_export"]

logger = logging.getLogger(__name__)

BATCH = 32
COMPARED = "compared_with_mindspore"
"""Entry of an ONNX file's metadata: the digest of the backbone that MindSpore computed alike."""
TOLERANCE = 1e-3


def can_export() -> bool:
    """Whether ONNX files can be run here, to be checked before they are published."""
    return bool(available_engines())


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
    """

    def __init__(self, network: MobileNetV2, card: ModelCard, engine: str = "auto") -> None:
        self.mark = mark_of(network, card)
        self.card = card
        self._network = Outputs(TrainedPart(network, 0))
        self._engine: Engine | None = None
        if engine != "mindspore" and (engine != "auto" or can_export()):
            self._engine = open_engine(_onnx(network, card), engine)

    def __deepcopy__(self, memo: dict[int, Any]) -> Answers:
        return self  # nothing here ever changes

    def to(self, pictures: Sequence[Picture]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the logits (N, classes) and the pooled features (N, D) of one picture or more."""
        size = self.card.input_size
        if len(pictures) <= BATCH:
            return self._of(load_pixels(pictures, size))
        parts = [self._of(pixels) for pixels in pixel_batches(pictures, size, BATCH)]
        logits, features = zip(*parts, strict=True)
        return np.concatenate(logits), np.concatenate(features)

    def _of(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if self._engine is not None:
            found = self._engine.run(pixels)
            return found["logits"], found["features"]
        return self._network.of(pixels, BATCH, self.card.normalize)


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
    pixels: NDArray[np.uint8],
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
    pixels : ndarray of uint8, shape (N, 3, H, W)
        What to compare with.
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
    digest = weights_digest(network)
    content = _onnx(network, card, digest)
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


def _onnx(network: MobileNetV2, card: ModelCard, compared: str = "") -> bytes:
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
