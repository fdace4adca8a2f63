"""Amounts of memory as Kubernetes writes them: ``512Mi``, ``2G``, ``1.5e9``."""

from __future__ import annotations

import re

__all__ = ["memory_bytes"]

QUANTITY = re.compile(r"\+?([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:([eE][-+]?[0-9]{1,2})|([A-Za-z]*))")
SUFFIXES = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9} | {
    unit: float(factor)
    for power, letter in enumerate("kMGTPE", 1)
    for unit, factor in ((letter, 1000**power), (f"{letter.upper()}i", 1024**power))
}


def memory_bytes(quantity: str | float) -> int | None:
    """Return an amount of memory in bytes; None if it is not written as Kubernetes knows it.

    Examples
    --------
    >>> memory_bytes("512Mi"), memory_bytes("2G"), memory_bytes(1024), memory_bytes("2 GB")
    (536870912, 2000000000, 1024, None)
    """
    match = QUANTITY.fullmatch(str(quantity))
    if match is None:
        return None
    number, exponent, suffix = match.groups()
    if exponent:
        return int(float(number + exponent))
    return int(float(number) * SUFFIXES[suffix]) if suffix in SUFFIXES else None
