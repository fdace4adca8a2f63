"""SSD300 on a MobileNetV2: finds objects in pictures of 300 x 300.

Liu et al., "SSD: Single Shot MultiBox Detector" (2016), with TinyMS's parameter names. Six feature
maps, from 19 x 19 to 1 x 1, each say for their default boxes (see `ssd_boxes`) how far the
object lies off and what it is.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from mindspore import Tensor, nn, ops

from sedna_tinyms.tinyms.keywords import refuse_unknown, require_counts
from sedna_tinyms.tinyms.model.mobilenetv2 import (
    STAGES,
    ConvBNReLU,
    InvertedResidual,
    convolution,
)
from sedna_tinyms.tinyms.model.parameters import set_value
from sedna_tinyms.tinyms.ssd_boxes import CENTRE_VARIANCE, SIZE_VARIANCE, default_boxes

__all__ = ["SSD300", "SSD300Detector", "ssd300_infer", "ssd300_mobilenetv2"]

LAST_REDUCING_STAGE = 5
"""The stage of a MobileNetV2 that goes from 19 x 19 to 10 x 10."""

LAST_CHANNELS = 1280
EXTRA_BLOCKS = ((512, 0.2), (256, 0.25), (256, 0.5), (128, 0.25))
"""Channels and expansion of each block after the backbone; each halves height and width."""

BOXES_PER_CELL = (3, 6, 6, 6, 6, 6)

normalization = functools.partial(nn.BatchNorm2d, eps=1e-3, momentum=0.97)


def enlarge_depthwise(network: nn.Cell) -> None:
    """Draw depthwise filters as for one channel each, not as if they had all channels' inputs.

    MobileNetV2's rule makes what they give so small that normalization, which starts from a
    variance of 1 and moves by 3 % a step here, needs hundreds of steps to know it.
    """
    for _, cell in network.cells_and_names():
        if isinstance(cell, nn.Conv2d) and cell.group > 1:
            set_value(cell.weight, cell.weight.asnumpy() * np.sqrt(cell.group))


class SSDBackbone(nn.Cell):  # type: ignore[misc]
    """A MobileNetV2 that also gives the expanded map of its 14th block, 19 x 19.

    Attributes
    ----------
    channels : tuple of int
        Of the two maps.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Cell] = [ConvBNReLU(3, 32, 3, 2, 1, "same", normalization)]
        channels = 32
        for stage, (expansion, out_channels, blocks, first_stride) in enumerate(STAGES):
            if stage == LAST_REDUCING_STAGE:
                split, middle = len(layers), channels
            for block in range(blocks):
                stride = first_stride if block == 0 else 1
                layers.append(
                    InvertedResidual(
                        channels, out_channels, stride, expansion, "same", normalization
                    )
                )
                channels = out_channels
        layers.append(ConvBNReLU(channels, LAST_CHANNELS, 1, 1, 1, "same", normalization))
        self.channels = (6 * middle, LAST_CHANNELS)
        self.expand_layer_conv_13 = ConvBNReLU(middle, 6 * middle, 1, 1, 1, "same", normalization)
        self.features_1 = nn.SequentialCell(layers[:split])
        self.features_2 = nn.SequentialCell(layers[split:])

    def construct(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return maps of 1/16 and 1/32 of the picture's height and width."""
        middle = self.features_1(x)
        return self.expand_layer_conv_13(middle), self.features_2(middle)


class MultiBox(nn.Cell):  # type: ignore[misc]
    """Reads offsets and class scores of the default boxes from the feature maps."""

    def __init__(self, channels: tuple[int, ...], class_num: int) -> None:
        super().__init__()
        self.class_num = class_num
        self.multi_loc_layers = nn.CellList(
            [
                self._reader(width, boxes * 4)
                for width, boxes in zip(channels, BOXES_PER_CELL, strict=True)
            ]
        )
        self.multi_cls_layers = nn.CellList(
            [
                self._reader(width, boxes * class_num)
                for width, boxes in zip(channels, BOXES_PER_CELL, strict=True)
            ]
        )

    @staticmethod
    def _reader(channels: int, outputs: int) -> nn.SequentialCell:
        return nn.SequentialCell(
            [
                convolution(channels, channels, 3, 1, channels, "same"),
                normalization(channels),
                nn.ReLU6(),
                nn.Conv2d(channels, outputs, 1, has_bias=True),
            ]
        )

    def construct(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Return offsets (N, 1917, 4) and scores (N, 1917, class_num)."""
        offsets, scores = [], []
        for index in range(len(maps)):
            offset = self.multi_loc_layers[index](maps[index]).transpose(0, 2, 3, 1)
            score = self.multi_cls_layers[index](maps[index]).transpose(0, 2, 3, 1)
            offsets.append(offset.reshape(offset.shape[0], -1, 4))
            scores.append(score.reshape(score.shape[0], -1, self.class_num))
        return ops.concat(offsets, 1), ops.concat(scores, 1)


class SSD300(nn.Cell):  # type: ignore[misc]
    """The network for training; see `ssd300_mobilenetv2`.

    Parameters
    ----------
    class_num : int
        Number of classes, the background among them.

    Raises
    ------
    ConfigurationError
        If `class_num` is no whole number of at least 1.
    """

    def __init__(self, class_num: int = 21) -> None:
        super().__init__()
        require_counts("ssd300_mobilenetv2", {"class_num": class_num})
        self.class_num = class_num
        self.backbone = SSDBackbone()
        channels: tuple[int, ...] = self.backbone.channels
        blocks = []
        for out_channels, expansion in EXTRA_BLOCKS:
            blocks.append(
                InvertedResidual(channels[-1], out_channels, 2, expansion, "same", normalization)
            )
            channels += (out_channels,)
        self.multi_residual = nn.CellList(blocks)
        self.relu = nn.ReLU6()
        self.multi_box = MultiBox(channels, class_num)
        enlarge_depthwise(self)

    def construct(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return offsets (N, 1917, 4) and logits (N, 1917, class_num) of (N, 3, 300, 300)."""
        maps = self.backbone(x)
        last = maps[-1]
        for block in self.multi_residual:
            last = self.relu(block(last))
            maps += (last,)
        offsets, logits = self.multi_box(maps)
        return offsets, logits


class SSD300Detector(nn.Cell):  # type: ignore[misc]
    """The network for prediction: gives boxes instead of offsets.

    Attributes
    ----------
    network : SSD300
        As trained.
    """

    def __init__(self, network: SSD300) -> None:
        super().__init__()
        self.network = network
        self.centres = Tensor(default_boxes()[:, :2].copy())
        self.sizes = Tensor(default_boxes()[:, 2:].copy())

    def construct(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes (N, 1917, 4), as fractions (ymin, xmin, ymax, xmax), and probabilities."""
        offsets, logits = self.network(x)
        centres = self.centres + offsets[..., :2] * CENTRE_VARIANCE * self.sizes
        sizes = ops.exp(offsets[..., 2:] * SIZE_VARIANCE) * self.sizes
        corners = ops.concat((centres - sizes / 2, centres + sizes / 2), 2)
        return ops.clamp(corners, 0.0, 1.0), ops.sigmoid(logits)


def ssd300_mobilenetv2(
    class_num: int = 21, is_training: bool = True, **keywords: Any
) -> SSD300 | SSD300Detector:
    """Build an SSD300 on a MobileNetV2.

    Train it as ``Model(net_with_loss(ssd300_mobilenetv2()))`` on what
    ``voc_transform.apply_ds`` gives. After less than some thousand steps, call
    `settle_normalization` with network and dataset before it predicts.

    Parameters
    ----------
    class_num : int
        Number of classes, the background among them.
    is_training : bool
        True gives offsets and logits, what `SSD300WithLoss` needs. False gives boxes and
        probabilities; its parameters are the same behind the prefix ``network.``, and
        `load_weights` reads files of either into either.
    **keywords
        There are no others.

    Raises
    ------
    ConfigurationError
        If a keyword is unknown, or `class_num` out of its range.
    """
    refuse_unknown("ssd300_mobilenetv2", keywords, ["class_num", "is_training"])
    network = SSD300(class_num)
    return network if is_training else SSD300Detector(network)


def ssd300_infer(class_num: int = 21) -> SSD300Detector:
    """Build an SSD300 for prediction; TinyMS 0.1's name."""
    return SSD300Detector(SSD300(class_num))
