"""Replay memory: a few samples of every class and domain, so that none is forgotten.

The budget is shared evenly between the cells, one a class and domain; what a small cell leaves
over goes to the others. Within a cell every sample that was ever offered has the same chance to be
kept, however the budget and the number of cells changed meanwhile: each draws a random rank, and
the lowest ranks stay.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.artifact.files import write_file
from sedna_tinyms.errors import ConfigurationError, ModelFileError

__all__ = ["Exemplars", "ReplayMemory"]

FORMAT_VERSION = 1
LISTED = ("items", "labels", "domains", "ranks")
CELLS = ("cell_labels", "cell_domains", "cell_limits", "cell_seen")
KINDS = dict(zip((*LISTED, *CELLS), ("biufc", "U", "U", "f", "U", "U", "f", "iu"), strict=True))

Cell = tuple[str, str]
"""Label and domain."""


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
    limit: float = 1.0  # the lowest rank that was ever turned away
    seen: int = 0

    def cut(self, size: int) -> None:
        if len(self.ranks) > size:
            self.limit = float(self.ranks[size])
            self.items, self.ranks = self.items[:size].copy(), self.ranks[:size].copy()


class ReplayMemory:
    """Samples of earlier rounds, balanced over classes and domains, within a budget of bytes.

    Parameters
    ----------
    budget_bytes : int
        Most bytes that the samples' arrays may take, at least 0.
    seed : int
        Decides what is kept.

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

    def __init__(self, budget_bytes: int, seed: int = 0) -> None:
        self.seed = seed
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
                "bytes, 0 for no memory"
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
    def domains(self) -> list[str]:
        """Every domain ever seen, in the order of their first samples."""
        return list(dict.fromkeys(domain for _, domain in self._cells))

    @property
    def item_shape(self) -> tuple[int, ...] | None:
        """Shape of one sample; None while the memory is empty."""
        return next((kept.items.shape[1:] for kept in self._cells.values()), None)

    def __len__(self) -> int:
        return sum(len(kept.ranks) for kept in self._cells.values())

    def update(self, items: NDArray[Any], labels: Sequence[str], domain: str) -> None:
        """Offer a round's samples, once each.

        Parameters
        ----------
        items : ndarray, shape (N, ...)
            Samples; of one shape and dtype for the whole memory.
        labels : sequence of str, length N
            Their classes.
        domain : str
            What they have in common: the round.

        Raises
        ------
        ConfigurationError
            If the lengths differ, or the samples do not fit to those kept.
        """
        items = np.asarray(items)
        if len(items) != len(labels):
            raise ConfigurationError(f"there are {len(items)} samples but {len(labels)} labels")
        self._require_alike(items)
        by_label: dict[str, list[int]] = {}
        for index, label in enumerate(labels):
            by_label.setdefault(str(label), []).append(index)
        for label, indices in by_label.items():
            cell = (label, str(domain))
            kept = self._cells.setdefault(cell, _Kept(items[:0].copy(), np.empty(0)))
            ranks = self._generator(cell, kept.seen).random(len(indices))
            kept.seen += len(indices)
            _offer(kept, items[indices], ranks)
        self._rebalance()

    def merge(self, other: ReplayMemory) -> None:
        """Take over the samples of another memory, as far as the budget allows."""
        for cell, theirs in other._cells.items():
            self._require_alike(theirs.items)
            kept = self._cells.setdefault(cell, _Kept(theirs.items[:0].copy(), np.empty(0)))
            kept.limit = min(kept.limit, theirs.limit)
            kept.seen += theirs.seen
            below = kept.ranks < kept.limit
            kept.items, kept.ranks = kept.items[below], kept.ranks[below]
            _offer(kept, theirs.items, theirs.ranks)
        self._rebalance()

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

    def sample(self, count: int, rng: np.random.Generator) -> Exemplars:
        """Draw `count` samples, evenly from all cells; with repetitions where a cell has too few.

        Raises
        ------
        ConfigurationError
            If the memory is empty.
        """
        everything = self.exemplars()
        sizes = [size for size in self.counts.values() if size]
        if not sizes:
            raise ConfigurationError("an empty replay memory has no samples to draw")
        starts = np.cumsum([0, *sizes[:-1]])
        cells = np.resize(rng.permutation(len(sizes)), count)
        drawn = np.empty(count, np.int64)
        for cell, (start, size) in enumerate(zip(starts, sizes, strict=True)):
            wanted = np.flatnonzero(cells == cell)
            rounds = [rng.permutation(size) for _ in range(-(-len(wanted) // size))]
            if rounds:
                drawn[wanted] = start + np.concatenate(rounds)[: len(wanted)]
        return Exemplars(
            everything.items[drawn],
            [everything.labels[index] for index in drawn],
            [everything.domains[index] for index in drawn],
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the memory as ``.npz``, whole or not at all.

        Raises
        ------
        StorageError
            If the file cannot be written.
        """
        arrays = self._arrays()
        arrays["version"] = np.array(FORMAT_VERSION)
        arrays["checksum"] = np.array(_checksum(arrays))
        with write_file(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str], budget_bytes: int, seed: int = 0) -> ReplayMemory:
        """Read a memory that `save` wrote; nothing is unpickled.

        Parameters
        ----------
        path : path
            The file.
        budget_bytes, seed : int
            As for the class; the budget may be another than before.

        Raises
        ------
        ModelFileError
            If the file is missing, truncated, damaged or no replay memory.
        """
        memory = cls(0, seed)
        for cell, kept in _cells(_read(Path(path)), Path(path)):
            memory._cells[cell] = kept
        memory.budget_bytes = budget_bytes
        return memory

    def _arrays(self) -> dict[str, NDArray[Any]]:
        items, labels, domains = self.exemplars()
        kept = self._cells.values()
        return {
            "items": items,
            "labels": np.array(labels, "U"),
            "domains": np.array(domains, "U"),
            "ranks": np.concatenate([np.empty(0), *(k.ranks for k in kept)]),
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
                    f"these are {items.dtype} {items.shape[1:]}"
                )

    def _rebalance(self) -> None:
        """Share the budget out evenly, beginning with the smallest cells."""
        cells = sorted(self._cells.items(), key=lambda entry: (len(entry[1].ranks), entry[0]))
        sizes = [
            kept.items.dtype.itemsize * int(np.prod(kept.items.shape[1:])) for _, kept in cells
        ]
        places = self._budget // max(1, sizes[0]) if sizes else 0
        for position, (_, kept) in enumerate(cells):
            share = places // (len(cells) - position)
            kept.cut(share)
            places -= len(kept.ranks)


def _offer(kept: _Kept, items: NDArray[Any], ranks: NDArray[np.float64]) -> None:
    """Add samples to a cell where their rank is below every one turned away."""
    below = ranks < kept.limit
    ranks = np.concatenate([kept.ranks, ranks[below]])
    order = np.argsort(ranks, kind="stable")
    kept.ranks = ranks[order]
    kept.items = np.concatenate([kept.items, items[below]])[order]


def _checksum(arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name in sorted(KINDS):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _read(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise ModelFileError(f"the replay memory {path} does not exist") from None
    except (OSError, ValueError, EOFError, KeyError, MemoryError) as error:
        raise _broken(path, error) from error
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, AttributeError) as error:
        raise _broken(path, error) from error
    missing = [name for name in (*KINDS, "version", "checksum") if name not in arrays]
    if missing:
        raise _broken(path, f"it has no {missing[0]!r}")
    if arrays["version"].tolist() != FORMAT_VERSION:
        raise _broken(path, f"its format is version {arrays['version']}, not {FORMAT_VERSION}")
    if str(arrays["checksum"]) != _checksum(arrays):
        raise _broken(path, "its checksum is wrong")
    return arrays


def _cells(arrays: Mapping[str, NDArray[Any]], path: Path) -> list[tuple[Cell, _Kept]]:
    for name, kinds in KINDS.items():
        length = len(arrays["ranks" if name in LISTED else "cell_seen"])
        if arrays[name].dtype.kind not in kinds or arrays[name].shape[:1] != (length,):
            raise _broken(path, f"{name!r} is {arrays[name].dtype} {arrays[name].shape}")
    cells = []
    found = 0
    for label, domain, limit, seen in zip(*(arrays[name] for name in CELLS), strict=True):
        inside = (arrays["labels"] == label) & (arrays["domains"] == domain)
        found += int(inside.sum())
        kept = _Kept(arrays["items"][inside], arrays["ranks"][inside], float(limit), int(seen))
        cells.append(((str(label), str(domain)), kept))
    if found != len(arrays["ranks"]):
        raise _broken(path, "its samples and its classes do not agree")
    return cells


def _broken(path: Path, reason: object) -> ModelFileError:
    return ModelFileError(
        f"the replay memory {path} is truncated, damaged or something else ({reason}): remove it "
        "to go on without the earlier rounds' samples, or restore it with its model"
    )
