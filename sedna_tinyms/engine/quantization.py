"""int8: a quarter of the bytes, for some accuracy, which is measured."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.artifact.files import write_file
from sedna_tinyms.engine.engine import Engine
from sedna_tinyms.engine.onnx_file import read_onnx
from sedna_tinyms.engine.opening import open_engine
from sedna_tinyms.errors import ConfigurationError, did_you_mean, extra

__all__ = ["QuantizationReport", "quantize", "require_quantizer"]

PREPARED = ("onnx.quant.pre_process", "onnxruntime.quant")
"""Tells ONNX Runtime that the graph is as simple as it gets: batch normalizations are folded."""


@dataclass(frozen=True)
class QuantizationReport:
    """What quantisation saved and what it cost, on the samples it was measured with.

    Attributes
    ----------
    samples : int
        How many it was measured with.
    bytes_before, bytes_after : int
        Sizes of the files.
    agreement : float
        Share of the samples for which both models name the same class.
    difference : float
        Root mean square of the outputs' differences, relative to that of the outputs.
    accuracy_before, accuracy_after : float or None
        Share of the samples whose class is right; None without labels.
    """

    samples: int
    bytes_before: int
    bytes_after: int
    agreement: float
    difference: float
    accuracy_before: float | None = None
    accuracy_after: float | None = None

    def __str__(self) -> str:
        accuracy = ""
        if self.accuracy_before is not None and self.accuracy_after is not None:
            accuracy = f"accuracy {self.accuracy_before:.3f} -> {self.accuracy_after:.3f}, "
        return (
            f"int8: {self.bytes_before / 1e6:.1f} -> {self.bytes_after / 1e6:.1f} MB, {accuracy}"
            f"the same class for {self.agreement:.1%} of {self.samples} samples, "
            f"outputs differ by {self.difference:.1%}"
        )


def require_quantizer() -> None:
    """Make sure that `quantize` has what it needs, before work is done that ends in it.

    Raises
    ------
    MissingExtraError
        If ONNX Runtime, its quantizer, or `onnx` is not installed.
    """
    with extra("mindspore", "quantisation"):
        import onnx  # noqa: F401
        import onnxruntime.quantization  # noqa: F401


def quantize(
    model: str | os.PathLike[str] | bytes,
    calibration: NDArray[Any],
    path: str | os.PathLike[str],
    *,
    samples: NDArray[Any] | None = None,
    labels: Sequence[int] | NDArray[Any] | None = None,
    output: str = "logits",
    reduce_range: bool = False,
) -> QuantizationReport:
    """Write an ONNX model whose convolutions compute in int8, and measure what that costs.

    Static quantisation: weights in int8 by channel, activations in uint8 in the ranges that they
    take for `calibration`, both written as QuantizeLinear and DequantizeLinear.

    Parameters
    ----------
    model : path or bytes
        An ONNX file in float32, or its content.
    calibration : ndarray, shape ``(N, *input_shape)``
        Typical inputs, such as those of a replay memory; 100 are enough.
    path : path
        The file to write or replace, whole or not at all. Every engine runs it.
    samples : ndarray, optional
        Inputs to measure the cost with; those of the calibration by default.
    labels : sequence of int, optional
        The classes of `samples`, for the accuracy.
    output : str
        The output that names the class by its largest value.
    reduce_range : bool
        Use 7 of the weights' 8 bits, for edge devices with an x86-64 processor without VNNI
        instructions (before 2019): it adds products in 16 bits, which saturate with all 8.

    Raises
    ------
    ModelFileError
        If the model is missing or broken.
    ConfigurationError
        If inputs or labels do not fit the model.
    MissingExtraError
        If ONNX Runtime or `onnx` is not installed.
    StorageError
        If the file cannot be written.
    """
    with extra("mindspore", "quantisation"):
        import onnx
        from onnxruntime import quantization
    samples = calibration if samples is None else samples
    if labels is not None and len(labels) != len(samples):
        raise ConfigurationError(
            f"there are {len(labels)} labels for {len(samples)} samples",
            code="wrong-length",
            name="labels",
            value=len(labels),
            expected=len(samples),
        )
    file = read_onnx(model)
    with open_engine(file.content, "onnxruntime") as engine:
        engine.check(calibration)
        before = _outputs(engine, samples, output)
    with tempfile.TemporaryDirectory(prefix="sedna-tinyms-") as directory:
        prepared, written = Path(directory, "float.onnx"), Path(directory, "int8.onnx")
        network = onnx.load_from_string(file.content)
        network.metadata_props.add(key=PREPARED[0], value=PREPARED[1])
        onnx.save(network, prepared)
        quantization.quantize_static(
            prepared,
            written,
            _Inputs(file.input.name, calibration),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            reduce_range=reduce_range,
        )
        network = onnx.load(written)
    del network.metadata_props[:]
    onnx.helper.set_model_props(network, {**file.metadata, "quantization": "int8"})
    content = network.SerializeToString()
    with open_engine(content, "onnxruntime") as engine:
        after = _outputs(engine, samples, output)
    with write_file(path) as temporary:
        temporary.write_bytes(content)
    return _report(before, after, labels, len(file.content), len(content))


class _Inputs:
    """What ONNX Runtime's calibration reads: one sample after the other, then None."""

    def __init__(self, name: str, samples: NDArray[Any]) -> None:
        self._samples = iter([{name: samples[i : i + 1]} for i in range(len(samples))])

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        return next(self._samples, None)


def _outputs(engine: Engine, samples: NDArray[Any], output: str) -> NDArray[np.float32]:
    if output not in engine.output_names:
        hint = did_you_mean(output, engine.output_names)
        raise ConfigurationError(
            f"the model has no output {output!r}{hint}, but {', '.join(engine.output_names)}",
            code="unknown-name",
            name="output",
            value=output,
            valid=engine.output_names,
        )
    return engine.run(samples)[output]


def _report(
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    labels: Sequence[int] | NDArray[Any] | None,
    bytes_before: int,
    bytes_after: int,
) -> QuantizationReport:
    classes, found = before.argmax(1), after.argmax(1)
    accuracies: tuple[float | None, float | None] = (None, None)
    if labels is not None:
        right = np.asarray(labels)
        accuracies = float(np.mean(classes == right)), float(np.mean(found == right))
    scale = float(np.sqrt(np.mean(before**2)))
    difference = float(np.sqrt(np.mean((after - before) ** 2)))
    return QuantizationReport(
        len(before),
        bytes_before,
        bytes_after,
        float(np.mean(classes == found)),
        difference / scale if scale else difference,
        *accuracies,
    )
