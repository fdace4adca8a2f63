"""AlexNet with TinyMS's parameter names; MindCV, where the other networks come from, has none."""

from __future__ import annotations

from mindspore import Tensor, nn

from sedna_tinyms.tinyms.keywords import require_counts
from sedna_tinyms.tinyms.model.factory import classifier_factory

__all__ = ["AlexNet", "alexnet"]


class AlexNet(nn.Cell):  # type: ignore[misc]
    """AlexNet in the form of Krizhevsky, "One weird trick" (2014), without convolution biases.

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
        require_counts("alexnet", {"class_num": class_num})
        self.features = nn.SequentialCell(
            [
                nn.Conv2d(3, 64, 11, stride=4, pad_mode="pad", padding=2),
                nn.ReLU(),
                nn.MaxPool2d(kernel_size=3, stride=2),
                nn.Conv2d(64, 192, 5, pad_mode="pad", padding=2),
                nn.ReLU(),
                nn.MaxPool2d(kernel_size=3, stride=2),
                nn.Conv2d(192, 384, 3),
                nn.ReLU(),
                nn.Conv2d(384, 256, 3),
                nn.ReLU(),
                nn.Conv2d(256, 256, 3),
                nn.ReLU(),
                nn.MaxPool2d(kernel_size=3, stride=2),
                nn.Flatten(),
                nn.Dropout(p=0.5),
                nn.Dense(256 * 6 * 6, 4096),
                nn.ReLU(),
                nn.Dropout(p=0.5),
                nn.Dense(4096, 4096),
                nn.ReLU(),
                nn.Dense(4096, class_num),
            ]
        )

    def construct(self, x: Tensor) -> Tensor:
        """Return logits (N, class_num) of pictures (N, 3, 224, 224)."""
        return self.features(x)


alexnet = classifier_factory("alexnet", AlexNet)
