"""What a benchmark's options may be, for `argparse`: each an error that names the text."""

from __future__ import annotations

import argparse

__all__ = ["at_least_one", "at_least_ones", "names", "whole_numbers"]


def at_least_one(text: str) -> int:
    """Read a whole number of 1 or more from the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


def at_least_ones(text: str) -> list[int]:
    """Read whole numbers of 1 or more, with commas between."""
    return [at_least_one(part) for part in names(text)]


def names(text: str) -> list[str]:
    """Read texts with commas between."""
    found = [name for part in text.split(",") if (name := part.strip())]
    if not found:
        raise argparse.ArgumentTypeError("it names nothing")
    return found


def whole_numbers(text: str) -> list[int]:
    """Read whole numbers, with commas between."""
    found = names(text)
    if not all(name.isdecimal() for name in found):
        raise argparse.ArgumentTypeError(f"{text!r} are no whole numbers with commas between")
    return [int(name) for name in found]
