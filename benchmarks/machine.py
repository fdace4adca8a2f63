"""What a benchmark runs on, and what a process takes of it."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sedna_tinyms.errors import UsageError

__all__ = ["machine", "peak_memory_mb", "resident_mb", "stopwatch"]

MEBIBYTE = 1 << 20


def machine() -> dict[str, Any]:
    """Return what a measurement depends on."""
    names = ("sedna-tinyms", "mindspore", "numpy", "onnxruntime", "openvino", "torch")
    versions = {"python": platform.python_version()}
    for name in names:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "versions": versions,
    }


def _processor() -> str:
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def stopwatch() -> Callable[[], dict[str, float]]:
    """Start a clock; calling it gives the seconds since then, and those of all cores together.

    The latter compare better on a busy machine.
    """
    start, used = time.perf_counter(), time.process_time()

    def elapsed() -> dict[str, float]:
        seconds, processor = time.perf_counter() - start, time.process_time() - used
        return {"seconds": seconds, "processor_seconds": processor}

    return elapsed


def peak_memory_mb() -> float:
    """Return the most memory that this process ever held."""
    return _memory("VmHWM")


def resident_mb(process: int | str = "self") -> float:
    """Return the memory that a process holds."""
    return _memory("VmRSS", process)


def _memory(name: str, process: int | str = "self") -> float:
    status = f"/proc/{process}/status"
    for line in _lines(status):
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / MEBIBYTE
    raise UsageError(
        f"{status} does not say {name}: the benchmarks need Linux", code="unsupported", name=name
    )


def _lines(path: str) -> Iterable[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
