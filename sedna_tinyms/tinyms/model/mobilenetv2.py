"""MobileNetV2 with TinyMS's parameter names, split into backbone and head."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from mindspore import Tensor, nn, ops

from sedna_tinyms.errors import ConfigurationError, Problems, did_you_mean
from sedna_tinyms.tinyms.keywords import refuse_unknown

__all__ = [
    "ConvBNReLU",
    "GlobalAvgPooling",
    "InvertedResidual",
    "MobileNetV2",
    "MobileNetV2Backbone",
    "MobileNetV2Head",
    "mobilenetv2",
    "mobilenetv2_infer",
]

STAGES = (
    # expansion, channels, blocks, stride of the first block (Sandler et al. 2018, table 2)
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
PAD_MODES = ("pad", "same")
Normalization: TypeAlias = Callable[[int], nn.Cell]


def round_channels(channels: float, divisor: int) -> int:
    """Round to the nearest multiple of `divisor`, never below 90 % of `channels`."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def convolution(
    in_channels: int, out_channels: int, kernel: int, stride: int, groups: int, pad_mode: str
) -> nn.Conv2d:
    """Return a convolution without bias, drawn from N(0, sqrt(2 / (k * k * out)))."""
    deviation = np.sqrt(2.0 / (kernel * kernel * out_channels))
    shape = (out_channels, in_channels // groups, kernel, kernel)
    return nn.Conv2d(
        in_channels,
        out_channels,
        kernel,
        stride,
        pad_mode=pad_mode,
        padding=(kernel - 1) // 2 if pad_mode == "pad" else 0,
        group=groups,
        has_bias=False,
        weight_init=Tensor(np.random.normal(0.0, deviation, shape).astype(np.float32)),
    )


class GlobalAvgPooling(nn.Cell):  # type: ignore[misc]
    """Mean over height and width: (N, C, H, W) to (N, C)."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = ops.ReduceMean(keep_dims=False)

    def construct(self, x: Tensor) -> Tensor:
        """Return the mean over the last two axes."""
        return self.mean(x, (2, 3))


class ConvBNReLU(nn.Cell):  # type: ignore[misc]
    """Convolution, batch normalization, ReLU6."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        groups: int = 1,
        pad_mode: str = "pad",
        norm: Normalization = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        self.features = nn.SequentialCell(
            [
                convolution(in_channels, out_channels, kernel_size, stride, groups, pad_mode),
                norm(out_channels),
                nn.ReLU6(),
            ]
        )

    def construct(self, x: Tensor) -> Tensor:
        """Return the activated map."""
        return self.features(x)


class InvertedResidual(nn.Cell):  # type: ignore[misc]
    """Expand, filter depthwise, project; add the input where the shapes allow it."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        expand_ratio: float,
        pad_mode: str = "pad",
        norm: Normalization = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        hidden = round(in_channels * expand_ratio)
        self.use_residual = stride == 1 and in_channels == out_channels
        layers = [
            ConvBNReLU(hidden, hidden, 3, stride, hidden, pad_mode, norm),
            convolution(hidden, out_channels, 1, 1, 1, pad_mode),
            norm(out_channels),
        ]
        if expand_ratio != 1:
            layers.insert(0, ConvBNReLU(in_channels, hidden, 1, 1, 1, pad_mode, norm))
        self.conv = nn.SequentialCell(layers)

    def construct(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        if self.use_residual:
            return x + self.conv(x)
        return self.conv(x)


class MobileNetV2Backbone(nn.Cell):  # type: ignore[misc]
    """All layers up to the last feature map, which is not pooled.

    Attributes
    ----------
    backbone : SequentialCell
        19 cells: the stem (0), 17 inverted residual blocks (1 to 17), the last convolution (18).
    out_channels : int
        Channels of the feature map.
    """

    def __init__(
        self,
        width_mult: float = 1.0,
        round_nearest: int = 8,
        input_channel: int = 32,
        last_channel: int = 1280,
        pad_mode: str = "pad",
    ) -> None:
        super().__init__()
        channels = round_channels(input_channel * width_mult, round_nearest)
        self.out_channels = round_channels(last_channel * max(1.0, width_mult), round_nearest)
        layers: list[nn.Cell] = [ConvBNReLU(3, channels, stride=2, pad_mode=pad_mode)]
        for expansion, base_channels, blocks, first_stride in STAGES:
            out_channels = round_channels(base_channels * width_mult, round_nearest)
            for block in range(blocks):
                stride = first_stride if block == 0 else 1
                layers.append(InvertedResidual(channels, out_channels, stride, expansion, pad_mode))
                channels = out_channels
        layers.append(ConvBNReLU(channels, self.out_channels, kernel_size=1, pad_mode=pad_mode))
        self.backbone = nn.SequentialCell(layers)

    def construct(self, x: Tensor) -> Tensor:
        """Return the feature map (N, out_channels, H / 32, W / 32)."""
        return self.backbone(x)


class MobileNetV2Head(nn.Cell):  # type: ignore[misc]
    """Global average pooling and one dense layer; softmax where `use_activation`."""

    def __init__(
        self, input_channel: int = 1280, class_num: int = 1000, use_activation: bool = False
    ) -> None:
        super().__init__()
        weight = np.random.normal(0.0, 0.01, (class_num, input_channel)).astype(np.float32)
        dense = nn.Dense(input_channel, class_num, weight_init=Tensor(weight), bias_init="zeros")
        layers = [GlobalAvgPooling(), dense]
        if use_activation:
            layers.append(nn.Softmax())
        self.head = nn.SequentialCell(layers)

    def construct(self, x: Tensor) -> Tensor:
        """Return logits, or probabilities, of shape (N, class_num)."""
        return self.head(x)


class MobileNetV2(nn.Cell):  # type: ignore[misc]
    """MobileNetV2 (Sandler et al. 2018) as TinyMS lays it out.

    The weights are drawn from NumPy's global generator, so `numpy.random.seed` fixes them.

    Parameters
    ----------
    class_num : int
        Number of classes.
    width_mult : float
        Factor on every layer's channels.
    round_nearest : int
        Channels are rounded to a multiple of this.
    input_channel : int
        Channels of the stem, before `width_mult`.
    last_channel : int
        Channels of the feature map; `width_mult` widens it but never narrows it.
    is_training : bool
        True gives logits; False appends a softmax. The parameters are the same.
    pad_mode : {"pad", "same"}
        Symmetric padding, as weights from PyTorch and MindSpore expect, or TensorFlow's.

    Attributes
    ----------
    backbone : MobileNetV2Backbone
        (N, 3, H, W) to a feature map (N, C, H / 32, W / 32).
    head : MobileNetV2Head
        Feature map to (N, class_num).

    Raises
    ------
    ConfigurationError
        If a parameter is out of its range.
    """

    def __init__(
        self,
        class_num: int = 1000,
        width_mult: float = 1.0,
        round_nearest: int = 8,
        input_channel: int = 32,
        last_channel: int = 1280,
        is_training: bool = True,
        pad_mode: str = "pad",
    ) -> None:
        super().__init__()
        problems = Problems()
        sizes = {
            "class_num": class_num,
            "round_nearest": round_nearest,
            "input_channel": input_channel,
            "last_channel": last_channel,
        }
        for name, value in sizes.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                problems.add(
                    f"{name} is {value!r}; it must be a whole number of at least 1",
                    code="out-of-range",
                    name=name,
                    value=value,
                )
        if not isinstance(width_mult, int | float) or not 0 < width_mult < float("inf"):
            problems.add(
                f"width_mult is {width_mult!r}; it must be a number above 0, such as 0.35",
                code="out-of-range",
                name="width_mult",
                value=width_mult,
            )
        if pad_mode not in PAD_MODES:
            hint = did_you_mean(pad_mode, PAD_MODES)
            problems.add(
                f"pad_mode is {pad_mode!r}{hint}; it must be 'pad' or 'same'",
                code="unknown-name",
                name="pad_mode",
                value=pad_mode,
                valid=PAD_MODES,
            )
        problems.raise_as(ConfigurationError, "MobileNetV2 cannot be built")

        self.backbone = MobileNetV2Backbone(
            width_mult, round_nearest, input_channel, last_channel, pad_mode
        )
        self.head = MobileNetV2Head(self.backbone.out_channels, class_num, not is_training)

    def construct(self, x: Tensor) -> Tensor:
        """Return logits, or probabilities, of shape (N, class_num)."""
        return self.head(self.backbone(x))


def mobilenetv2(class_num: int = 1000, is_training: bool = True, **keywords: Any) -> MobileNetV2:
    """Build a `MobileNetV2`; `keywords` are its other parameters.

    Raises
    ------
    ConfigurationError
        If a keyword is unknown or a value out of its range.
    """
    valid = list(inspect.signature(MobileNetV2.__init__).parameters)[1:]
    refuse_unknown("mobilenetv2", keywords, valid)
    return MobileNetV2(class_num, is_training=is_training, **keywords)


def mobilenetv2_infer(class_num: int = 1000) -> MobileNetV2:
    """Build a `MobileNetV2` that gives probabilities; TinyMS 0.1's name."""
    return MobileNetV2(class_num, is_training=False)
