"""`latent`: the last blocks and the classifier, on activations that are replayed."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.learning.descent import descend
from sedna_tinyms.learning.distillation import Distillation, taught_targets
from sedna_tinyms.learning.strategies.head import solve_head
from sedna_tinyms.learning.strategies.strategy import Lesson, Strategy

__all__ = ["CUT", "Latent"]

CUT = 15
"""Blocks 15 to 17 and the last convolution are trained.

One block more gained nothing on PACS; one less saves a fifth of the time and lost half a point.
An activation of 160 x 7 x 7 takes 16 kB in half precision; in front of block 14 it is 38 kB.
"""

OPINION = 0.5
"""How much the previous network's opinion counts against the label of a remembered sample, where
all are remembered. It counts up to twice as much where few are, and half as much for new ones."""


class Latent(Strategy):
    """Train the last blocks on what the blocks in front of them made of new and old pictures.

    Latent replay (Pellegrini et al., "Latent replay for real-time continual learning", IROS 2020),
    with

    - the batch normalizations' statistics frozen, so that what is rare in a round moves nothing;
    - a classifier solved on the features as they are before the blocks begin to move, where it was
      not taught yet: otherwise its first, random gradients spoil them (Kumar et al.,
      "Fine-tuning can distort pretrained features", ICLR 2022);
    - the previous network's opinion of every sample beside its label, which keeps what too few
      remembered samples cannot (Buzzega et al., "Dark experience for general continual learning",
      NeurIPS 2020, who store that opinion).

    Attributes
    ----------
    most_steps : int
        However many samples are remembered, a round costs no more than these steps.
    """

    cut = CUT
    most_steps: ClassVar[int] = 100

    def learn(self, lesson: Lesson) -> list[float]:
        """See `Strategy.learn`; one loss an epoch."""
        lesson = lesson.remembering_at_most(self.most_steps * lesson.batch_size)
        known, targets = lesson.known_classes, lesson.targets()
        logits, features = lesson.answers(lesson.items)
        if not known:
            solve_head(lesson, features)
            return descend(lesson, targets, most_steps=self.most_steps)
        targets = taught_targets(targets, logits[:, :known], self.opinions(lesson))
        loss = Distillation(lesson.class_count, known)
        return descend(lesson, targets, loss=loss, most_steps=self.most_steps)

    def opinions(self, lesson: Lesson) -> NDArray[np.float32]:
        """Return how much the previous network counts for each sample (N,), against its label."""
        opinion = OPINION * (1 + lesson.thinness)
        weights = np.full(len(lesson.items), opinion, np.float32)
        weights[-lesson.new :] = opinion / 2
        return weights
