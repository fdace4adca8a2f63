"""`lwf`: learning without forgetting, for those who may not store samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.learning.strategies.latent import Latent
from sedna_tinyms.learning.strategies.strategy import Lesson

__all__ = ["LwF"]


class LwF(Latent):
    """Train the last blocks on new samples, held to what the previous network said of them.

    Distillation on the new data alone (Li & Hoiem, "Learning without forgetting", ECCV 2016): the
    loss is the cross-entropy with the labels plus that between both networks' softened
    probabilities of the classes known before. Nothing of a sample is stored.
    """

    replays = False

    def opinions(self, lesson: Lesson) -> NDArray[np.float32]:
        """See `Latent.opinions`; as much as the label."""
        return np.ones(len(lesson.items), np.float32)
