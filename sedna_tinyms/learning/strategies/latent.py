"""`latent`: the last blocks and the classifier, on activations that are replayed."""

from __future__ import annotations

from sedna_tinyms.learning.descent import descend
from sedna_tinyms.learning.strategies.strategy import Lesson, Strategy

__all__ = ["Latent"]

CUT = 15


class Latent(Strategy):
    """Train the last blocks on what the blocks in front of them made of new and old pictures.

    Latent replay (Pellegrini et al., "Latent replay for real-time continual learning", IROS 2020).
    """

    cut = CUT

    def learn(self, lesson: Lesson) -> list[float]:
        """See `Strategy.learn`; one loss an epoch."""
        return descend(lesson, lesson.targets())
