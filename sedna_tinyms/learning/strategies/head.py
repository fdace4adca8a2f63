"""`head`: the classifier alone, solved on pooled features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.learning.layers import head_of, set_head
from sedna_tinyms.learning.softmax_regression import softmax_regression
from sedna_tinyms.learning.strategies.strategy import Lesson, Strategy
from sedna_tinyms.tinyms.model.mobilenetv2_onnx import BACKBONE_CELLS

__all__ = ["Head", "domain_shares", "solve_head"]

PENALTY = 0.05
"""Weight decay of the classifier, in units of the features' mean square times their number / 1000.

Between 0.03 and 0.1 the accuracy hardly changes; at 0.001 it is two points lower.
"""


class Head(Strategy):
    """Softmax regression on the features of all samples, remembered and new.

    The backbone stays, so features never age, and the regression is convex: nothing is forgotten
    that the memory holds. A round costs little more than the forward of its pictures.
    """

    cut = BACKBONE_CELLS

    def learn(self, lesson: Lesson) -> list[float]:
        """See `Strategy.learn`; one loss an iteration."""
        features = lesson.items.reshape(len(lesson.items), -1)
        return solve_head(lesson, features)


def solve_head(lesson: Lesson, features: NDArray[Any]) -> list[float]:
    """Give the lesson's network the best classifier for features (N, D); return the losses."""
    inputs = features.astype(np.float32)
    scale = float(np.square(inputs).sum(axis=1).mean())
    weight, bias, losses = softmax_regression(
        inputs,
        lesson.labels,
        head_of(lesson.network),
        shares=domain_shares(lesson.domains),
        penalty=PENALTY * scale / 1000,
    )
    set_head(lesson.network, weight, bias)
    return losses


def domain_shares(domains: Sequence[str]) -> NDArray[np.float64]:
    """Weigh samples so that every domain counts alike, however many of it there are."""
    _, numbers, counts = np.unique(np.asarray(domains), return_inverse=True, return_counts=True)
    shares: NDArray[np.float64] = 1 / counts[numbers] / len(counts)
    return shares
