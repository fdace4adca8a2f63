"""MindSpore's networks, as an estimator or inside of one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mindspore
from mindspore import Tensor, nn, ops

from sedna_tinyms.backend.adapters import NetworkEstimator

__all__ = ["network_estimator", "networks_of", "weights_kept_on_error"]


def network_estimator(candidate: Any) -> NetworkEstimator | None:
    """Give a bare `Cell` or `Model` the face of an estimator; None for anything else."""
    if isinstance(candidate, nn.Cell | mindspore.Model):
        return NetworkEstimator(candidate)
    return None


def networks_of(estimator: Any) -> list[nn.Cell]:
    """List the MindSpore networks that an estimator holds in its attributes."""
    found: list[nn.Cell] = []
    for value in getattr(estimator, "__dict__", {}).values():
        network = value.predict_network if isinstance(value, mindspore.Model) else value
        if isinstance(network, nn.Cell) and not any(network is other for other in found):
            found.append(network)
    return found


@contextmanager
def weights_kept_on_error(estimator: Any) -> Iterator[None]:
    """Give an estimator's networks their weights back if the block fails."""
    weights = [
        (parameter, parameter.asnumpy().copy())
        for network in networks_of(estimator)
        for parameter in network.get_parameters()
    ]
    try:
        yield
    except BaseException:
        for parameter, value in weights:
            # Not set_data: an optimizer that has taken a step would not notice.
            ops.assign(parameter, Tensor(value))
        raise
