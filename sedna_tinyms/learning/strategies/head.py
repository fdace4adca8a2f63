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

PULL = 5.0
"""How much harder than `PENALTY` the previous classifier pulls where nothing is remembered.

Chosen on held-out parts of PACS's training pictures, in three splits: with 7 kept of a domain, 3
and 10 were as good within a point, and 1 was one to two points worse; with none kept, 10 was a
point better and 3 a point worse.
"""


MOST_REMEMBERED = 2000
"""However many samples are remembered, a round costs no more than with these.

The previous classifier knows the others: in three splits of PACS's training pictures, a twentieth
of all that was remembered was as good as all, within a point.
"""


class Head(Strategy):
    """Softmax regression on the features of all samples, remembered and new.

    The backbone stays, so features never age, and the regression is convex. Where all samples are
    remembered they say everything, and the penalty is weight decay. The fewer are, the more it
    pulls towards the previous classifier instead, which knows what is not remembered (L2-SP, Li,
    Grandvalet & Davoine, "Explicit inductive bias for transfer learning", ICML 2018). A round costs
    little more than the forward of its pictures.
    """

    cut = BACKBONE_CELLS

    def learn(self, lesson: Lesson) -> list[float]:
        """See `Strategy.learn`; one loss an iteration."""
        lesson = lesson.remembering_at_most(MOST_REMEMBERED)
        return solve_head(lesson, lesson.items.reshape(len(lesson.items), -1))


def solve_head(lesson: Lesson, features: NDArray[Any]) -> list[float]:
    """Give the lesson's network the best classifier for features (N, D); return the losses."""
    inputs = features.astype(np.float32)
    centre = inputs.mean(axis=0)
    inputs -= centre
    scale = np.sqrt(np.square(inputs).sum(axis=1).mean()) or np.float32(1)
    inputs /= scale
    weight, bias = head_of(lesson.network)
    thinness = lesson.thinness if lesson.known_classes else 0.0
    # Two springs, one at 0 and one at the previous classifier, are one at a point between them.
    decay, pull = PENALTY * (1 - thinness), PENALTY * PULL * thinness
    weight, bias, losses = softmax_regression(
        inputs,
        lesson.labels,
        (weight * scale, bias + weight @ centre),
        shares=domain_shares(lesson.domains),
        penalty=decay + pull,
        anchor=weight * np.float32(scale * pull / (decay + pull)),
    )
    weight /= scale
    set_head(lesson.network, weight, bias - weight @ centre)
    return losses


def domain_shares(domains: Sequence[str]) -> NDArray[np.float64]:
    """Weigh samples so that every domain counts alike, however many of it there are."""
    _, numbers, counts = np.unique(np.asarray(domains), return_inverse=True, return_counts=True)
    shares: NDArray[np.float64] = 1 / counts[numbers] / len(counts)
    return shares
