"""Say what moved between two results of a benchmark, such as those in ``benchmarks/results``.

::

    python benchmarks/compare.py before.json after.json
    python benchmarks/compare.py before.json after.json --threshold 1.02 --all
    python benchmarks/compare.py before.json after.json --fail-above 1.2

Rows of the same name are compared, column by column: the best run with the best run, and the
median with the median. The best run is the one with the lowest value, or with the highest where
more is better, as for an accuracy. A column has moved if both ratios say so, in one direction: a
single slow run moves nothing.
"""

from __future__ import annotations

import argparse
import math
import re
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from table import print_table

from sedna_tinyms.artifact.json_text import parse_json
from sedna_tinyms.errors import SednaTinyMSError, UsageError

__all__ = ["Moved", "Values", "compare", "main"]

THRESHOLD = 1.05
"""Below this factor a change is noise: runs of one benchmark differ by a few percent."""

NAMES = (
    *("name", "side", "network", "task", "stream", "servable", "instructions"),
    *("batch", "batch_size", "clients"),
)
"""Columns that say which row it is; every other number was measured."""

MORE_IS_BETTER = re.compile(r"(^|_)(accuracy|per_second|points_per|transfer)(_|$)")
LESS_IS_BETTER = re.compile(
    r"(^|_)(s|ms|seconds|minutes|bytes|kb|mb|forgetting|failed|faults|unplanned|grown)(_|$)"
)
SPREAD = re.compile(r"_std$")

SURROUNDINGS = ("machine", "processor", "cores", "versions", "options")
"""Facts beside the rows; ratios mean little where they differ."""

WORSE = 1
"""The exit code of ``--fail-above``."""


@dataclass(frozen=True)
class Values:
    """What the runs of a row gave for one column.

    Attributes
    ----------
    best : float
        The lowest, or the highest where more is better.
    median : float or None
        None where the result holds the best run only.
    """

    best: float
    median: float | None = None


@dataclass(frozen=True)
class Moved:
    """One column of one row, before and after.

    Attributes
    ----------
    row, column : str
        Which.
    before, after : Values
        What was measured.
    """

    row: str
    column: str
    before: Values
    after: Values

    @property
    def ratio(self) -> float | None:
        """After to before, of the best runs; None if one of them is not above 0."""
        return _ratio(self.before.best, self.after.best)

    @property
    def median_ratio(self) -> float | None:
        """After to before, of the medians; None if they have none."""
        return _ratio(self.before.median, self.after.median)

    @property
    def factor(self) -> float:
        """By how much it moved, at least 1: by the smaller of both ratios; 1 if they disagree.

        It is infinite where there is no ratio, as from no failure to one.
        """
        ratios = [each for each in (self.ratio, self.median_ratio) if each is not None]
        if not ratios:
            return 1.0 if self.before == self.after else math.inf
        if min(ratios) >= 1:
            return min(ratios)
        return 1 / max(ratios) if max(ratios) < 1 else 1.0

    @property
    def verdict(self) -> str:
        """``better`` or ``worse``, or ``other`` where neither direction is better."""
        more, less = (self.after.best > self.before.best, self.after.best < self.before.best)
        if _more_is_better(self.column):
            return "better" if more else "worse" if less else "other"
        if LESS_IS_BETTER.search(self.column) and not SPREAD.search(self.column):
            return "better" if less else "worse" if more else "other"
        return "other"


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Moved]:
    """Return every column that both results have of the same row.

    Raises
    ------
    UsageError
        If two rows of one result have the same name.
    """
    earlier, later = _rows(before), _rows(after)
    return [
        Moved(row, column, values, later[row][column])
        for row in earlier
        if row in later
        for column, values in earlier[row].items()
        if column in later[row]
    ]


def _more_is_better(column: str) -> bool:
    return bool(MORE_IS_BETTER.search(column)) and not SPREAD.search(column)


def _ratio(before: float | None, after: float | None) -> float | None:
    if before is None or after is None:
        return None
    if before == after:
        return 1.0
    return after / before if before > 0 and after > 0 else None


def _rows(result: Mapping[str, Any]) -> dict[str, dict[str, Values]]:
    """Return the columns of each row by the row's name."""
    rows: dict[str, dict[str, Values]] = {}
    for row in result["rows"]:
        name = ", ".join(str(row[key]) for key in NAMES if key in row)
        if name in rows:
            raise UsageError(
                f"two rows are called {name!r}: they cannot be told apart",
                code="duplicate",
                name=name,
            )
        rows[name] = dict(_columns(row))
    return rows


