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

PENALTY = 1.5e-4
"""Weight decay of the classifier, for features brought to a total variance of 1.

On PACS, half or twice of it changed the accuracy by less than a point; with a thirtieth it was two
points lower.
"""


class Head(Strategy):
    """Softmax regression on the features of all samples, remembered and new.

    The backbone stays, so features never age, and the regression is convex. Its penalty pulls
    towards the previous classifier (L2-SP, Li, Grandvalet & Davoine, "Explicit inductive bias for
    transfer learning", ICML 2018), which knows more of earlier rounds than what is remembered of
    them. A round costs little more than the forward of its pictures.
    """

    cut = BACKBONE_CELLS

    def learn(self, lesson: Lesson) -> list[float]:
        """See `Strategy.learn`; one loss an iteration."""
        features = lesson.items.reshape(len(lesson.items), -1)
        return solve_head(lesson, features)


def solve_head(lesson: Lesson, features: NDArray[Any]) -> list[float]:
    """Give the lesson's network the best classifier for features (N, D); return the losses."""
    inputs = features.astype(np.float32)
    centre = inputs.mean(axis=0)
    inputs -= centre
    scale = np.sqrt(np.square(inputs).sum(axis=1).mean()) or np.float32(1)
    inputs /= scale
    weight, bias = head_of(lesson.network)
    weight, bias, losses = softmax_regression(
        inputs,
        lesson.labels,
        (weight * scale, bias + weight @ centre),
        shares=domain_shares(lesson.domains),
        penalty=PENALTY,
        anchor=weight * scale if lesson.known_classes else None,
    )
    weight /= scale
    set_head(lesson.network, weight, bias - weight @ centre)
    return losses


def domain_shares(domains: Sequence[str]) -> NDArray[np.float64]:
    """Weigh samples so that every domain counts alike, however many of it there are."""
    _, numbers, counts = np.unique(np.asarray(domains), return_inverse=True, return_counts=True)
    shares: NDArray[np.float64] = 1 / counts[numbers] / len(counts)
    return shares
