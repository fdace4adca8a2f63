"""What a training sees, step by step: new samples and remembered ones, in a fixed proportion."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Batches"]

LEAST_NEW = 1 / 3
"""Share of the new domain among the samples, however many domains there were before."""


class Batches:
    """All batches of a training, by number; each full, so that one shape is compiled.

    In an epoch, every domain has the same number of places (but the new one at least a third), and
    its samples come in turn until the places are full: a domain of which only a few are remembered
    keeps its weight. Where there are more domains than places, a lot decides in each epoch which of
    them have one. An epoch is as long as there are samples, rounded up to whole batches.

    Parameters
    ----------
    variants : sequence of ndarray, each of shape (N, ...)
        The same samples in several versions (mirrored, say), of which each place draws one.
    targets : ndarray of float32, shape (N, classes)
        What the network is to say of each: probabilities of the classes.
    domains : sequence of str, length N
        Their domains; that of the last sample is the new one.
    batch_size, steps : int
        Samples in a batch, and batches in the training.
    seed : int
        Decides the order.
    prepare : callable
        Makes what the network takes out of a few samples.
    """

    def __init__(
        self,
        variants: Sequence[NDArray[np.generic]],
        targets: NDArray[np.float32],
        domains: Sequence[str],
        *,
        batch_size: int,
        steps: int,
        seed: int,
        prepare: Callable[[NDArray[np.generic]], NDArray[np.float32]],
    ) -> None:
        self.steps_per_epoch = -(-len(targets) // batch_size)
        self.steps = steps
        self._variants = variants
        self._targets = targets
        self._batch_size = batch_size
        self._seed = seed
        self._prepare = prepare
        names = np.asarray(domains)
        self._members = [np.flatnonzero(names == name) for name in dict.fromkeys(reversed(domains))]
        self._epoch = -1
        self._order = np.empty(0, np.int64)

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if not 0 <= step < len(self):
            raise IndexError(step)
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._draw(epoch)
        drawn = self._order[place * self._batch_size : (place + 1) * self._batch_size]
        if len(self._variants) == 1:
            samples = self._variants[0][drawn]
        else:
            versions = np.random.default_rng([self._seed, 1, step]).integers(
                len(self._variants), size=len(drawn)
            )
            samples = np.stack([self._variants[v][i] for v, i in zip(versions, drawn, strict=True)])
        return self._prepare(samples), self._targets[drawn]

    def _draw(self, epoch: int) -> NDArray[np.int64]:
        rng = np.random.default_rng([self._seed, 0, epoch])
        shares = _shares(len(self._members), self.steps_per_epoch * self._batch_size, rng)
        drawn = []
        for members, share in zip(self._members, shares, strict=True):
            turns = -(-share // len(members))
            turned = [rng.permutation(members) for _ in range(turns)]
            drawn.append(np.concatenate([members[:0], *turned])[:share])
        return rng.permutation(np.concatenate(drawn))


def _shares(domains: int, places: int, lot: np.random.Generator) -> list[int]:
    """Divide an epoch's places: the first domain is the new one and takes what is left over."""
    new = max(1 / domains, LEAST_NEW)
    for_others = int(places * (1 - new))
    others = np.full(domains - 1, for_others // max(1, domains - 1))
    if for_others < len(others):
        others[lot.permutation(len(others))[:for_others]] = 1
    return [places - int(others.sum()), *others.tolist()]
