"""Metrics in the one shape that Sedna's controllers can compare."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sedna_tinyms.errors import MetricsError, Problems

__all__ = ["plain_metrics"]


def plain_metrics(result: Any, *, source: str) -> dict[str, list[float]]:
    """Turn what an estimator returned into ``{name: [float, ...]}``.

    Numbers become lists of one; arrays and tensors of any framework become lists.

    Parameters
    ----------
    result : mapping
        Metrics by name.
    source : str
        Who returned it, for the message.

    Raises
    ------
    MetricsError
        If it is no mapping, or a metric is no number or flat list of numbers, or is NaN or
        infinite: a controller would drop the whole report without a word.

    Examples
    --------
    >>> plain_metrics({"accuracy": 0.5, "recall": (1, 0)}, source="evaluate")
    {'accuracy': [0.5], 'recall': [1.0, 0.0]}
    """
    if not isinstance(result, Mapping):
        raise MetricsError(
            f"{source} returned {type(result).__name__} {_short(result)}; "
            'it must return metrics by name, such as {"accuracy": [0.97]}'
        )
    problems = Problems()
    metrics = {str(name): _numbers(str(name), value, problems) for name, value in result.items()}
    problems.raise_as(MetricsError, f"{source} returned metrics that no controller can compare")
    return metrics


def _numbers(name: str, value: Any, problems: Problems) -> list[float]:
    try:
        array = np.asarray(value.asnumpy() if hasattr(value, "asnumpy") else value, dtype=float)
    except (TypeError, ValueError):
        problems.add(f"{name} is {_short(value)}: not a number or a list of numbers")
        return []
    if array.ndim > 1 or array.size == 0:
        problems.add(f"{name} has the shape {array.shape}: not a number or a list of numbers")
        return []
    numbers = [float(number) for number in np.atleast_1d(array)]
    broken = [number for number in numbers if not math.isfinite(number)]
    if broken:
        problems.add(f"{name} holds {broken[0]}: was a class without samples, or did it diverge?")
    return numbers


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
