"""What this machine's processor is, and how much of it this process may use."""

from __future__ import annotations

import os
import platform
from pathlib import Path

__all__ = ["bfloat16_is_native", "processor", "usable_cores"]

CPUINFO = Path("/proc/cpuinfo")
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""As Linux names them in ``flags`` (x86-64) or ``Features`` (aarch64)."""


def usable_cores() -> int:
    """Return how many cores this process may use: its affinity, and its container's quota."""
    allowed = getattr(os, "sched_getaffinity", None)
    cores = len(allowed(0)) if allowed else os.cpu_count() or 1
    try:
        quota, period = CPU_QUOTA.read_text(encoding="ascii").split()
        return max(1, min(cores, -(-int(quota) // int(period))))
    except (OSError, ValueError):  # no container, or one without a quota ("max")
        return cores


def processor() -> str:
    """Return the processor's name with a fingerprint of its instructions' names."""
    described = _cpuinfo()
    name = described.get("model name") or platform.processor() or platform.machine()
    return f"{name} ({len(_flags())} instruction set flags, {usable_cores()} cores)"


def bfloat16_is_native() -> bool:
    """Tell whether the processor multiplies bfloat16 itself, which makes it the faster type."""
    return bool(BFLOAT16_FLAGS & _flags())


def _flags() -> set[str]:
    described = _cpuinfo()
    return set((described.get("flags") or described.get("Features") or "").split())


def _cpuinfo() -> dict[str, str]:
    """Read what Linux says about the first processor."""
    try:
        text = CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}
