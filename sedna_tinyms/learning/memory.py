"""Replay memory: a few samples of every class and domain, so that none is forgotten.

The budget is shared evenly between the cells, one a class and domain; what a small cell leaves
over goes to the others. Within a cell the samples with the lowest ranks stay. By default a rank is
drawn at random (reservoir sampling): every sample that was ever offered has the same chance to be
kept, however the budget and the number of cells changed meanwhile. Ranks that were chosen, such as
those of `sedna_tinyms.learning.selection.herding_ranks`, keep the samples that stand for the rest.

A sample is a picture's pixels or its activations; then, no picture needs to be stored. Where the
digest of its picture is given, a sample is known by it: `forget` takes those out that come again.
"""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.errors import ConfigurationError, ForeignModelError
from sedna_tinyms.learning.memory_file import CELLS, DIGEST, read_arrays, write_arrays
from sedna_tinyms.learning.selection import Cell, shares

__all__ = ["Exemplars", "ReplayMemory"]

PIXELS = "pixels"


class Exemplars(NamedTuple):
    """Samples out of a memory.

    Attributes
    ----------
    items : ndarray, shape (N, ...)
        As they were given to `ReplayMemory.update`.
    labels, domains : list of str
        Class and domain of each.
    """

    items: NDArray[Any]
    labels: list[str]
    domains: list[str]


@dataclass
class _Kept:
    """What is kept of one cell, by ascending rank."""

    items: NDArray[Any]
    ranks: NDArray[np.float64]
    digests: NDArray[np.bytes_]
    limit: float = math.inf  # the lowest rank that was ever turned away
    seen: int = 0

    def cut(self, size: int) -> None:
        if len(self.ranks) > size:
            self.limit = float(self.ranks[size])
            self.keep(np.arange(len(self.ranks)) < size)

    def keep(self, chosen: NDArray[np.bool_]) -> None:
        """Keep the chosen ones."""
        self.items, self.ranks = self.items[chosen], self.ranks[chosen]
        self.digests = self.digests[chosen]


