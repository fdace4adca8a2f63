"""Loss functions: MindSpore's, cross entropy with label smoothing, and SSD300's.

CycleGAN's losses are left out, as are its networks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype
from mindspore.nn import loss as _loss
from mindspore.nn.loss import *  # noqa: F403

from sedna_tinyms.errors import ConfigurationError
from sedna_tinyms.tinyms.left_out import left_out
from sedna_tinyms.tinyms.model.ssd_loss import SSD300WithLoss, net_with_loss

__all__ = ["CrossEntropyWithLabelSmooth", "SSD300WithLoss", "net_with_loss"]
__all__ += _loss.__all__

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...  # mypy does not look into MindSpore

else:
    __getattr__ = left_out(__name__)


class CrossEntropyWithLabelSmooth(nn.Cell):  # type: ignore[misc]
    """Softmax cross entropy against smoothed labels, averaged over the batch.

    The true class gets ``1 - smooth_factor``; the others share `smooth_factor` evenly.

    Parameters
    ----------
    smooth_factor : float
        From 0 (plain cross entropy) to below 1.
    num_classes : int
        Number of classes, at least 2.

    Raises
    ------
    ConfigurationError
        If a parameter is out of its range.
    """

    def __init__(self, smooth_factor: float = 0.0, num_classes: int = 1000) -> None:
        super().__init__()
        if not 0 <= smooth_factor < 1:
            raise ConfigurationError(
                f"smooth_factor is {smooth_factor!r}; it must be at least 0 and below 1",
                code="out-of-range",
                name="smooth_factor",
                value=smooth_factor,
            )
        if num_classes < 2:
            raise ConfigurationError(
                f"num_classes is {num_classes!r}; it must be at least 2",
                code="out-of-range",
                name="num_classes",
                value=num_classes,
            )
        self.num_classes = num_classes
        self.one_hot = ops.OneHot()
        self.on_value = Tensor(1.0 - smooth_factor, mstype.float32)
        self.off_value = Tensor(smooth_factor / (num_classes - 1), mstype.float32)
        self.cross_entropy = nn.SoftmaxCrossEntropyWithLogits()
        self.mean = ops.ReduceMean(keep_dims=False)

    def construct(self, logits: Tensor, label: Tensor) -> Tensor:
        """Return the scalar loss of logits (N, num_classes) and whole-number labels (N,)."""
        targets = self.one_hot(label, self.num_classes, self.on_value, self.off_value)
        return self.mean(self.cross_entropy(logits, targets), 0)
