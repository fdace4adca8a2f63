"""The samples of a job on their way from the dataset file into rounds.

Counting and splitting are Sedna's (see `dataset`). Three things are added, because a job on one
machine should lose nothing silently:

- The samples of a failed round come back once, for the next round. Those that have failed a round
  twice stay out, so that one bad sample cannot fail every round to come; they remain in the
  round's ``data.txt``.
- A round needs a sample that has arrived since the last one began: a round that failed is not
  repeated on the spot.
- An evaluation before which nothing arrived uses the samples of the last one, not an empty file.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    state : mapping, optional
        What `state` of an earlier intake gave.
    """

    def __init__(
        self, dataset: Path, train_prob: float, state: Mapping[str, Any] | None = None
    ) -> None:
        known = state or {}
        self._reader = DatasetReader(dataset, known.get("reader"))
        self._splitter = SampleSplitter(train_prob, known.get("splitter"))
        self._fresh = bool(known.get("fresh", False))
        self._returned = list(known.get("returned", ()))
        self._in_round = list(known.get("in_round", ()))
        self._in_round_again = list(known.get("in_round_again", ()))
        self._last_eval = list(known.get("last_eval", ()))

    @property
    def num_of_samples(self) -> int:
        """How many samples wait to be trained on: the metric of the train trigger."""
        return len(self._returned) + self._splitter.num_of_samples

    @property
    def total(self) -> int:
        """How many samples the dataset has had so far (``Dataset.status.numberOfSamples``)."""
        return self._reader.samples

    @property
    def may_start(self) -> bool:
        """Whether a round could be given samples of which some are new."""
        return self._fresh and self.num_of_samples > 0

    def state(self) -> dict[str, Any]:
        """Return what a later intake needs to go on from here, as plain JSON."""
        return {
            "reader": self._reader.state(),
            "splitter": self._splitter.state(),
            "fresh": self._fresh,
            "returned": self._returned,
            "in_round": self._in_round,
            "in_round_again": self._in_round_again,
            "last_eval": self._last_eval,
        }

    def look(self, now: float, quiet_seconds: float = 0.0) -> int:
        """Take in what was appended to the dataset, and return how many samples that was.

        The parameters are those of `DatasetReader.read_new`.

        Raises
        ------
        DatasetError
            As `DatasetReader.read_new`; nothing is taken in then.
        """
        samples = self._reader.read_new(now, quiet_seconds)
        self._splitter.add(samples)
        self._fresh = self._fresh or bool(samples)
        return len(samples)

    def take_train(self) -> list[str]:
        """Return the samples to train a round with; those of an earlier round come first."""
        self._in_round_again, self._returned = self._returned, []
        self._in_round = self._splitter.take_train()
        self._fresh = False
        return self._in_round_again + self._in_round

    def take_eval(self) -> list[str]:
        """Return the samples to evaluate a round with."""
        self._last_eval = self._splitter.take_eval() or self._last_eval
        return self._last_eval

    def round_completed(self) -> None:
        """Let go of the round's samples: they are learned."""
        self._in_round, self._in_round_again = [], []

    def round_failed(self) -> int:
        """Keep the round's samples for the next one; return how many fail the second time."""
        given_up = len(self._in_round_again)
        self._returned = self._in_round
        self.round_completed()
        return given_up

    def round_interrupted(self) -> None:
        """Put all of the round's samples back, as if it had not begun."""
        if self._in_round or self._in_round_again:
            self._returned = self._in_round_again + self._in_round
            self._fresh = True
            self.round_completed()
