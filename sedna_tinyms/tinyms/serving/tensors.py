"""Arrays in requests: nothing is allocated before its announced shape is known to be right."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.artifact.json_text import parse_json
from sedna_tinyms.tinyms.serving.refusal import Refusal

__all__ = ["MOST_ROWS", "check_shape", "finite", "parse_numbers", "parse_or_refuse"]

MOST_ROWS = 64
"""Inputs in one request."""


def parse_or_refuse(content: bytes | str, what: str = "the body") -> Any:
    """Parse JSON; NaN and infinity, which it has no words for, are refused.

    Raises
    ------
    Refusal
        400 if it is not JSON.
    """
    try:
        return parse_json(content)
    except ValueError as error:
        raise Refusal(400, f"{what} is not JSON: {error}", code="not-json") from None


def check_shape(shape: object, expected: tuple[int, ...]) -> tuple[int, ...]:
    """Return `shape` if it is `expected`, where -1 stands for 1 to `MOST_ROWS`.

    Raises
    ------
    Refusal
        400 otherwise.
    """
    if (
        not isinstance(shape, list)
        or len(shape) != len(expected)
        or not all(isinstance(n, int) and not isinstance(n, bool) for n in shape)
        or not all(map(_is_allowed, shape, expected))
    ):
        wanted = str(list(expected)).replace("-1", f"1 to {MOST_ROWS}")
        raise Refusal(400, f"the shape is {shape!r:.80}; it must be {wanted}", code="wrong-shape")
    return tuple(shape)


def _is_allowed(size: int, expected: int) -> bool:
    return 1 <= size <= MOST_ROWS if expected == -1 else size == expected


def parse_numbers(data: object, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return numbers, flat or nested as `shape` says, as an array of that shape.

    Raises
    ------
    Refusal
        400 if there are more or fewer, they are nested otherwise, or something is no number.
    """
    _require_numbers(data)
    try:
        array = np.asarray(data)
    except (ValueError, OverflowError, RecursionError):
        raise Refusal(
            400, f"data is nested unevenly; its shape must be {list(shape)}", code="wrong-shape"
        ) from None
    if array.dtype.kind not in "iuf":
        raise Refusal(400, "data must hold numbers and nothing else", code="not-a-number")
    count = int(np.prod(shape))
    if array.shape not in (shape, (count,)):
        raise Refusal(
            400,
            f"data has the shape {list(array.shape)}; it must be {list(shape)}, "
            f"or flat with {count} numbers",
            code="wrong-shape",
        )
    with np.errstate(over="ignore"):
        return finite(array.astype(np.float32).reshape(shape), "data")


def _require_numbers(data: object) -> None:
    """Refuse whatever else JSON has before an array is made: one long text makes it gigabytes."""
    waiting = [data]
    while waiting:
        row = waiting.pop()
        kinds = set(map(type, row)) if isinstance(row, list) else {type(row)}
        if not kinds <= {int, float, list}:
            raise Refusal(400, "data must hold numbers and nothing else", code="not-a-number")
        if list in kinds and isinstance(row, list):
            waiting += [each for each in row if isinstance(each, list)]


def finite(array: NDArray[np.float32], what: str) -> NDArray[np.float32]:
    """Return `array` if every number in it is one.

    Raises
    ------
    Refusal
        400 if it holds NaN or infinity.
    """
    if not np.isfinite(array).all():
        raise Refusal(
            400, f"{what} holds NaN, or numbers beyond the range of float32", code="not-finite"
        )
    return array
