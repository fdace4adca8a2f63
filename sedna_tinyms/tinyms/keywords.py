"""Checks what networks and transforms are built with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sedna_tinyms.errors import ConfigurationError, Problems, did_you_mean

__all__ = ["refuse_unknown", "require_counts"]

OTHER_NAMES = {"num_classes": "class_num", "n_classes": "class_num", "configs": "labels"}
"""What other libraries, and TinyMS's transforms, call a keyword."""


def refuse_unknown(factory: str, given: Iterable[str], valid: Iterable[str]) -> None:
    """Raise ConfigurationError for keywords that a factory does not know.

    TinyMS ignored them, so that ``lenet5(num_classes=5)`` had ten classes.
    """
    known = list(valid)
    problems = Problems()
    for name in given:
        if name not in known:
            hint = did_you_mean(OTHER_NAMES.get(name, name), known)
            problems.add(
                f"unknown keyword {name!r}{hint}",
                code="unknown-key",
                name=name,
                valid=tuple(known),
            )
    problems.raise_as(
        ConfigurationError, f"{factory} cannot be built (it takes {', '.join(known)})"
    )


def require_counts(factory: str, counts: Mapping[str, Any]) -> None:
    """Raise ConfigurationError unless every value is a whole number of at least 1."""
    problems = Problems()
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            problems.add(
                f"{name} is {value!r}; it must be a whole number of at least 1",
                code="out-of-range",
                name=name,
                value=value,
            )
    problems.raise_as(ConfigurationError, f"{factory} cannot be built")
