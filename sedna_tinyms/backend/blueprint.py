"""Where fresh estimators come from, whatever a worker script handed to Sedna."""

from __future__ import annotations

import copy
import inspect
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import mindspore
from mindspore import Tensor, nn, ops

from sedna_tinyms.backend.adapters import NetworkEstimator
from sedna_tinyms.errors import ConfigurationError

__all__ = ["Blueprint", "networks_of", "unchanged_on_error"]

logger = logging.getLogger(__name__)

FACE = ("train", "predict", "evaluate")


class Blueprint:
    """Makes estimators like the one given, without touching any that is in use.

    Parameters
    ----------
    estimator : class, callable or object
        A class or factory is called without arguments; an instance is deep-copied; a MindSpore
        `Cell` or `Model`, given or made, gets the face of an estimator.

    Attributes
    ----------
    first : object
        The estimator to begin with; for an instance, that instance.

    Raises
    ------
    ConfigurationError
        If it is none of these, or a class or factory needs arguments.
    """

    def __init__(self, estimator: Any) -> None:
        self._make: Callable[[], Any] | None
        if _is_network(estimator) or _has_face(estimator):
            self.first = _with_face(estimator)
            self._make = _copier(self.first)
        elif callable(estimator):
            _require_no_arguments(estimator)
            self._make = lambda: _with_face(estimator())
            self.first = self._make()
        else:
            raise ConfigurationError(_not_an_estimator(estimator))

    @property
    def can_make(self) -> bool:
        """False for an instance that cannot be copied: only `first` exists then."""
        return self._make is not None

    def make(self) -> Any:
        """Return a new estimator, untrained or as the instance was when it was handed over."""
        if self._make is None:
            raise ConfigurationError(f"a {type(self.first).__name__} cannot be copied")
        return self._make()


def networks_of(estimator: Any) -> list[nn.Cell]:
    """List the MindSpore networks that an estimator holds in its attributes."""
    found: list[nn.Cell] = []
    for value in getattr(estimator, "__dict__", {}).values():
        network = value.predict_network if isinstance(value, mindspore.Model) else value
        if isinstance(network, nn.Cell) and not any(network is other for other in found):
            found.append(network)
    return found


@contextmanager
def unchanged_on_error(estimator: Any) -> Iterator[None]:
    """Give an estimator its attributes and weights back if the block fails."""
    attributes = getattr(estimator, "__dict__", {})
    before = dict(attributes)
    weights = [
        (parameter, parameter.asnumpy().copy())
        for network in networks_of(estimator)
        for parameter in network.get_parameters()
    ]
    try:
        yield
    except BaseException:
        attributes.clear()
        attributes.update(before)
        for parameter, value in weights:
            # Not set_data: an optimizer that has taken a step would not notice.
            ops.assign(parameter, Tensor(value))
        raise


def _is_network(candidate: Any) -> bool:
    return isinstance(candidate, nn.Cell | mindspore.Model)


def _has_face(candidate: Any) -> bool:
    return not inspect.isclass(candidate) and any(hasattr(candidate, name) for name in FACE)


def _with_face(candidate: Any) -> Any:
    if _is_network(candidate):
        return NetworkEstimator(candidate)
    if _has_face(candidate):
        return candidate
    raise ConfigurationError(_not_an_estimator(candidate))


def _not_an_estimator(candidate: Any) -> str:
    return (
        f"{candidate!r:.80} is no estimator: give a class or a factory, an instance with "
        f"{', '.join(FACE)}, save and load, a mindspore.nn.Cell or a Model"
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
            f"instance, or functools.partial({name}, ...)"
        ) from error
    except ValueError:
        return  # a built-in without a signature
