"""`full`: every layer, on pixels."""

from __future__ import annotations

from sedna_tinyms.learning.descent import descend
from sedna_tinyms.learning.strategies.strategy import Lesson, Strategy

__all__ = ["Full"]


class Full(Strategy):
    """Train the whole network on new and remembered pictures together.

    Replay is joint training with what is left of the past (Rolnick et al., "Experience replay for
    continual learning", NeurIPS 2019). Only this strategy can learn what the backbone cannot see.
    """

    cut = 0
    learning_rate = 0.01

    def learn(self, lesson: Lesson) -> list[float]:
        """See `Strategy.learn`; one loss an epoch."""
        return descend(lesson, lesson.targets(), adaptive=False, keep_statistics=False)
