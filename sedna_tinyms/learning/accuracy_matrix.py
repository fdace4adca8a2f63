"""The accuracy matrix, and what continual learning derives from it.

``R[i, j]`` is the accuracy on domain j after round i; ``l(j)`` the first round that learned domain
j; T the last round. Domains that no round learned, and those that were not measured where a formula
asks for it, are left out of its mean. Without anything to take the mean of a figure is NaN, never
0: after a single round, nothing can have been forgotten, or not been.

Formulas are from

- GEM: Lopez-Paz and Ranzato, "Gradient episodic memory for continual learning", NeurIPS 2017,
  section 2: ACC, BWT and FWT;
- Chaudhry et al., "Riemannian walk for incremental learning", ECCV 2018, section 3: forgetting;
- Díaz-Rodríguez et al., "Don't forget, there is more than forgetting: new metrics for continual
  learning", 2018, section 3: A, BWT and FWT over all rounds instead of the last one;
- ianvs, KubeEdge's benchmark for Sedna: BWT and FWT of ``core/testcasecontroller/metrics``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sedna_tinyms.artifact.files import write_json
from sedna_tinyms.artifact.format_version import require_version
from sedna_tinyms.artifact.json_text import parse_json
from sedna_tinyms.errors import ConfigurationError, ModelFileError

__all__ = ["AccuracyMatrix", "Spread", "mean_and_spread", "over_seeds"]

FORMAT_VERSION = 1
"""Of the file; the first files have none."""

Floats = NDArray[np.float64]


class AccuracyMatrix:
    """Accuracy on each domain after each round.

    Parameters
    ----------
    domains : sequence of str
        The columns: what is measured.
    values : array of float, shape (rounds, domains), optional
        From 0 to 1; NaN where nothing was measured. No round by default.
    learned : sequence of str, optional
        What each round learned, usually one of the domains; the first ones by default.
    baseline : array of float, shape (domains,), optional
        Accuracy before the first round, which FWT is compared with: GEM takes that of random
        weights.

    Raises
    ------
    ConfigurationError
        If the shapes do not agree, a domain occurs twice, or an accuracy is not from 0 to 1.

    Examples
    --------
    >>> matrix = AccuracyMatrix(["photo", "sketch"], [[0.9, 0.3], [0.7, 0.8]])
    >>> matrix.accuracy(), round(matrix.forgetting(), 3), round(matrix.backward_transfer(), 3)
    (0.75, 0.2, -0.2)
    """

    def __init__(
        self,
        domains: Sequence[str],
        values: ArrayLike | None = None,
        learned: Sequence[str] | None = None,
        baseline: ArrayLike | None = None,
    ) -> None:
        self.domains = tuple(map(str, domains))
        if len(set(self.domains)) != len(self.domains):
            raise ConfigurationError(
                f"a domain occurs twice in {', '.join(self.domains)}",
                code="duplicate",
                name="domains",
                value=self.domains,
            )
        no_round = np.empty((0, len(self.domains)))
        self.values = _accuracies(no_round if values is None else values, no_round.shape)
        if learned is None:
            learned = [f"round-{n + 1}" for n in range(len(self.values))]
            learned[: len(self.domains)] = self.domains[: len(self.values)]
        self.learned = list(map(str, learned))
        if len(self.learned) != len(self.values):
            raise ConfigurationError(
                f"{len(self.learned)} rounds learned something; the matrix has {len(self.values)}",
                code="wrong-length",
                name="learned",
                value=len(self.learned),
                expected=len(self.values),
            )
        nothing = [math.nan] * len(self.domains)
        self.baseline = _accuracies(nothing if baseline is None else baseline, (len(self.domains),))

    def add(self, learned: str, accuracies: Mapping[str, float]) -> None:
        """Append a round.

        Parameters
        ----------
        learned : str
            What it learned.
        accuracies : mapping of str to float
            Accuracy on each domain that was measured after it; a new domain gets a new column.

        Raises
        ------
        ConfigurationError
            If an accuracy is not from 0 to 1.
        """
        domains = tuple(dict.fromkeys([*self.domains, *accuracies]))
        row = _accuracies([accuracies.get(name, math.nan) for name in domains], (len(domains),))
        wider = np.full((len(self.values) + 1, len(domains)), math.nan)
        wider[:-1, : len(self.domains)] = self.values
        wider[-1] = row
        new = [math.nan] * (len(domains) - len(self.domains))
        self.domains, self.values = domains, wider
        self.baseline = np.concatenate([self.baseline, new])
        self.learned.append(str(learned))

    # --- figures ------------------------------------------------------------------------------

    def accuracy(self) -> float:
        """Mean accuracy at the end over the domains learned: ``mean_j R[T, j]`` (GEM: ACC)."""
        return _mean(self.values[-1, j] for j in self._first_learned())

    def forgetting(self, *, signed: bool = False) -> float:
        """Mean over the earlier domains of the best accuracy minus that at the end.

        ``mean_j (max_i R[i, j] - R[T, j])``, over the domains that the last round did not learn.

        Parameters
        ----------
        signed : bool
            Take the best of the rounds before the last one, as Chaudhry et al. do: a domain that
            is at its best at the end then counts as negative, instead of 0.
        """
        end = -1 if signed else len(self.values)
        return _mean(
            _best(self.values[:end, j]) - self.values[-1, j] for j in self._earlier_domains()
        )

    def backward_transfer(self) -> float:
        """How much later rounds changed earlier domains: ``mean_j (R[T, j] - R[l(j), j])`` (GEM).

        Negative where they were forgotten.
        """
        first = self._first_learned()
        return _mean(self.values[-1, j] - self.values[first[j], j] for j in self._earlier_domains())

    def forward_transfer(self) -> float:
        """How much earlier rounds help later domains: ``mean_j (R[l(j) - 1, j] - b[j])`` (GEM).

        Over the domains that the first round did not learn; `b` is the baseline, and the figure is
        NaN without one.
        """
        later = {j: i for j, i in self._first_learned().items() if i > 0}
        return _mean(self.values[i - 1, j] - self.baseline[j] for j, i in later.items())

    def diaz_rodriguez(self) -> dict[str, float]:
        """Return `accuracy`, `bwt` and `fwt` of Díaz-Rodríguez et al., which see every round.

        ``mean R[i, j]`` over i >= l(j); ``mean (R[i, j] - R[l(j), j])`` over i > l(j); and
        ``mean R[i, j]`` over i < l(j), which is no difference.
        """
        first = self._first_learned()
        since = [(i, j) for j in first for i in range(first[j], len(self.values))]
        before = [(i, j) for j in first for i in range(first[j])]
        return {
            "accuracy": _mean(self.values[i, j] for i, j in since),
            "bwt": _mean(
                self.values[i, j] - self.values[first[j], j] for i, j in since if i > first[j]
            ),
            "fwt": _mean(self.values[i, j] for i, j in before),
        }

    def ianvs(self) -> dict[str, float]:
        """Return what ianvs calls BWT and FWT, as `ianvs_bwt` and `ianvs_fwt`.

        Its matrix begins with the model before the first round, here the baseline: ``M[0] = b``,
        ``M[i] = R[i - 1]``. With N rounds and domains, BWT is the mean over i and j of
        ``M[i + 1, j] - M[i, j]``, which is 1/N of the mean gain from the first to the last model,
        and no measure of forgetting; FWT is ``mean_i (M[i, i] - M[0, i])``, where the first term
        is always 0. Both are NaN for a matrix that is not square, as in ianvs.
        """
        rows = np.vstack([self.baseline, self.values])
        if len(self.values) != len(self.domains) or not self.domains:
            return {"ianvs_bwt": math.nan, "ianvs_fwt": math.nan}
        return {
            "ianvs_bwt": float(np.diff(rows, axis=0).mean()),
            "ianvs_fwt": float((rows.diagonal() - rows[0]).mean()),
        }

    def summary(self) -> dict[str, float]:
        """Return `accuracy`, `forgetting`, `bwt` and `fwt`."""
        return {
            "accuracy": self.accuracy(),
            "forgetting": self.forgetting(),
            "bwt": self.backward_transfer(),
            "fwt": self.forward_transfer(),
        }

    # --- files and text -----------------------------------------------------------------------

    def as_dict(self) -> dict[str, Any]:
        """Return what `save` writes, but for the format's version: plain lists, None for NaN."""
        return {
            "domains": list(self.domains),
            "learned": list(self.learned),
            "accuracy": [_plain(row) for row in self.values],
            "baseline": _plain(self.baseline),
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the matrix as JSON, whole or not at all.

        Raises
        ------
        StorageError
            If the file cannot be written.
        """
        write_json(path, {"format_version": FORMAT_VERSION, **self.as_dict()})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> AccuracyMatrix:
        """Read a matrix that `save` wrote.

        Raises
        ------
        ModelFileError
            If the file is missing, no accuracy matrix, or a newer release's.
        """
        try:
            read = parse_json(Path(path).read_text(encoding="utf-8"))
            if not isinstance(read, dict):
                raise TypeError("it is no object")
            version = read.get("format_version", FORMAT_VERSION)
            require_version(ModelFileError, "the accuracy matrix", path, version, (FORMAT_VERSION,))
            rows = [_floats(row) for row in read["accuracy"]]
            return cls(read["domains"], rows, read["learned"], _floats(read["baseline"]))
        except (OSError, ValueError, TypeError, KeyError, OverflowError) as error:
            missing = isinstance(error, FileNotFoundError)
            raise ModelFileError(
                f"the accuracy matrix {path} cannot be read: {error}",
                code="missing-file" if missing else "damaged",
                path=str(path),
            ) from error

    def __str__(self) -> str:
        """Return a table of text: a line a round, a column a domain."""
        first_column = ["after", *self.learned]
        columns = [first_column] + [
            [name, *map(_shown, self.values[:, j])] for j, name in enumerate(self.domains)
        ]
        widths = [max(map(len, column)) for column in columns]
        return "\n".join(
            "  ".join(
                [line[0].ljust(widths[0])]
                + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
            )
            for line in zip(*columns, strict=True)
        )

    # --- which domains ------------------------------------------------------------------------

    def _first_learned(self) -> dict[int, int]:
        """Return the first round that learned each domain, by column."""
        return {
            j: self.learned.index(name)
            for j, name in enumerate(self.domains)
            if name in self.learned
        }

    def _earlier_domains(self) -> list[int]:
        """Return the columns of domains that were learned before, and not in, the last round."""
        return [j for j in self._first_learned() if self.domains[j] != self.learned[-1]]


class Spread(NamedTuple):
    """Mean and standard deviation of a figure over seeds.

    Attributes
    ----------
    mean : float
        NaN without values.
    std : float
        Of the sample (divided by n - 1); NaN with fewer than two values.
    seeds : int
        Number of values.
    """

    mean: float
    std: float
    seeds: int

    def __str__(self) -> str:
        return _shown(self.mean) + ("" if math.isnan(self.std) else f" ± {self.std:.3f}")


def mean_and_spread(values: Iterable[float]) -> Spread:
    """Return mean and standard deviation of the values that are not NaN."""
    known = [value for value in values if not math.isnan(value)]
    std = float(np.std(known, ddof=1)) if len(known) > 1 else math.nan
    return Spread(_mean(known), std, len(known))


def over_seeds(matrices: Sequence[AccuracyMatrix]) -> dict[str, Spread]:
    """Return mean and spread of each figure of `AccuracyMatrix.summary`."""
    summaries = [matrix.summary() for matrix in matrices]
    names = summaries[0] if summaries else {}
    return {name: mean_and_spread(summary[name] for summary in summaries) for name in names}


def _accuracies(values: ArrayLike, shape: tuple[int, ...]) -> Floats:
    try:
        array = np.array(values, np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"these are no accuracies: {error}", code="not-a-number"
        ) from error
    if array.ndim != len(shape) or array.shape[-1] != shape[-1]:
        raise ConfigurationError(
            f"the accuracies have the shape {array.shape}; there are {shape[-1]} domains",
            code="wrong-shape",
            value=array.shape,
            expected=shape,
        )
    beyond = array[(array < 0) | (array > 1)]
    if beyond.size:
        raise ConfigurationError(
            f"an accuracy is {beyond[0]}; it must be from 0 to 1",
            code="out-of-range",
            value=float(beyond[0]),
        )
    return array


def _mean(values: Iterable[float]) -> float:
    known = [float(value) for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan


def _best(values: Floats) -> float:
    return max((float(value) for value in values if not math.isnan(value)), default=math.nan)


def _plain(values: Floats) -> list[float | None]:
    return [None if math.isnan(value) else float(value) for value in values]


def _floats(values: Sequence[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]


def _shown(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
