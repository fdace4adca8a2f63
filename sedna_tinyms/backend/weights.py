"""Weights of an estimator: checked when they come from a file, exchanged as a list."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Parameter
from numpy.typing import NDArray

from sedna_tinyms.backend.networks import networks_of
from sedna_tinyms.errors import ConfigurationError, ForeignModelError, Problems
from sedna_tinyms.tinyms.model import Weights, read_weights
from sedna_tinyms.tinyms.model.naming import tinyms_names
from sedna_tinyms.tinyms.model.parameters import set_value

__all__ = ["get_weights", "readable_weights", "require_taken_over", "set_weights"]


def readable_weights(estimator: Any, path: Path) -> Weights | None:
    """Read a model file that is for MindSpore; None if the estimator has no network.

    Raises
    ------
    ModelFileError
        If it is truncated or damaged, or holds NaN or infinity.
    """
    return read_weights(path) if networks_of(estimator) else None


def require_taken_over(estimator: Any, weights: Weights, url: str) -> None:
    """Make sure that what was loaded arrived: MindSpore itself loads nothing without a word.

    Raises
    ------
    ForeignModelError
        If no parameter of the estimator's networks has the value that the file holds.
    """
    names = tinyms_names(weights.arrays)
    arrays = {names.get(name, name): array for name, array in weights.arrays.items()}
    arrays.update(weights.arrays)
    own = [p for network in networks_of(estimator) for p in network.get_parameters()]
    for parameter in own:
        array = arrays.get(parameter.name)
        if array is not None and np.array_equal(parameter.asnumpy(), array):
            return
    raise ForeignModelError(
        f"the model file {url} belongs to another network: after {type(estimator).__name__} "
        f"loaded it, none of the network's {len(own)} parameters ({_some(own)}) has a value "
        f"from it ({', '.join(list(weights.arrays)[:3])} ...)",
        code="foreign-model",
        path=url,
    )


def get_weights(estimator: Any) -> list[NDArray[np.float32]]:
    """Return the weights, from the estimator's own `get_weights` or its one network."""
    if hasattr(estimator, "get_weights"):
        return [np.asarray(weight, np.float32) for weight in estimator.get_weights()]
    return [p.asnumpy().astype(np.float32) for p in _parameters(estimator)]


def set_weights(estimator: Any, weights: Sequence[Any]) -> None:
    """Give the estimator weights in the order of `get_weights`, all of them or none.

    Raises
    ------
    ConfigurationError
        If their number, a shape or a type is wrong, or one holds NaN or infinity.
    """
    checked = _checked(weights, get_weights(estimator))
    if hasattr(estimator, "set_weights"):
        estimator.set_weights(checked)
        return
    for parameter, weight in zip(_parameters(estimator), checked, strict=True):
        set_value(parameter, weight)


def _checked(weights: Sequence[Any], current: list[NDArray[Any]]) -> list[NDArray[np.float32]]:
    if len(weights) != len(current):
        raise ConfigurationError(
            f"set_weights got {len(weights)} arrays, the network has {len(current)}",
            code="wrong-length",
            value=len(weights),
            expected=len(current),
        )
    problems = Problems()
    checked = []
    for index, (given, present) in enumerate(zip(weights, current, strict=True)):
        try:
            weight = np.asarray(given)
        except ValueError:
            problems.add(
                f"weights[{index}] is a ragged list; it must be an array",
                code="wrong-shape",
                index=index,
            )
            continue
        if weight.dtype.kind != "f":
            problems.add(
                f"weights[{index}] is of type {weight.dtype}; weights are floats",
                code="wrong-type",
                index=index,
                value=str(weight.dtype),
            )
        elif weight.shape != present.shape:
            problems.add(
                f"weights[{index}] has the shape {weight.shape}; the network has {present.shape}",
                code="wrong-shape",
                index=index,
                value=weight.shape,
                expected=present.shape,
            )
        elif not np.isfinite(weight).all():
            problems.add(f"weights[{index}] holds NaN or infinity", code="not-finite", index=index)
        checked.append(weight.astype(np.float32) if weight.dtype.kind == "f" else weight)
    problems.raise_as(ConfigurationError, "set_weights cannot take these weights")
    return checked


def _parameters(estimator: Any) -> list[Parameter]:
    networks = networks_of(estimator)
    if len(networks) != 1:
        raise ConfigurationError(
            f"{type(estimator).__name__} holds {len(networks)} networks: to exchange weights it "
            "needs its own get_weights and set_weights",
            code="unsupported",
            name=type(estimator).__name__,
            value=len(networks),
        )
    return list(networks[0].get_parameters())


def _some(parameters: list[Parameter]) -> str:
    return ", ".join(p.name for p in parameters[:3]) + (" ..." if len(parameters) > 3 else "")
