"""The int8 form of a model's ONNX file, and what it costs in accuracy."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.engine.quantization import QuantizationReport, quantize, require_quantizer
from sedna_tinyms.errors import ConfigurationError
from sedna_tinyms.pictures import Picture, load_pixels

__all__ = ["Quantized", "Quantizer", "Remembered", "TypicalPictures", "typical_pictures"]

Remembered: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Pixels (M, 3, H, W) of earlier rounds, and their classes (M,)."""

CALIBRATED = 100
"""The most pictures that tell the ranges of int8; as many others measure what it costs."""


class TypicalPictures(NamedTuple):
    """What an edge device may get to see.

    Attributes
    ----------
    calibration : ndarray of uint8, shape (N, 3, H, W)
        They tell the ranges.
    measured : ndarray of uint8, shape (M, 3, H, W)
        Other ones, if there are several, to measure the cost with.
    labels : ndarray of int64, shape (M,)
        Their classes.
    """

    calibration: NDArray[np.uint8]
    measured: NDArray[np.uint8]
    labels: NDArray[np.int64]


class Quantized(NamedTuple):
    """An int8 file.

    Attributes
    ----------
    content : bytes
        The file.
    report : QuantizationReport
        What it costs.
    """

    content: bytes
    report: QuantizationReport

    @classmethod
    def of(cls, content: bytes, pictures: TypicalPictures) -> Quantized:
        """Make the int8 form of an ONNX file's content."""
        with tempfile.TemporaryDirectory(prefix="sedna-tinyms-") as directory:
            path = Path(directory, "int8.onnx")
            report = quantize(
                content,
                pictures.calibration,
                path,
                samples=pictures.measured,
                labels=pictures.labels,
            )
            return cls(path.read_bytes(), report)

    def metrics(self) -> dict[str, list[float]]:
        """Return what it costs as metrics of a training."""
        figures = {
            "accuracy_float32": self.report.accuracy_before,
            "accuracy_int8": self.report.accuracy_after,
            "agreement_int8": self.report.agreement,
        }
        return {name: [value] for name, value in figures.items() if value is not None}


class Quantizer:
    """Makes the int8 form of ONNX files with the pictures of the round that they are from.

    Raises
    ------
    MissingExtraError
        If ONNX Runtime's quantizer is not installed.
    """

    def __init__(self) -> None:
        require_quantizer()
        self._pictures: TypicalPictures | None = None
        self._made: tuple[str, Quantized] | None = None

    def calibrate_on(self, pictures: TypicalPictures) -> None:
        """Set what files are made with from now on."""
        self._pictures, self._made = pictures, None

    def file_of(self, content: bytes) -> Quantized:
        """Return the int8 form of a file's content; it is made once.

        Raises
        ------
        ConfigurationError
            If there are no pictures to calibrate it with.
        """
        if self._pictures is None:
            raise ConfigurationError(
                "quantize is 'int8', which needs pictures to find its ranges, and nothing was "
                "trained with this estimator: train it, or set no quantize to save what was loaded",
                code="missing-value",
                name="quantize",
                value="int8",
            )
        digest = hashlib.sha256(content).hexdigest()
        if self._made is None or self._made[0] != digest:
            self._made = digest, Quantized.of(content, self._pictures)
        return self._made[1]


def typical_pictures(
    pictures: Sequence[Picture],
    labels: NDArray[np.int64],
    size: int,
    remembered: Remembered | None = None,
) -> TypicalPictures:
    """Choose pictures evenly from those of a round and those that are remembered as pixels.

    A memory of activations has no pictures to give; those of the round are all there is then.

    Parameters
    ----------
    pictures : sequence of picture, length N
        The round's.
    labels : ndarray of int64, shape (N,)
        Their classes.
    size : int
        Height and width to bring them to.
    remembered : ndarray of uint8, shape (M, 3, size, size), and ndarray of int64, optional
        What is remembered, and its classes.
    """
    earlier = 0 if remembered is None else len(remembered[1])
    every = earlier + len(labels)
    chosen = np.linspace(0, every - 1, min(every, 2 * CALIBRATED)).astype(int)
    pixels = load_pixels([pictures[index - earlier] for index in chosen if index >= earlier], size)
    classes = labels
    if remembered is not None:
        pixels = np.concatenate([remembered[0][chosen[chosen < earlier]], pixels])
        classes = np.concatenate([remembered[1], labels])
    classes = classes[chosen]
    others = slice(1 if len(chosen) > 1 else 0, None, 2)
    return TypicalPictures(pixels[::2], pixels[others], classes[others])
