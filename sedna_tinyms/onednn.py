"""Keeps MindSpore's convolutions fast on AVX-512 processors.

From MindSpore 2.9 on, oneDNN runs every convolution with a kernel larger than one through its
reference code on AVX-512 processors, 50 to 100 times slower than before. Limiting oneDNN to AVX2
instructions brings the fast code back, with the same results; ``benchmarks/onednn_step.py``
measures it. oneDNN reads the limit at its first operator, so it must be set before that.
"""

from __future__ import annotations

import os
import platform
from collections.abc import MutableMapping

__all__ = ["KEEP_DEFAULT", "LIMIT", "limit_instruction_set"]

LIMIT = "ONEDNN_MAX_CPU_ISA"
"""The variable that oneDNN reads."""

KEEP_DEFAULT = "SEDNA_TINYMS_KEEP_ONEDNN_DEFAULT"
"""Set this variable to anything but 0 to leave oneDNN alone."""


def limit_instruction_set(environment: MutableMapping[str, str] | None = None) -> bool:
    """Set ``ONEDNN_MAX_CPU_ISA=AVX2`` unless the user decided otherwise.

    Parameters
    ----------
    environment : mutable mapping, optional
        Where to set it; the environment of this process by default. A runner passes the
        environment it is about to give to a worker.

    Returns
    -------
    bool
        True if the limit stands at AVX2 because of this or an earlier call.
    """
    env = os.environ if environment is None else environment
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    if env.get(KEEP_DEFAULT, "0") not in ("", "0"):
        return False
    return env.setdefault(LIMIT, "AVX2") == "AVX2"
