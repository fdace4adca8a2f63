"""Measures whether MindSpore's convolutions are fast here, in processes of their own.

oneDNN reads its limit on instructions once in a process, and MindSpore takes half a gigabyte: the
parent never imports it. ``python -m sedna_tinyms.diagnosis.convolutions`` is the child.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time

from sedna_tinyms.diagnosis.finding import Finding, note, ok, warning
from sedna_tinyms.diagnosis.installation import installed_version
from sedna_tinyms.onednn import KEEP_DEFAULT, LIMIT, limit_instruction_set

__all__ = ["check_convolutions"]

SLOW = 5.0
"""How many times slower is worth a word; without the limit it is 50 to 100 times."""

CHANNELS, PIXELS, REPEATS = 64, 56, 3


def check_convolutions(limit_seconds: float = 60.0) -> Finding:
    """Measure one small convolution as workers get it, and with the limit on instructions changed.

    Parameters
    ----------
    limit_seconds : float
        How long each of the two measurements may take.
    """
    if installed_version("mindspore") is None:
        return note("convolutions", "skipped: MindSpore is not installed", code="missing-extra")
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return note(
            "convolutions", "skipped: only x86-64 processors have slow ones", code="unsupported"
        )
    as_workers_get_it = dict(os.environ)
    limited = limit_instruction_set(as_workers_get_it)
    other = {key: value for key, value in os.environ.items() if key != LIMIT}
    if not limited:
        other[LIMIT] = "AVX2"
    try:
        here = _measure(as_workers_get_it, limit_seconds)
        there = _measure(other, limit_seconds)
    except subprocess.TimeoutExpired:
        return warning(
            "convolutions",
            f"a convolution took longer than {limit_seconds:g} s: the machine is busy, or slow",
            "run it again when nothing else runs",
            code="timeout",
        )
    except subprocess.CalledProcessError as error:
        last = (error.stderr or "").strip().splitlines()[-1:] or [f"exit code {error.returncode}"]
        return warning(
            "convolutions",
            f"MindSpore cannot run one: {last[0][:200]}",
            "pip install --force-reinstall 'sedna-tinyms[mindspore]'",
            code="worker-failed",
        )
    if limited:
        return ok(
            "convolutions",
            f"3x3 in {here:.1f} ms with {LIMIT}=AVX2, which sedna-tinyms sets; {there:.1f} ms "
            "without: export it for programs of your own"
            if there > SLOW * here
            else f"3x3 in {here:.1f} ms with {LIMIT}=AVX2, {there:.1f} ms without",
        )
    if here > SLOW * there:
        return warning(
            "convolutions",
            f"3x3 in {here:.1f} ms, and in {there:.1f} ms with {LIMIT}=AVX2",
            f"unset {KEEP_DEFAULT}; export {LIMIT}=AVX2",
            code="slow",
        )
    return ok("convolutions", f"3x3 in {here:.1f} ms; {there:.1f} ms with {LIMIT}=AVX2")


def _measure(environment: dict[str, str], limit_seconds: float) -> float:
    """Return the milliseconds that a child with this environment measured."""
    child = subprocess.run(
        [sys.executable, "-m", __name__],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=limit_seconds,
        check=True,
    )
    return float(child.stdout.split()[-1])


def _convolve() -> float:
    """Return the milliseconds of a 3x3 convolution, the best of a few."""
    import numpy as np
    from mindspore import Tensor, nn

    layer = nn.Conv2d(CHANNELS, CHANNELS, kernel_size=3, pad_mode="same")
    image = Tensor(np.ones((1, CHANNELS, PIXELS, PIXELS), np.float32))
    layer(image).asnumpy()  # compiles
    best = float("inf")
    for _ in range(REPEATS):
        began = time.perf_counter()
        layer(image).asnumpy()
        best = min(best, time.perf_counter() - began)
    return 1000 * best


if __name__ == "__main__":
    sys.stdout.write(f"{_convolve()}\n")
