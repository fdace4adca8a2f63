"""The samples of a job on their way from the dataset file into rounds.

Counting and splitting are Sedna's (see `dataset`). Three things are added, because a job on one
machine should lose nothing silently:

- The samples of a failed round come back for the next round. Those on which a train or eval worker
  has failed twice stay out, so that one bad sample cannot fail every round to come; they remain in
  the round's ``data.txt``. Other failures, such as the disk's, are no fault of theirs.
- A round needs a sample that has arrived since the last one began: a round that failed is not
  repeated on the spot.
- An evaluation before which nothing arrived uses the samples of the last one, not an empty file.

What is handed out depends on nothing but the calls made, in their order: a journal that keeps
them (see `sedna_tinyms.jobs.state`) makes the same intake again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sedna_tinyms.jobs.dataset import DatasetReader, SampleSplitter

__all__ = ["Intake"]


class Intake:
    """Reads a dataset as it grows and hands out the samples of each round.

    Parameters
    ----------
    dataset : Path
        The dataset file on this machine.
    train_prob : float
        The share of an arrival that is trained on.
    """

    def __init__(self, dataset: Path, train_prob: float) -> None:
        self._reader = DatasetReader(dataset)
        self._splitter = SampleSplitter(train_prob)
        self._fresh = False
        self._returned: list[str] = []
        self._put_back: list[str] = []
        self._in_round: list[str] = []
        self._in_round_again: list[str] = []
        self._eval: list[str] = []

    @property
    def num_of_samples(self) -> int:
        """How many samples wait to be trained on: the metric of the train trigger."""
        return len(self._returned) + len(self._put_back) + self._splitter.num_of_samples

    @property
    def total(self) -> int:
        """How many samples the dataset has had so far (``Dataset.status.numberOfSamples``)."""
        return self._reader.samples

    @property
    def may_start(self) -> bool:
        """Whether a round could be given samples of which some are new."""
        return self._fresh and self.num_of_samples > 0

    @property
    def train_samples(self) -> list[str]:
        """The samples that the round under way trains on; those of an earlier round first."""
        return self._in_round_again + self._in_round

    @property
    def eval_samples(self) -> list[str]:
        """The samples of the last evaluation."""
        return self._eval

    @property
    def reading(self) -> dict[str, int | str | bool]:
        """How far the last `look` has read, as plain JSON for `arrived`."""
        return self._reader.reading

    def look(self, now: float, quiet_seconds: float = 0.0) -> list[str]:
        """Return what was appended to the dataset; it counts when it is handed to `arrived`.

        The parameters are those of `DatasetReader.read_new`.

        Raises
        ------
        DatasetError
            As `DatasetReader.read_new`; nothing counts as read then.
        """
        return self._reader.read_new(now, quiet_seconds)

    def arrived(self, samples: Sequence[str], reading: Mapping[str, Any]) -> None:
        """Take in samples, with which the dataset has been read as far as `reading` says."""
        self._reader.go_on_from(reading)
        self._splitter.add(samples)
        self._fresh = self._fresh or bool(samples)

    def take_train(self) -> None:
        """Give all samples that wait to a round: they are its `train_samples`."""
        self._in_round_again, self._returned = self._returned, []
        self._in_round = self._put_back + self._splitter.take_train()
        self._put_back = []
        self._fresh = False

    def take_eval(self) -> None:
        """Give the round its `eval_samples`."""
        self._eval = self._splitter.take_eval() or self._eval

    def round_completed(self) -> None:
        """Let go of the round's samples: they are learned."""
        self._in_round, self._in_round_again = [], []

    def round_failed(self, *, in_worker: bool) -> None:
        """Keep the round's samples for the next one.

        If it failed `in_worker`, which may be because of them, those stay out with which a worker
        failed before.
        """
        if in_worker:
            self._returned = self._in_round
        else:
            self._returned, self._put_back = self._in_round_again, self._in_round
        self.round_completed()

    @property
    def given_up(self) -> int:
        """How many samples would stay out if a worker of the round under way failed."""
        return len(self._in_round_again)
