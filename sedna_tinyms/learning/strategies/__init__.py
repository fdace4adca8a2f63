"""How a network learns a round: one strategy a file, all behind the same face.

>>> from sedna_tinyms.learning.strategies import STRATEGIES
>>> sorted(STRATEGIES)
['ewc', 'full', 'head', 'latent', 'lwf']
"""

from __future__ import annotations

from sedna_tinyms.learning.strategies.ewc import EWC
from sedna_tinyms.learning.strategies.full import Full
from sedna_tinyms.learning.strategies.head import Head
from sedna_tinyms.learning.strategies.latent import Latent
from sedna_tinyms.learning.strategies.lwf import LwF
from sedna_tinyms.learning.strategies.strategy import Fit, Lesson, Strategy

__all__ = ["STRATEGIES", "Fit", "Lesson", "Strategy"]

STRATEGIES: dict[str, type[Strategy]] = {
    "head": Head,
    "latent": Latent,
    "full": Full,
    "lwf": LwF,
    "ewc": EWC,
}
