"""What SSD300 learns from: the distance of its boxes from the drawn ones, and wrong classes."""

from __future__ import annotations

from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype

from sedna_tinyms.tinyms.model.ssd300 import SSD300

__all__ = ["SSD300WithLoss", "net_with_loss"]

FOCUSING, POSITIVE_WEIGHT = 2.0, 0.75


def focal_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Sigmoid cross entropy that counts what is right already for little.

    Lin et al., "Focal Loss for Dense Object Detection" (2017), equation 5.
    """
    probability = ops.sigmoid(logits)
    missed = targets * (1 - probability) + (1 - targets) * probability
    weight = targets * POSITIVE_WEIGHT + (1 - targets) * (1 - POSITIVE_WEIGHT)
    # log(1 + exp(-|x|)) cannot overflow, unlike the logarithm of a probability near 0.
    entropy = ops.relu(logits) - logits * targets + ops.log1p(ops.exp(-ops.abs(logits)))
    return weight * ops.pow(missed, FOCUSING) * entropy


class SSD300WithLoss(nn.Cell):  # type: ignore[misc]
    """SSD300 that computes its loss, to be trained with ``Model(...).compile(optimizer=...)``.

    Parameters
    ----------
    network : SSD300
        The network; its parameters keep their names.
    """

    def __init__(self, network: SSD300) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.distance = nn.SmoothL1Loss()

    def construct(self, x: Tensor, gt_loc: Tensor, gt_label: Tensor, num_matched: Tensor) -> Tensor:
        """Return the loss of a batch, a scalar.

        Parameters
        ----------
        x : Tensor of float32, shape (N, 3, 300, 300)
            Pictures.
        gt_loc, gt_label, num_matched : Tensor
            Targets as `vision.ssd_bboxes_encode` gives them, (N, 1917, 4), (N, 1917), (N, 1).
        """
        offsets, logits = self.network(x)
        matched = (gt_label > 0).astype(mstype.float32)
        targets = ops.one_hot(
            gt_label,
            logits.shape[-1],
            Tensor(1.0, mstype.float32),
            Tensor(0.0, mstype.float32),
        )
        boxes = (self.distance(offsets, gt_loc).mean(-1) * matched).sum()
        classes = focal_loss(logits, targets).sum()
        # A batch without any drawn box has no matches; its wrong classes count all the same.
        matches = ops.maximum(num_matched.astype(mstype.float32).sum(), 1.0)
        return (boxes + classes) / matches


def net_with_loss(net: SSD300) -> SSD300WithLoss:
    """Return the cell that computes a network's loss, for networks that need one of their own.

    Raises
    ------
    TypeError
        If `net` is no SSD300 for training; for others, give `Model.compile` a `loss_fn`.
    """
    if not isinstance(net, SSD300):
        raise TypeError(
            f"net_with_loss takes what ssd300_mobilenetv2(is_training=True) gives, not "
            f"{type(net).__name__}; for other networks give Model.compile a loss_fn"
        )
    return SSD300WithLoss(net)
