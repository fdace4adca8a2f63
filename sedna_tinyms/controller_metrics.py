"""Metrics in the one shape that Sedna's controller can compare: name to list of numbers.

A scalar, or a number where a list belongs, makes the controller skip the deployment without a
word, and a NaN never reaches it at all; hence everything is made to fit here, or refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np

from sedna_tinyms.errors import MetricsError, Problems

__all__ = ["plain_metrics"]


def plain_metrics(result: object, *, source: str) -> dict[str, list[float]]:
    """Return `result` as metric names with lists of plain Python floats.

    Parameters
    ----------
    result : mapping
        Values may be numbers, scalars and one-dimensional arrays or tensors of any framework, or
        flat sequences of these.
    source : str
        Who gave it, for the error: ``"Estimator.evaluate"``.

    Returns
    -------
    dict
        Every metric as a list, also a single number.

    Raises
    ------
    MetricsError
        If it is no mapping, or a value is NaN, infinite, no number, empty, or not flat.

    Examples
    --------
    >>> plain_metrics({"accuracy": 0.5, "recall": (1, 0)}, source="evaluate")
    {'accuracy': [0.5], 'recall': [1.0, 0.0]}
    """
    if not isinstance(result, Mapping):
        raise MetricsError(
            f"{source} returned {_shown(result)}; it must return metrics by name, "
            "such as {'accuracy': [0.93]}",
            code="wrong-type",
            source=source,
        )
    problems = Problems()
    metrics: dict[str, list[float]] = {}
    for name, value in result.items():
        try:
            metrics[str(name)] = _floats(value)
        except ValueError as error:
            code = getattr(error, "code", "invalid-value")
            problems.add(f"{name!r} is {_shown(value)}: {error}", code=code, name=str(name))
    problems.raise_as(
        MetricsError, f"{source} returned metrics that no controller can compare", source=source
    )
    return metrics


class _IncomparableError(ValueError):
    def __init__(self, reason: str, code: str) -> None:
        super().__init__(reason)
        self.code = code


def _floats(value: Any) -> list[float]:
    value = _array(value)
    if isinstance(value, np.ndarray):
        if value.ndim > 1:
            raise _IncomparableError(
                f"it has {value.ndim} axes; a metric is a number or a flat list", "wrong-shape"
            )
        value = value.reshape(-1).tolist()
    if not isinstance(value, list | tuple):
        return [_float(value)]
    if not value:
        raise _IncomparableError("an empty list holds nothing to compare", "empty")
    return [_float(item) for item in value]


def _array(value: Any) -> Any:
    """Return a tensor of any framework as a NumPy array, and anything else as it is."""
    if hasattr(value, "asnumpy"):
        return value.asnumpy()
    if hasattr(value, "__array__") and not isinstance(value, np.generic):
        return np.asarray(value)
    return value


def _float(value: Any) -> float:
    value = _array(value)
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if not isinstance(value, Real | np.bool_):
        raise _IncomparableError("a metric is a number or a flat list of numbers", "not-a-number")
    number = float(value)
    if math.isnan(number):
        raise _IncomparableError(
            "NaN cannot be compared; the model diverged, or something was empty", "not-finite"
        )
    if math.isinf(number):
        raise _IncomparableError(
            "infinity cannot be compared, and no JSON message can carry it", "not-finite"
        )
    return number


def _shown(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
