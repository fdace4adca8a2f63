"""MobileNetV2 as ONNX, written straight from its weights.

MindSpore's own export compiles the network, which takes seconds, and fixes the batch axis. The
graph is known, so it is written node by node here: batch normalizations folded into the
convolutions in front of them, any number of samples, the pooled features beside the logits.
`publish_onnx` computes real samples with the file before it takes its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sedna_tinyms.collector import collector_paused
from sedna_tinyms.errors import ConfigurationError
from sedna_tinyms.tinyms.model.mobilenetv2_graph import (
    BACKBONE_CELLS,
    GraphWriter,
    Weights,
)
from sedna_tinyms.tinyms.model.onnx_check import check_onnx, publish_onnx

if TYPE_CHECKING:
    from mindspore import nn

__all__ = [
    "BACKBONE_CELLS",
    "check_onnx",
    "frozen_onnx",
    "mobilenetv2_onnx",
    "publish_onnx",
]


@collector_paused()
def mobilenetv2_onnx(
    network: nn.Cell | Weights,
    *,
    input_size: int,
    pad_mode: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    metadata: Mapping[str, str | int | float] | None = None,
) -> bytes:
    """Return a MobileNetV2 as ONNX for prediction.

    Parameters
    ----------
    network : MobileNetV2, or mapping of str to ndarray
        The network, or its parameters by name.
    input_size : int
        Height and width in pixels, at least 32.
    pad_mode : {"pad", "same"}, optional
        The network's own by default; "pad" for weights alone.
    mean, std : sequence of three floats, optional
        Per channel, for pixels from 0 to 255: the model then takes uint8 pixels and normalizes
        them itself. Without them it takes normalized float32.
    metadata : mapping, optional
        Texts and numbers to store in ``metadata_props``.

    Returns
    -------
    bytes
        An ONNX file's content. Input ``pixels`` (N, 3, H, W); outputs ``logits`` (N, classes) and
        ``features``, the pooled feature map (N, 1280 at widths up to 1).

    Raises
    ------
    MissingExtraError
        If the `onnx` package is not installed.
    ConfigurationError
        If an argument is out of its range.
    ForeignModelError
        If the parameters are not a MobileNetV2's.
    """
    writer = GraphWriter(network, input_size, pad_mode, mean, std)
    pooled = writer.pool(writer.backbone(BACKBONE_CELLS))
    features = writer.node("Flatten", [pooled], "features", axis=1)
    weight, bias = writer.weight("head.head.1.weight"), writer.weight("head.head.1.bias")
    names = [writer.constant("head.weight", weight), writer.constant("head.bias", bias)]
    logits = writer.node("Gemm", [features, *names], "logits", transB=1)
    outputs = {logits: (len(weight),), features: (weight.shape[1],)}
    return writer.model(outputs, metadata)


@collector_paused()
def frozen_onnx(
    network: nn.Cell | Weights,
    cut: int,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    *,
    input_size: int,
    pad_mode: str | None = None,
    metadata: Mapping[str, str | int | float] | None = None,
) -> bytes:
    """Return the first `cut` cells of a MobileNetV2's backbone as ONNX.

    Parameters
    ----------
    network, mean, std, input_size, pad_mode, metadata
        As for `mobilenetv2_onnx`.
    cut : int
        1 to 19 cells; after all 19 comes the pooling.

    Returns
    -------
    bytes
        An ONNX file's content. Input ``pixels`` (N, 3, H, W); output ``activations``
        (N, C, H', W'), with H' and W' of 1 where `cut` is 19.

    Raises
    ------
    MissingExtraError, ConfigurationError, ForeignModelError
        As `mobilenetv2_onnx`.
    """
    if not 1 <= cut <= BACKBONE_CELLS:
        raise ConfigurationError(
            f"cut is {cut}; it must lie in 1 to {BACKBONE_CELLS}",
            code="out-of-range",
            name="cut",
            value=cut,
        )
    writer = GraphWriter(network, input_size, pad_mode, mean, std)
    activations = writer.backbone(cut)
    if cut == BACKBONE_CELLS:
        writer.pool(activations)
    writer.rename_last("activations")
    shape = (writer.channels, writer.size, writer.size)
    return writer.model({"activations": shape}, metadata)
