"""`lwf`: learning without forgetting, for those who may not store samples."""

from __future__ import annotations

import numpy as np

from sedna_tinyms.learning.descent import descend
from sedna_tinyms.learning.distillation import Distillation, taught_targets
from sedna_tinyms.learning.strategies.head import solve_head
from sedna_tinyms.learning.strategies.latent import CUT, MOST_STEPS
from sedna_tinyms.learning.strategies.strategy import Lesson, Strategy

__all__ = ["LwF"]

WEIGHT = 1.0


class LwF(Strategy):
    """Train the last blocks on new samples, held to what the previous network said of them.

    Distillation on the new data alone (Li & Hoiem, "Learning without forgetting", ECCV 2016): the
    loss is the cross-entropy with the labels plus that between both networks' softened
    probabilities of the classes known before. Nothing of a sample is stored.
    """

    cut = CUT
    replays = False

    def learn(self, lesson: Lesson) -> list[float]:
        """See `Strategy.learn`; one loss an epoch."""
        known, targets = lesson.known_classes, lesson.targets()
        logits, features = lesson.answers(lesson.items)
        if not known:
            solve_head(lesson, features)
            return descend(lesson, targets, most_steps=MOST_STEPS)
        weights = np.full(len(targets), WEIGHT, np.float32)
        targets = taught_targets(targets, logits[:, :known], weights)
        loss = Distillation(lesson.class_count, known)
        return descend(lesson, targets, loss=loss, most_steps=MOST_STEPS)
