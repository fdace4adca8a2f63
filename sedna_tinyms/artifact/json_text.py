"""JSON from anybody: every way in which it can be wrong is one error."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

__all__ = ["parse_json"]


def parse_json(content: str | bytes) -> Any:
    """Return what JSON says; every number in it is finite, so that it can be written again.

    Parameters
    ----------
    content : str or bytes
        The text.

    Raises
    ------
    ValueError
        If it is none, nested too deeply to be read, or has NaN, infinity, or a number beyond a
        float, which Python takes for infinity.
    """
    try:
        return json.loads(content, parse_float=_finite, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError(f"it is nested too deeply: {error}") from error


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text:.40} is beyond the range of a float")
    return number


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")
