"""MobileNetV2 and LeNet-5 in PyTorch, layer for layer as the TinyMS core has them."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

STAGES = (
    # expansion, channels, blocks, stride of the first block; our own table would bring MindSpore
    # into PyTorch's process, and its memory
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Module:
    """Return convolution, batch normalization and ReLU6."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):  # type: ignore[misc]
    """Expand, filter depthwise, project; add the input where the shapes allow it."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.adds = stride == 1 and inputs == outputs
        self.layers = nn.Sequential(
            *([convolution(inputs, hidden, 1)] if expansion != 1 else []),
            convolution(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        return x + self.layers(x) if self.adds else self.layers(x)


def mobilenetv2(classes: int, width: float = 1.0) -> nn.Module:
    """Return MobileNetV2 with `width` times as many channels in every layer."""
    channels, last = rounded(32 * width), rounded(1280 * max(1.0, width))
    layers: list[nn.Module] = [convolution(3, channels, 3, stride=2)]
    for expansion, full_width, blocks, first_stride in STAGES:
        for block in range(blocks):
            stride = first_stride if block == 0 else 1
            outputs = rounded(full_width * width)
            layers.append(InvertedResidual(channels, outputs, stride, expansion))
            channels = outputs
    layers += [convolution(channels, last, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(last, classes))


def rounded(channels: float) -> int:
    """Round to the nearest multiple of 8, never below 90 % of `channels`."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


def lenet5(classes: int) -> nn.Module:
    """Return LeNet-5 with ReLU and max pooling."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 6, 5, bias=False),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(6, 16, 5, bias=False),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            fc1=nn.Linear(16 * 5 * 5, 120),
            relu3=nn.ReLU(),
            fc2=nn.Linear(120, 84),
            relu4=nn.ReLU(),
            fc3=nn.Linear(84, classes),
        )
    )
