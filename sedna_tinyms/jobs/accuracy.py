"""A job's accuracy matrix: how well what was learned in each round is known after later ones.

Nothing is measured for it. An evaluation says for each sample whether the new model and the one in
service were right (``correct``), and it holds the samples of earlier rounds too. So the samples
that a round's evaluation had first are a column, named as the estimators name a round, ``round-2``;
and the model that is in service after a round is a row, be it the round's own or, where that was
not deployed, the one before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from sedna_tinyms.artifact.files import read_json
from sedna_tinyms.errors import StorageError
from sedna_tinyms.jobs.layout import JobLayout
from sedna_tinyms.jobs.records import RoundRecord
from sedna_tinyms.outcomes import OUTCOMES

if TYPE_CHECKING:
    from sedna_tinyms.learning.accuracy_matrix import AccuracyMatrix

__all__ = ["ROUNDS_AT_MOST", "accuracy_of_rounds", "plain_figures"]

ROUNDS_AT_MOST = 100
"""How many of the last rounds a matrix has: a job of years writes no more than one of days."""


def accuracy_of_rounds(layout: JobLayout, records: Sequence[RoundRecord]) -> AccuracyMatrix | None:
    """Return the matrix of a job's last rounds; None if no evaluation said what was ``correct``.

    A round whose model was not deployed, or gone back from, has taught the edge nothing: it is
    named ``round-2 (not proven)``, and its column counts for none of the figures. FWT needs the
    initial model's accuracy on what later rounds learn, which no evaluation measures.

    Parameters
    ----------
    layout : JobLayout
        Where the job's files are.
    records : sequence of RoundRecord
        The job's rounds.
    """
    from sedna_tinyms.learning.accuracy_matrix import AccuracyMatrix  # NumPy is not for --help

    column_of: dict[str, str] = {}
    learned: list[str] = []
    rows: list[dict[str, float]] = []
    served: dict[str, float] = {}  # by the model in service before the round
    baseline = served
    for record in records[-ROUNDS_AT_MOST:]:
        evaluation = _evaluation(layout, record)
        if evaluation is None:
            continue
        name = f"round-{record.round}"
        columns = [column_of.setdefault(sample, name) for sample in evaluation.samples]
        before = _by_column(columns, evaluation.old)
        for column, accuracy in before.items():
            served.setdefault(column, accuracy)
        deployed = record.outcome == "deployed" and record.rolled_back is None
        served = _by_column(columns, evaluation.new) if deployed else before
        rows.append(served)
        learned.append(name if deployed else f"{name} ({record.verdict})")
    if not rows:
        return None
    domains = list(dict.fromkeys(column_of.values()))
    values = [[row.get(domain, math.nan) for domain in domains] for row in rows]
    return AccuracyMatrix(
        domains, values, learned, [baseline.get(domain, math.nan) for domain in domains]
    )


def plain_figures(matrix: AccuracyMatrix | None) -> dict[str, float | None]:
    """Return the figures as JSON can carry them: None where nothing was measured."""
    figures = {} if matrix is None else matrix.summary()
    return {name: None if math.isnan(value) else value for name, value in figures.items()}


class _Evaluation(NamedTuple):
    """A round's samples, each once, and whether the two models were right."""

    samples: list[str]
    new: list[float]
    old: list[float]


def _evaluation(layout: JobLayout, record: RoundRecord) -> _Evaluation | None:
    """Read what a round that is over was evaluated with; None if it does not say enough."""
    if record.outcome == "running" or record.new is None:
        return None
    try:
        lines = layout.eval_samples(record.round).read_text(encoding="utf-8").split("\n")
        new, old = (
            result["metrics"][OUTCOMES] for result in read_json(layout.eval_results(record.round))
        )
    except (OSError, StorageError, ValueError, LookupError, TypeError):
        return None
    samples = [line for line in lines if line]
    if not len(samples) == len(new) == len(old) or not set(new) | set(old) <= {0.0, 1.0}:
        return None
    # An arrival that came twice before the evaluation is in it twice.
    once = dict(zip(samples, zip(new, old, strict=True), strict=True))
    return _Evaluation(
        list(once), [outcome for outcome, _ in once.values()], [old for _, old in once.values()]
    )


def _by_column(columns: Sequence[str], outcomes: Sequence[float]) -> dict[str, float]:
    """Return the share of right answers in each column."""
    answers: dict[str, list[float]] = {}
    for column, outcome in zip(columns, outcomes, strict=True):
        answers.setdefault(column, []).append(outcome)
    return {column: sum(each) / len(each) for column, each in answers.items()}
