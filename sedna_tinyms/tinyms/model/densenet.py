"""DenseNet-100 with TinyMS's parameter names; MindCV has larger ones only."""

from __future__ import annotations

from mindspore import Tensor, nn, ops

from sedna_tinyms.tinyms.keywords import require_counts
from sedna_tinyms.tinyms.model.factory import classifier_factory
from sedna_tinyms.tinyms.model.mobilenetv2 import GlobalAvgPooling

__all__ = ["DenseNet100", "densenet100"]

GROWTH = 12
BOTTLENECK = 4 * GROWTH
BLOCKS = (16, 16, 16)


def normalization(channels: int) -> nn.BatchNorm2d:
    """Return a batch normalization as TinyMS's DenseNet has it."""
    return nn.BatchNorm2d(channels, eps=1e-4, momentum=0.9)


class DenseLayer(nn.Cell):  # type: ignore[misc]
    """Appends `GROWTH` new channels to its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layer = nn.SequentialCell(
            [
                normalization(channels),
                nn.ReLU(),
                nn.Conv2d(channels, BOTTLENECK, 1),
                normalization(BOTTLENECK),
                nn.ReLU(),
                nn.Conv2d(BOTTLENECK, GROWTH, 3),
            ]
        )

    def construct(self, x: Tensor) -> Tensor:
        """Return the input and the new channels."""
        return ops.concat((x, self.layer(x)), 1)


class DenseBlock(nn.Cell):  # type: ignore[misc]
    """Layers that each see what all earlier ones gave."""

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__()
        self.layer = nn.SequentialCell(
            [DenseLayer(channels + index * GROWTH) for index in range(layers)]
        )

    def construct(self, x: Tensor) -> Tensor:
        """Return the input and the new channels of every layer."""
        return self.layer(x)


class Transition(nn.Cell):  # type: ignore[misc]
    """Halves channels, height and width."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layer = nn.SequentialCell(
            [
                normalization(channels),
                nn.ReLU(),
                nn.Conv2d(channels, channels // 2, 1),
                nn.AvgPool2d(kernel_size=2, stride=2, pad_mode="same"),
            ]
        )

    def construct(self, x: Tensor) -> Tensor:
        """Return the smaller map."""
        return self.layer(x)


class DenseNet100(nn.Cell):  # type: ignore[misc]
    """DenseNet-BC with 100 layers (Huang et al. 2017), with a stem for larger pictures.

    Parameters
    ----------
    class_num : int
        Number of classes.

    Raises
    ------
    ConfigurationError
        If `class_num` is no whole number of at least 1.
    """

    def __init__(self, class_num: int = 10) -> None:
        super().__init__()
        require_counts("densenet100", {"class_num": class_num})
        channels = 2 * GROWTH
        features: list[nn.Cell] = [
            nn.Conv2d(3, channels, 7, stride=2),
            normalization(channels),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=2, stride=2, pad_mode="same"),
        ]
        for index, layers in enumerate(BLOCKS):
            if index:
                features.append(Transition(channels))
                channels //= 2
            features.append(DenseBlock(channels, layers))
            channels += layers * GROWTH
        self.features = nn.SequentialCell(features)
        self.norm = normalization(channels)
        self.relu = nn.ReLU()
        self.pool = GlobalAvgPooling()
        self.end_point = nn.Dense(channels, class_num)

    def construct(self, x: Tensor) -> Tensor:
        """Return logits (N, class_num) of pictures (N, 3, H, W), H and W at least 32."""
        return self.end_point(self.pool(self.relu(self.norm(self.features(x)))))


densenet100 = classifier_factory("densenet100", DenseNet100)
