"""LeNet-5, TinyMS's first network: 32 x 32 gray pictures to ten classes."""

from __future__ import annotations

from mindspore import Tensor, nn
from mindspore.common.initializer import Normal

from sedna_tinyms.tinyms.keywords import require_counts
from sedna_tinyms.tinyms.model.factory import classifier_factory

__all__ = ["LeNet5", "lenet5"]


class LeNet5(nn.Cell):  # type: ignore[misc]
    """LeNet-5 (LeCun et al. 1998) with ReLU and max pooling, as TinyMS lays it out.

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
        require_counts("lenet5", {"class_num": class_num})
        self.conv1 = nn.Conv2d(1, 6, 5, pad_mode="valid", has_bias=False)
        self.conv2 = nn.Conv2d(6, 16, 5, pad_mode="valid", has_bias=False)
        self.relu = nn.ReLU()
        self.max_pool2d = nn.MaxPool2d(kernel_size=2, stride=2)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Dense(16 * 5 * 5, 120, weight_init=Normal(0.02))
        self.fc2 = nn.Dense(120, 84, weight_init=Normal(0.02))
        self.fc3 = nn.Dense(84, class_num, weight_init=Normal(0.02))

    def construct(self, x: Tensor) -> Tensor:
        """Return logits (N, class_num) of pictures (N, 1, 32, 32)."""
        x = self.max_pool2d(self.relu(self.conv1(x)))
        x = self.max_pool2d(self.relu(self.conv2(x)))
        x = self.relu(self.fc1(self.flatten(x)))
        return self.fc3(self.relu(self.fc2(x)))


lenet5 = classifier_factory("lenet5", LeNet5)
