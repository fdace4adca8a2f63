"""MobileNetV2 on the TinyMS core."""

from __future__ import annotations

from typing import Any

from mindspore import nn
from mindspore.dataset import GeneratorDataset
from mindspore.train.callback import Callback

from estimators.mobilenetv2 import MobileNetV2Estimator
from sedna_tinyms.learning.batches import Batches
from sedna_tinyms.tinyms.callbacks import step_loss
from sedna_tinyms.tinyms.model import Model

__all__ = ["TinyMSMobileNetV2"]


class TinyMSMobileNetV2(MobileNetV2Estimator):
    """`MobileNetV2Estimator` trained by TinyMS's `Model`: compile, then train."""

    def _fit(
        self, trained: nn.Cell, loss: nn.Cell, optimizer: nn.Optimizer, batches: Batches
    ) -> list[float]:
        model = Model(trained)
        model.compile(loss, optimizer)
        losses = _Losses()
        dataset = GeneratorDataset(batches, ["image", "target"], shuffle=False)
        model.train(1, dataset, callbacks=[losses], dataset_sink_mode=False)
        return losses.values


class _Losses(Callback):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.values: list[float] = []

    def on_train_step_end(self, run_context: Any) -> None:
        self.values.append(step_loss(run_context.original_args().net_outputs))
