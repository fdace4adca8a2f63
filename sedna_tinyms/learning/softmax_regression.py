"""Softmax regression: the best linear classifier on given features, found without a step size.

The loss is convex, so L-BFGS (Liu & Nocedal, "On the limited memory BFGS method for large scale
optimization", 1989) arrives at the one optimum whatever it starts from; a start near it saves time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

__all__ = ["softmax_regression"]

MOST_ITERATIONS = 100
TOLERANCE = 1e-5
"""Relative decrease of the loss below which more iterations are not worth their time."""


def softmax_regression(
    features: NDArray[Any],
    labels: NDArray[np.int64],
    start: tuple[NDArray[np.float32], NDArray[np.float32]],
    *,
    shares: NDArray[np.float64] | None = None,
    penalty: float,
    anchor: NDArray[np.float32] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32], list[float]]:
    """Fit a linear layer in front of a softmax.

    Parameters
    ----------
    features : ndarray, shape (N, D)
        Inputs.
    labels : ndarray of int, shape (N,)
        Classes, from 0.
    start : tuple of ndarray, shapes (classes, D) and (classes,)
        Weight and bias to begin from.
    shares : ndarray, shape (N,), optional
        How much each sample counts; all alike by default.
    penalty : float
        The loss is the mean cross-entropy plus ``penalty / 2`` times the squared distance of the
        weight from `anchor`.
    anchor : ndarray, shape (classes, D), optional
        0 by default.

    Returns
    -------
    weight, bias : ndarray of float32
        The layer.
    losses : list of float
        The loss after each iteration, the first before any.
    """
    weight, bias = start
    inputs = np.asarray(features, np.float32)
    targets = np.eye(len(weight), dtype=np.float32)[labels]
    counts = np.ones(len(labels)) if shares is None else shares
    counts = (counts / counts.sum()).astype(np.float32)[:, None]
    origin = np.zeros_like(weight) if anchor is None else anchor
    losses: list[float] = []

    def loss_and_gradient(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        layer = point.reshape(len(weight), -1).astype(np.float32)
        logits = inputs @ layer[:, :-1].T + layer[:, -1]
        logits -= logits.max(axis=1, keepdims=True)
        exponentials = np.exp(logits)
        sums = exponentials.sum(axis=1, keepdims=True)
        surprise = counts * (np.log(sums) - (logits * targets).sum(axis=1, keepdims=True))
        error = counts * (exponentials / sums - targets)
        gradient = np.empty(layer.shape)
        gradient[:, :-1] = error.T @ inputs + penalty * (layer[:, :-1] - origin)
        gradient[:, -1] = error.sum(axis=0)
        squared = float(np.square(layer[:, :-1] - origin).sum(dtype=np.float64))
        return float(surprise.sum(dtype=np.float64)) + penalty / 2 * squared, gradient.ravel()

    begin = np.concatenate([weight, bias[:, None]], axis=1).astype(np.float64).ravel()
    losses.append(loss_and_gradient(begin)[0])
    found = minimize(
        loss_and_gradient,
        begin,
        jac=True,
        method="L-BFGS-B",
        callback=lambda intermediate_result: losses.append(float(intermediate_result.fun)),
        options={"maxiter": MOST_ITERATIONS, "ftol": TOLERANCE, "gtol": 1e-5},
    )
    layer = found.x.reshape(len(weight), -1).astype(np.float32)
    return layer[:, :-1].copy(), layer[:, -1].copy(), losses
