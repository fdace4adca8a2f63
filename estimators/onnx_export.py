"""The ONNX file of a MobileNetV2: the same answers without MindSpore, compared before its use."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from importlib.util import find_spec

import mindspore
import numpy as np
from numpy.typing import NDArray

from estimators.model_card import ModelCard
from estimators.quantized import Quantizer, Remembered, typical_pictures
from estimators.samples import Samples
from sedna_tinyms.engine import available_engines, open_engine
from sedna_tinyms.engine.onnx_file import read_onnx
from sedna_tinyms.errors import ModelFileError
from sedna_tinyms.learning.layers import Outputs, TrainedPart, head_of
from sedna_tinyms.pictures import load_pixels
from sedna_tinyms.tinyms.model import MobileNetV2
from sedna_tinyms.tinyms.model.mobilenetv2_onnx import check_onnx, mobilenetv2_onnx

__all__ = ["OnnxExport", "as_onnx", "can_export"]

COMPARED = "compared_with_mindspore"
"""Entry of an ONNX file's metadata: the digest of the backbone that MindSpore computed alike."""

HEAD = "head."
"""What the names of the classifier's arrays begin with."""

TOLERANCE = 1e-3

COMPARED_PICTURES = 2
"""How many pictures of a round a file is compared on; noise, where nothing was trained."""


def can_export() -> bool:
    """Whether ONNX files can be written here, and run to be checked before they are published."""
    return find_spec("onnx") is not None and bool(available_engines())


def as_onnx(network: MobileNetV2, card: ModelCard) -> bytes:
    """Return a network as an ONNX file's content."""
    return mobilenetv2_onnx(
        network,
        input_size=card.input_size,
        mean=card.mean,
        std=card.std,
        metadata=card.metadata(),
    )


class OnnxExport:
    """Makes the ONNX file of an estimator's network, round after round.

    MindSpore computes a backbone once; after that it is known to be the same in ONNX, and where
    only the head changed, the head is checked.

    Parameters
    ----------
    quantize : {"int8"}, optional
        What the file computes in.

    Raises
    ------
    MissingExtraError
        If ONNX Runtime's quantizer is needed and not installed.
    """

    def __init__(self, quantize: str | None = None) -> None:
        self._quantizer = Quantizer() if quantize else None
        self._compared: str | None = None
        self._seen: NDArray[np.uint8] | None = None

    def look_at(
        self, samples: Samples, size: int, remembered: Callable[[], Remembered | None]
    ) -> None:
        """Take pictures of a round, and of those before, to compare and to calibrate with.

        Parameters
        ----------
        samples : Samples
            The round's.
        size : int
            Height and width to bring them to.
        remembered : callable
            Returns pixels (M, 3, size, size) of earlier rounds and their classes (M,), or None;
            asked only if the file is quantized.
        """
        self._seen = load_pixels(samples.pictures[:COMPARED_PICTURES], size)
        if self._quantizer is not None:
            pictures = typical_pictures(samples.pictures, samples.labels, size, remembered())
            self._quantizer.calibrate_on(pictures)

    def go_on_from(self, path: str | os.PathLike[str]) -> None:
        """Take an earlier file's word, if there is one, for which backbone was compared."""
        try:
            self._compared = dict(read_onnx(path).metadata).get(COMPARED)
        except ModelFileError:
            self._compared = None

    def costs(self, network: MobileNetV2, card: ModelCard) -> dict[str, list[float]]:
        """Return what a trained network loses as int8, as metrics; nothing if it stays float32."""
        if self._quantizer is None:
            return {}
        start = time.perf_counter()
        content, _ = _marked(as_onnx(network, card))
        metrics = self._quantizer.file_of(content).metrics()
        return metrics | {"seconds_quantizing": [time.perf_counter() - start]}

    def content(self, network: MobileNetV2, card: ModelCard) -> bytes:
        """Return the file's content, after it gave what MindSpore gives.

        Raises
        ------
        ModelFileError
            If the outputs differ.
        ConfigurationError
            If it is to be quantized, and nothing was trained.
        """
        content, digest = _marked(as_onnx(network, card))
        pixels = _any_pixels(card.input_size) if self._seen is None else self._seen
        if digest != self._compared:
            check_onnx(content, pixels, _computed_by_mindspore(network, card.normalize(pixels)))
            self._compared = digest
        else:
            _check_head(content, pixels[:2], network)
        return content if self._quantizer is None else self._quantizer.file_of(content).content


def _marked(content: bytes) -> tuple[bytes, str]:
    """Note in a file which backbone it has; return it, and the digest of all but the classifier.

    What is digested is the graph itself: a file that another release wrote otherwise, for another
    input or normalization, is compared again.
    """
    import onnx

    model = onnx.load_from_string(content)
    digest = hashlib.sha256(model.graph.input[0].SerializeToString())
    for node in model.graph.node:
        if not any(name.startswith(HEAD) for name in node.input):
            digest.update(node.SerializeToString())
    for array in model.graph.initializer:
        if not array.name.startswith(HEAD):
            digest.update(array.SerializeToString())
    model.metadata_props.add(key=COMPARED, value=digest.hexdigest())
    return model.SerializeToString(), digest.hexdigest()


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
            f"{difference:.2g} of the largest; {TOLERANCE:.2g} is allowed",
            code="damaged",
            value=difference,
            expected=TOLERANCE,
        )


def _any_pixels(size: int) -> NDArray[np.uint8]:
    """Return a picture for a model that has seen none: noise, coarse enough to reach the end."""
    coarse = np.random.default_rng(0).integers(0, 256, (1, 3, 8, 8), np.uint8)
    repeated = coarse.repeat(-(-size // 8), axis=2).repeat(-(-size // 8), axis=3)
    return repeated[:, :, :size, :size]