def _columns(row: Mapping[str, Any]) -> Iterator[tuple[str, Values]]:
    """Yield the measured columns of a row: of its runs, or of what it says of them itself."""
    runs = row.get("runs") or [{}]
    for column, value in row.items():
        if column in NAMES or column.endswith("_median") or not _is_number(value):
            continue
        if column.startswith("median_") and f"min_{column[7:]}" in row:
            continue
        values = [run[column] for run in runs if _is_number(run.get(column))]
        if values:
            best = max(values) if _more_is_better(column) else min(values)
            yield column, Values(best, statistics.median(values))
        elif column.startswith("min_") and _is_number(row.get(f"median_{column[4:]}")):
            yield column, Values(value, row[f"median_{column[4:]}"])
        else:
            median = row.get(f"{column}_median")
            yield column, Values(value, median if _is_number(median) else None)


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        result = parse_json(path.read_bytes())
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", code="unreadable-file", path=str(path)
        ) from error
    except ValueError as error:
        raise UsageError(f"{path} is no JSON: {error}", code="not-json", path=str(path)) from error
    rows = result.get("rows") if isinstance(result, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UsageError(
            f"{path} is no result of a benchmark: it has no list of rows",
            code="unknown-format",
            path=str(path),
        )
    return dict(result)


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Yield what else differs between two results."""
    for fact in SURROUNDINGS:
        if fact in before and fact in after:
            yield from _unlike(fact, before[fact], after[fact])
    earlier, later = _rows(before), _rows(after)
    yield from (f"the row {name} is gone" for name in earlier if name not in later)
    yield from (f"the row {name} is new" for name in later if name not in earlier)


def _unlike(fact: str, before: object, after: object) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from _unlike(f"{fact}: {key}", before.get(key), after.get(key))
    elif before != after:
        yield f"{fact} was {before} and is {after}"


def _factor(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 1 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no factor of 1 or more, such as 1.1")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        before, after = _read(options.before), _read(options.after)
        if before.get("benchmark") != after.get("benchmark"):
            raise UsageError(
                f"{options.before} is of the benchmark {before.get('benchmark')}, and "
                f"{options.after} of {after.get('benchmark')}",
                code="conflict",
                value=after.get("benchmark"),
                expected=before.get("benchmark"),
            )
        found = compare(before, after)
        for line in _differences(before, after):
            print(f"note: {line}", file=sys.stderr)
    except SednaTinyMSError as error:
        print(f"compare: {error}", file=sys.stderr)
        return error.exit_code
    moved = [each for each in found if each.factor >= options.threshold]
    _print(found if options.all else moved, options.threshold)
    print(f"{len(moved)} of {len(found)} columns moved", file=sys.stderr)
    limit = options.fail_above
    failed = limit is not None and any(e.verdict == "worse" and e.factor > limit for e in found)
    return WORSE if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="compare.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("before", type=Path, help="the earlier result, a JSON file")
    parser.add_argument("after", type=Path, help="the later one")
    parser.add_argument(
        "--threshold",
        type=_factor,
        default=THRESHOLD,
        metavar="FACTOR",
        help="show what moved by this factor or more, up or down (default: %(default)s)",
    )
    parser.add_argument("--all", action="store_true", help="show what did not move, too")
    parser.add_argument(
        "--fail-above",
        type=_factor,
        metavar="FACTOR",
        help=f"end with {WORSE} if anything became worse by more than this factor",
    )
    return parser


def _print(found: Sequence[Moved], threshold: float) -> None:
    number, ratio = ".4g", ".3f"
    columns = {
        "column": "",
        "best before": number,
        "best after": number,
        "ratio": ratio,
        "median before": number,
        "median after": number,
        "median ratio": ratio,
        "moved": "",
    }
    rows = [
        {
            "name": each.row,
            "column": each.column,
            "best before": each.before.best,
            "best after": each.after.best,
            "ratio": each.ratio,
            "median before": each.before.median,
            "median after": each.after.median,
            "median ratio": each.median_ratio,
            "moved": each.verdict if each.factor >= threshold else None,
        }
        for each in found
    ]
    print_table(columns, rows)


if __name__ == "__main__":
    sys.exit(main())
