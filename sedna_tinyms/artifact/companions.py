"""What lies beside a model file under its stem, belongs to it, and goes wherever it goes."""

from __future__ import annotations

__all__ = ["COMPANIONS", "MEMORY", "STRATEGY"]

MEMORY = ".memory.npz"
"""Samples of earlier rounds: see `sedna_tinyms.learning.memory`."""

STRATEGY = ".strategy.npz"
"""What a strategy needs in the next round besides: see `sedna_tinyms.learning.state_file`."""

COMPANIONS = (MEMORY, STRATEGY)
