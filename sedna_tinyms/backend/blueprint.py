"""Where fresh estimators come from, whatever a worker script handed to Sedna."""

from __future__ import annotations

import copy
import inspect
import logging
from collections.abc import Callable
from typing import Any

from sedna_tinyms.errors import ConfigurationError

__all__ = ["Blueprint"]

logger = logging.getLogger(__name__)

FACE = ("train", "predict", "evaluate")


class Blueprint:
    """Makes estimators like the one given, without touching any that is in use.

    Parameters
    ----------
    estimator : class, callable or object
        A class or factory is called without arguments; an instance is deep-copied; a bare
        network, given or made, gets the face of an estimator.
    face : callable
        From a bare network of the backend's framework to an estimator; from anything else to None.

    Attributes
    ----------
    first : object
        The estimator to begin with; for an instance, that instance.

    Raises
    ------
    ConfigurationError
        If it is none of these, or a class or factory needs arguments.
    """

    def __init__(self, estimator: Any, face: Callable[[Any], Any | None]) -> None:
        self._make: Callable[[], Any] | None
        instance = _as_estimator(estimator, face)
        if instance is not None:
            self.first = instance
            self._make = _copier(instance)
        elif callable(estimator):
            _require_no_arguments(estimator)
            self._make = lambda: _made(estimator, face)
            self.first = self._make()
        else:
            raise _not_an_estimator(estimator)

    @property
    def can_make(self) -> bool:
        """False for an instance that cannot be copied: only `first` exists then."""
        return self._make is not None

    def make(self) -> Any:
        """Return a new estimator, untrained or as the instance was when it was handed over."""
        if self._make is None:
            name = type(self.first).__name__
            raise ConfigurationError(f"a {name} cannot be copied", code="unsupported", name=name)
        return self._make()


def _as_estimator(candidate: Any, face: Callable[[Any], Any | None]) -> Any | None:
    found = face(candidate)
    if found is None and not inspect.isclass(candidate):
        found = candidate if any(hasattr(candidate, name) for name in FACE) else None
    return found


def _made(factory: Callable[[], Any], face: Callable[[Any], Any | None]) -> Any:
    candidate = factory()
    estimator = _as_estimator(candidate, face)
    if estimator is None:
        raise _not_an_estimator(candidate)
    return estimator


def _not_an_estimator(candidate: Any) -> ConfigurationError:
    return ConfigurationError(
        f"{candidate!r:.80} is no estimator: give a class or a factory, or an instance with "
        f"{', '.join(FACE)}, save and load (to the MindSpore backends, a Cell or a Model too)",
        code="wrong-type",
        value=candidate,
    )


def _copier(instance: Any) -> Callable[[], Any] | None:
    try:
        # A copy is kept, because the instance itself may be predicting when the next is made.
        pristine = copy.deepcopy(instance)
    except Exception as error:  # a class may refuse in any way
        logger.info(
            "%s cannot be copied (%s): models are loaded in place, predictions wait meanwhile",
            type(instance).__name__,
            error,
        )
        return None
    return lambda: copy.deepcopy(pristine)


def _require_no_arguments(factory: Callable[..., Any]) -> None:
    try:
        inspect.signature(factory).bind()
    except TypeError as error:
        name = getattr(factory, "__name__", repr(factory))
        raise ConfigurationError(
            f"the estimator {name} needs arguments ({error}), and Sedna gives none: pass an "
            f"instance, or functools.partial({name}, ...)",
            code="missing-value",
            name=name,
        ) from error
    except ValueError:
        return  # a built-in without a signature
