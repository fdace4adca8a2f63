"""JSON from anybody: every way in which it can be wrong is one error."""

from __future__ import annotations

import json
from typing import Any, NoReturn

__all__ = ["parse_json"]


def parse_json(content: str | bytes, *, allow_nan: bool = True) -> Any:
    """Return what JSON says.

    Parameters
    ----------
    content : str or bytes
        The text.
    allow_nan : bool
        Whether to take NaN and infinity, for which JSON has no words but Python has.

    Raises
    ------
    ValueError
        If it is none, or nested too deeply to be read.
    """
    try:
        return json.loads(content, parse_constant=None if allow_nan else _no_number)
    except RecursionError as error:
        raise ValueError(f"it is nested too deeply: {error}") from error


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")
