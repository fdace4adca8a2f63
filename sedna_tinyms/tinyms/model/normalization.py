"""Statistics for prediction that fit the weights, also after a short training."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
from mindspore import Parameter, nn
from numpy.typing import NDArray

from sedna_tinyms.errors import DatasetError
from sedna_tinyms.tinyms.context import PYNATIVE_MODE, temporary_mode
from sedna_tinyms.tinyms.model.modes import kept_modes
from sedna_tinyms.tinyms.model.parameters import set_value

__all__ = ["settle_normalization"]

NORMALIZATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def settle_normalization(network: nn.Cell, dataset: Any, batches: int = 16) -> None:
    """Set the statistics that batch normalization predicts with to means over some batches.

    In training, these follow the batches slowly, from a variance of 1: an SSD300 predicts with
    wrong ones for hundreds of steps. After this they are those of the weights as they are, which
    stay untouched. Wu & Johnson, "Rethinking 'Batch' in BatchNorm" (2021), call it PreciseBN.

    Parameters
    ----------
    network : Cell
        With one input.
    dataset : Dataset
        Batches, as in training; its first column is the input.
    batches : int
        How many are looked at, at most.

    Raises
    ------
    DatasetError
        If there is no batch.
    """
    statistics = [
        (parameter, float(cell.momentum))  # MindSpore keeps 1 - momentum
        for _, cell in network.cells_and_names()
        if isinstance(cell, NORMALIZATIONS)
        for parameter in (cell.moving_mean, cell.moving_variance)
    ]
    before = [parameter.asnumpy().copy() for parameter, _ in statistics]
    seen: list[list[NDArray[Any]]] = []
    try:
        with temporary_mode(PYNATIVE_MODE), kept_modes(network):
            network.set_train(True)
            for columns in islice(dataset.create_tuple_iterator(num_epochs=1), batches):
                seen.append(_of_one_batch(network, columns[0], statistics))
        if not seen:
            raise DatasetError("there is no batch to take the statistics of", code="empty")
    except BaseException:
        _set(statistics, before)
        raise
    _set(statistics, [np.mean(values, axis=0) for values in zip(*seen, strict=True)])


def _of_one_batch(
    network: nn.Cell, inputs: Any, statistics: list[tuple[Parameter, float]]
) -> list[NDArray[Any]]:
    # A step adds this share of the batch's own statistics: to 0, it is those that remain.
    _set(statistics, [np.zeros(parameter.shape) for parameter, _ in statistics])
    network(inputs)
    return [parameter.asnumpy() / share for parameter, share in statistics]


def _set(statistics: list[tuple[Parameter, float]], values: list[NDArray[Any]]) -> None:
    for (parameter, _), value in zip(statistics, values, strict=True):
        set_value(parameter, value)
