"""Calls of an estimator's methods with the keywords that they take."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any

from sedna_tinyms.errors import did_you_mean

__all__ = ["accepted"]

logger = logging.getLogger(__name__)


def accepted(
    function: Callable[..., Any], keywords: Mapping[str, Any], *, offered: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return those of `keywords` that `function` can take.

    A function with ``**anything`` takes all, keyword-only parameters included. What a worker
    script passed and the function cannot take is left out with a warning, because Sedna's own
    examples pass more than their estimators know.

    Parameters
    ----------
    function : callable
        An estimator's bound method.
    keywords : mapping
        What the caller passed.
    offered : tuple of str
        Names that Sedna or the backend passes on its own; leaving these out is no news.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return dict(keywords)
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return dict(keywords)
    by_keyword = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    valid = [parameter.name for parameter in parameters if parameter.kind in by_keyword]
    for name in keywords:
        if name not in valid and name not in offered:
            logger.warning(
                "%s takes no %r%s; it is ignored",
                getattr(function, "__qualname__", function),
                name,
                did_you_mean(name, valid),
            )
    return {name: value for name, value in keywords.items() if name in valid}
