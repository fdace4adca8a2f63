"""Which samples a replay memory keeps: how its places are shared out, and who comes first."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.errors import ConfigurationError

__all__ = ["Cell", "herding_ranks", "shares"]

Cell = tuple[str, str]
"""Label and domain."""

MOST_HERDED = 4096
"""Samples of a class that are compared with one another: their likeness takes 64 MB."""


def shares(counts: Mapping[Cell, int], places: int) -> dict[Cell, int]:
    """Share places out between cells, as evenly as their samples allow.

    What a small cell leaves over goes to the others. Places that are too few for one more a cell
    go where the domain, and then the class, has the fewest.

    Parameters
    ----------
    counts : mapping of (label, domain) to int
        Samples that each cell has.
    places : int
        Samples to keep in all.

    Returns
    -------
    dict of (label, domain) to int
        Samples to keep of each, in the order of `counts`.
    """
    sizes = np.array(list(counts.values()), np.int64)
    if sizes.sum() <= places:
        return dict(counts)
    level = _level(np.sort(sizes), places)
    given = np.minimum(sizes, level)
    labels = _numbered([label for label, _ in counts])
    domains = _numbered([domain for _, domain in counts])
    of_label = np.bincount(labels, given)
    of_domain = np.bincount(domains, given)
    open_cells = np.flatnonzero(sizes > level)
    for _ in range(places - int(given.sum())):
        totals = np.stack([of_label[labels[open_cells]], of_domain[domains[open_cells]]])
        chosen = np.lexsort(totals)[0]
        cell = open_cells[chosen]
        given[cell] += 1
        of_label[labels[cell]] += 1
        of_domain[domains[cell]] += 1
        open_cells = np.delete(open_cells, chosen)
    return dict(zip(counts, given.tolist(), strict=True))


def herding_ranks(features: NDArray[Any], labels: Sequence[Hashable]) -> NDArray[np.float64]:
    """Rank the samples of each class so that the first of them stand for all of them.

    Each next sample is the one that brings the mean of those chosen nearest to the mean of the
    class: herding (Welling, "Herding dynamical weights to learn", ICML 2009), as iCaRL chooses its
    exemplars (Rebuffi et al., CVPR 2017, algorithm 4), on features of length 1. Fewer places keep
    the beginning of the same order.

    Parameters
    ----------
    features : ndarray, shape (N, ...)
        What makes samples alike. Of activations (N, C, H, W), the means over H and W are compared.
    labels : sequence, length N
        Their classes.

    Returns
    -------
    ndarray of float64, shape (N,)
        For `ReplayMemory.update`: the n-th of a class with m samples has the rank
        ``(n + 1/2) / m``, so that classes and rounds of different sizes can be merged.
    """
    if len(features) != len(labels):
        raise ConfigurationError(
            f"there are {len(features)} features but {len(labels)} labels",
            code="wrong-length",
            name="labels",
            value=len(labels),
            expected=len(features),
        )
    ranks = np.empty(len(features))
    classes = _numbered(labels)
    for number in np.unique(classes):
        members = np.flatnonzero(classes == number)
        order = _herded(_unit_length(features[members]))
        ranks[members[order]] = (np.arange(len(members)) + 0.5) / len(members)
    return ranks


def _herded(features: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the order of the samples of one class; beyond a number, some wait behind the rest."""
    everyone = np.arange(len(features))
    among = np.unique(np.linspace(0, len(features) - 1, MOST_HERDED, dtype=np.int64))
    likeness = features[among] @ features[among].T
    to_mean = features[among] @ features.mean(0)
    squares = likeness.diagonal().copy()
    to_sum = np.zeros(len(among), np.float32)
    chosen = np.empty(len(among), np.int64)
    # |mean - (sum + x) / n|^2 is smallest where 2 x.(sum - n mean) + |x|^2 is.
    for step in range(len(among)):
        distance = 2 * (to_sum - (step + 1) * to_mean) + squares
        chosen[step] = nearest = distance.argmin()
        squares[nearest] = np.inf  # once is enough
        to_sum += likeness[nearest]
    return np.concatenate([among[chosen], np.setdiff1d(everyone, among)])


def _unit_length(features: NDArray[Any]) -> NDArray[np.float32]:
    pooled = features.mean((2, 3), np.float32) if features.ndim == 4 else features
    flat = pooled.reshape(len(pooled), -1).astype(np.float32)
    lengths = np.sqrt(np.einsum("nd,nd->n", flat, flat))
    unit: NDArray[np.float32] = flat / np.maximum(lengths, np.finfo(np.float32).tiny)[:, None]
    return unit


def _level(ascending: NDArray[np.int64], places: int) -> int:
    """Return the highest number that every cell can get, where it does not have fewer."""
    for position, size in enumerate(ascending):
        even = places // (len(ascending) - position)
        if size > even:
            return even
        places -= int(size)
    raise AssertionError("there are places for all")


def _numbered(names: Sequence[Hashable]) -> NDArray[np.int64]:
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], np.int64)
