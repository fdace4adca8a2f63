"""Metrics for `Model.compile`: MindSpore's, and the area under the ROC curve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from mindspore import Tensor
from mindspore.nn import metrics as _metrics
from mindspore.nn.metrics import *  # noqa: F403
from mindspore.nn.metrics import Metric
from numpy.typing import NDArray

from sedna_tinyms.errors import MetricsError

__all__ = ["AUCMetric"]
__all__ += _metrics.__all__

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...  # mypy does not look into MindSpore


class AUCMetric(Metric):  # type: ignore[misc]
    """Area under the ROC curve of a two-class problem.

    It is the share of (positive, negative) pairs that the score orders rightly, ties counting
    half (Mann-Whitney U).
    """

    def __init__(self) -> None:
        super().__init__()
        self.clear()

    def clear(self) -> None:
        """Forget what was seen."""
        self.scores: list[NDArray[Any]] = []
        self.labels: list[NDArray[Any]] = []

    def update(self, *inputs: Tensor | NDArray[Any]) -> None:
        """Take a batch: the second input holds scores, the third labels (0 or 1)."""
        self.scores.append(self._convert_data(inputs[1]).ravel())
        self.labels.append(self._convert_data(inputs[2]).ravel())

    def eval(self) -> float:
        """Return the area, from 0 to 1.

        Raises
        ------
        MetricsError
            If only one of the classes was seen.
        """
        labels = np.concatenate(self.labels) if self.labels else np.empty(0)
        positives = int((labels == 1).sum())
        negatives = len(labels) - positives
        if not positives or not negatives:
            raise MetricsError(
                f"the area under the ROC curve needs both classes; there are {positives} "
                f"positives and {negatives} negatives",
                code="missing-value",
                positives=positives,
                negatives=negatives,
            )
        _, rank, ties = np.unique(
            np.concatenate(self.scores), return_inverse=True, return_counts=True
        )
        mean_ranks = np.cumsum(ties) - (ties - 1) / 2
        positive_ranks = mean_ranks[rank][labels == 1].sum()
        pairs_in_order = positive_ranks - positives * (positives + 1) / 2
        return float(pairs_in_order / (positives * negatives))