class ReplayMemory:
    """Samples of earlier rounds, balanced over classes and domains, within a budget of bytes.

    Parameters
    ----------
    budget_bytes : int
        Most bytes that the samples' arrays may take, at least 0. Names and counts come on top, for
        every class and round about 200 bytes in the file.
    seed : int
        Decides what is kept.
    space : str
        What the samples are: pixels, or the activations that this space names (see
        `sedna_tinyms.learning.cache.space_name`), which those of other weights do not mix with.

    Raises
    ------
    ConfigurationError
        If the budget is negative.

    Examples
    --------
    >>> import numpy as np
    >>> memory = ReplayMemory(budget_bytes=4, seed=1)
    >>> memory.update(np.arange(6, dtype=np.uint8)[:, None], list("aaaabb"), "round-1")
    >>> memory.counts
    {('a', 'round-1'): 2, ('b', 'round-1'): 2}
    """

    def __init__(self, budget_bytes: int, seed: int = 0, space: str = PIXELS) -> None:
        self.seed = seed
        self.space = space
        self._cells: dict[Cell, _Kept] = {}
        self._budget = 0
        self.budget_bytes = budget_bytes

    @property
    def budget_bytes(self) -> int:
        """Most bytes that the samples may take; a smaller one takes effect at once."""
        return self._budget

    @budget_bytes.setter
    def budget_bytes(self, value: int) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ConfigurationError(
                f"the budget of the replay memory is {value!r}; it must be a whole number of "
                "bytes, 0 for no memory",
                code="out-of-range",
                name="budget_bytes",
                value=value,
            )
        self._budget = value
        self._rebalance()

    @property
    def nbytes(self) -> int:
        """Bytes that the samples take now."""
        return sum(kept.items.nbytes for kept in self._cells.values())

    @property
    def counts(self) -> dict[Cell, int]:
        """Number of samples kept by (label, domain)."""
        return {cell: len(kept.ranks) for cell, kept in self._cells.items()}

    @property
    def seen(self) -> int:
        """Number of samples ever offered."""
        return sum(kept.seen for kept in self._cells.values())

    @property
    def domains(self) -> list[str]:
        """Every domain ever seen, in the order of their first samples."""
        return list(dict.fromkeys(domain for _, domain in self._cells))

    @property
    def item_shape(self) -> tuple[int, ...] | None:
        """Shape of one sample; None while the memory is empty."""
        return next((kept.items.shape[1:] for kept in self._cells.values()), None)

    def __len__(self) -> int:
        return sum(len(kept.ranks) for kept in self._cells.values())

    def update(
        self,
        items: NDArray[Any],
        labels: Sequence[str],
        domain: str,
        ranks: NDArray[np.float64] | None = None,
        digests: Sequence[str] | None = None,
    ) -> None:
        """Offer a round's samples, once each.

        Parameters
        ----------
        items : ndarray, shape (N, ...)
            Samples; of one shape and dtype for the whole memory.
        labels : sequence of str, length N
            Their classes.
        domain : str
            What they have in common: the round.
        ranks : ndarray, shape (N,), optional
            From 0 to 1, lowest is kept first: what share of its class comes before each. At random
            by default.
        digests : sequence of str, length N, optional
            SHA-256 of each sample's picture, in hexadecimal digits. What is kept already with the
            same one must have been taken out with `forget`.

        Raises
        ------
        ConfigurationError
            If the lengths differ, a rank is out of its range, or the samples do not fit to those
            kept.
        """
        items = np.asarray(items)
        if len(items) != len(labels):
            raise ConfigurationError(
                f"there are {len(items)} samples but {len(labels)} labels",
                code="wrong-length",
                name="labels",
                value=len(labels),
                expected=len(items),
            )
        if ranks is not None:
            ranks = _checked_ranks(ranks, len(items))
        if not len(items):
            return
        self._require_alike(items)
        known = np.array([""] * len(items) if digests is None else list(digests), DIGEST)
        by_label: dict[str, list[int]] = {}
        for index, label in enumerate(labels):
            by_label.setdefault(str(label), []).append(index)
        for label, indices in by_label.items():
            cell = (label, str(domain))
            kept = self._cells.setdefault(cell, _nothing(items))
            if ranks is None:
                drawn = self._generator(cell, kept.seen).random(len(indices))
            else:
                drawn = ranks[indices]
            kept.seen += len(indices)
            _offer(kept, items[indices], drawn, known[indices])
        self._rebalance()

    def forget(self, digests: Sequence[str]) -> dict[str, str]:
        """Take out what is kept of pictures, which then may be offered again.

        Parameters
        ----------
        digests : sequence of str
            SHA-256 of each picture, in hexadecimal digits.

        Returns
        -------
        dict of str to str
            The label that was kept of each picture that was found.
        """
        wanted = np.array([digest for digest in digests if digest], DIGEST)
        found: dict[str, str] = {}
        for (label, _), kept in self._cells.items():
            again = np.isin(kept.digests, wanted)
            if again.any():
                found |= {digest.decode(): label for digest in kept.digests[again].tolist()}
                kept.seen -= int(again.sum())
                kept.keep(~again)
        return found

    def exemplars(self) -> Exemplars:
        """Return all samples, cell by cell."""
        kept = [(cell, k) for cell, k in self._cells.items() if len(k.ranks)]
        if not kept:
            nothing = [k.items[:0] for k in self._cells.values()] or [np.empty(0, np.uint8)]
            return Exemplars(nothing[0], [], [])
        return Exemplars(
            np.concatenate([k.items for _, k in kept]),
            [label for (label, _), k in kept for _ in k.ranks],
            [domain for (_, domain), k in kept for _ in k.ranks],
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the memory as ``.npz``, whole or not at all.

        Raises
        ------
        StorageError
            If the file cannot be written.
        """
        write_arrays(path, self._arrays())

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        budget_bytes: int,
        seed: int = 0,
        space: str | None = None,
    ) -> ReplayMemory:
        """Read a memory that `save` wrote; nothing is unpickled.

        Parameters
        ----------
        path : path
            The file.
        budget_bytes, seed : int
            As for the class; the budget may be another than before.
        space : str, optional
            What its samples must be; that of the file by default.

        Raises
        ------
        ModelFileError
            If the file is missing, truncated, damaged or no replay memory.
        ForeignModelError
            If its samples are of another space: other weights made them.
        """
        arrays = read_arrays(path)
        memory = cls(0, seed, str(arrays["space"]))
        if space is not None and memory.space != space:
            raise ForeignModelError(
                f"the replay memory {path} holds {memory.space}; {space} is needed here: other "
                "weights or settings made it. Remove it to go on without the earlier rounds' "
                "samples, or go back to the model that it belongs to",
                code="foreign-model",
                path=str(path),
                value=memory.space,
                expected=space,
            )
        for cell, kept in _cells(arrays):
            memory._cells[cell] = kept
        memory.budget_bytes = budget_bytes
        return memory

    def _arrays(self) -> dict[str, NDArray[Any]]:
        items, labels, domains = self.exemplars()
        kept = self._cells.values()
        return {
            "space": np.array(self.space),
            "items": items,
            "labels": np.array(labels, "U"),
            "domains": np.array(domains, "U"),
            "ranks": np.concatenate([np.empty(0), *(k.ranks for k in kept)]),
            "digests": np.concatenate([np.empty(0, DIGEST), *(k.digests for k in kept)]),
            "cell_labels": np.array([label for label, _ in self._cells], "U"),
            "cell_domains": np.array([domain for _, domain in self._cells], "U"),
            "cell_limits": np.array([k.limit for k in kept], np.float64),
            "cell_seen": np.array([k.seen for k in kept], np.int64),
        }

    def _generator(self, cell: Cell, seen: int) -> np.random.Generator:
        """Return a generator of its own for each cell, so that their order does not matter."""
        name = zlib.crc32("\0".join(cell).encode())
        return np.random.default_rng([abs(self.seed), name, seen])

    def _require_alike(self, items: NDArray[Any]) -> None:
        for kept in self._cells.values():
            shape, dtype = kept.items.shape[1:], kept.items.dtype
            if items.shape[1:] != shape or items.dtype != dtype:
                raise ConfigurationError(
                    f"the replay memory holds samples of {dtype} {shape}; "
                    f"these are {items.dtype} {items.shape[1:]}",
                    code="wrong-shape",
                    name="items",
                    value=items.shape[1:],
                    expected=shape,
                )

    def _rebalance(self) -> None:
        """Keep as many samples of each cell as the budget has places for."""
        example = next((kept.items for kept in self._cells.values()), np.empty(0))
        item_bytes = example.dtype.itemsize * math.prod(example.shape[1:])
        places = shares(self.counts, self._budget // max(1, item_bytes))
        for cell, kept in self._cells.items():
            kept.cut(places[cell])


def _nothing(items: NDArray[Any]) -> _Kept:
    return _Kept(items[:0].copy(), np.empty(0), np.empty(0, DIGEST))


def _offer(
    kept: _Kept,
    items: NDArray[Any],
    ranks: NDArray[np.float64],
    digests: NDArray[np.bytes_],
) -> None:
    """Add samples to a cell where their rank is below every one turned away."""
    below = ranks < kept.limit
    ranks = np.concatenate([kept.ranks, ranks[below]])
    order = np.argsort(ranks, kind="stable")
    kept.ranks = ranks[order]
    kept.items = np.concatenate([kept.items, items[below]])[order]
    kept.digests = np.concatenate([kept.digests, digests[below]])[order]


def _checked_ranks(ranks: NDArray[Any], count: int) -> NDArray[np.float64]:
    ranks = np.asarray(ranks, np.float64)
    if ranks.shape != (count,):
        raise ConfigurationError(
            f"there are {count} samples, but ranks of shape {ranks.shape}",
            code="wrong-shape",
            name="ranks",
            value=ranks.shape,
            expected=(count,),
        )
    if not ((ranks >= 0) & (ranks <= 1)).all():
        raise ConfigurationError(
            f"ranks go from {ranks.min()} to {ranks.max()}, not from 0 to 1",
            code="out-of-range",
            name="ranks",
            value=(float(ranks.min()), float(ranks.max())),
            expected=(0, 1),
        )
    return ranks


def _cells(arrays: Mapping[str, NDArray[Any]]) -> Iterator[tuple[Cell, _Kept]]:
    inside: dict[Cell, list[int]] = {}
    samples = zip(arrays["labels"].tolist(), arrays["domains"].tolist(), strict=True)
    for index, cell in enumerate(samples):
        inside.setdefault(cell, []).append(index)
    columns = (arrays[name].tolist() for name in CELLS)
    for label, domain, limit, seen in zip(*columns, strict=True):
        chosen = inside.get((label, domain), [])
        items, ranks, digests = (arrays[name][chosen] for name in ("items", "ranks", "digests"))
        kept = _Kept(items, ranks, digests, limit, seen)
        yield (label, domain), kept
