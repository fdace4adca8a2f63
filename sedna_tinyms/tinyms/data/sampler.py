"""TinyMS's sampler for several processes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from mindspore.communication import GlobalComm, get_group_size, get_rank

from sedna_tinyms.errors import ConfigurationError, Problems

__all__ = ["DistributedSampler"]


class DistributedSampler:
    """One process's equal share of the samples, in a new order each epoch.

    TinyMS's class, which counts samples; MindSpore's of the same name, which counts shards, is
    ``mindspore.dataset.DistributedSampler``. All processes draw the same order, from the number
    of the epoch, and each takes every `num_replicas`-th sample. Where the samples do not divide
    evenly, the first ones of the order come again at its end.

    Parameters
    ----------
    dataset_size : int
        How many samples there are.
    num_replicas : int, optional
        How many processes; by default those of `context.init_data_parallel`, or 1.
    rank : int, optional
        Which of them this is, from 0; by default by the same rule.
    shuffle : bool
        Whether there is an order to draw; else it is that of the dataset.

    Raises
    ------
    ConfigurationError
        If there are no samples or no such process.

    Examples
    --------
    >>> list(DistributedSampler(5, num_replicas=2, rank=1, shuffle=False))
    [1, 3, 0]
    """

    def __init__(
        self,
        dataset_size: int,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
    ) -> None:
        self.dataset_size = dataset_size
        self.num_replicas = _processes() if num_replicas is None else num_replicas
        self.rank = _rank() if rank is None else rank
        self.shuffle = shuffle
        self.epoch = 0
        problems = Problems()
        if self.dataset_size < 1:
            problems.add(
                f"dataset_size is {self.dataset_size}; it must be at least 1",
                code="out-of-range",
                name="dataset_size",
                value=self.dataset_size,
            )
        if not 0 <= self.rank < self.num_replicas:
            problems.add(
                f"rank is {self.rank}; it must lie between 0 and num_replicas - 1, "
                f"which is {self.num_replicas - 1}",
                code="out-of-range",
                name="rank",
                value=self.rank,
            )
        problems.raise_as(ConfigurationError, "there is no such share of a dataset")

    def __iter__(self) -> Iterator[int]:
        order = np.arange(self.dataset_size)
        if self.shuffle:
            np.random.default_rng(self.epoch).shuffle(order)
        self.epoch += 1
        padded = np.resize(order, len(self) * self.num_replicas)
        yield from padded[self.rank :: self.num_replicas].tolist()

    def __len__(self) -> int:
        return -(-self.dataset_size // self.num_replicas)


def _processes() -> int:
    return int(get_group_size()) if GlobalComm.INITED else 1


def _rank() -> int:
    return int(get_rank()) if GlobalComm.INITED else 0
