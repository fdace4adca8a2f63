"""Tables of features."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from sedna_tinyms.errors import DatasetError, did_you_mean
from sedna_tinyms.sedna.datasources.base import BaseDataSource, as_array, read_texts

__all__ = ["CSVDataParse"]


class CSVDataParse(BaseDataSource):
    """Reads CSV files with a header line; `func` takes and returns a list of row mappings.

    `x` is an array of shape (rows, columns), of floats if all values are numbers.
    """

    def parse(
        self,
        *files: str | os.PathLike[str] | None,
        label: str = "",
        usecols: str | Sequence[str] = "",
        sep: str = ",",
    ) -> None:
        """Read the rows of all files together.

        Parameters
        ----------
        *files : str or path or None
            Paths or URLs; None and missing files are left out.
        label : str
            The column of the labels; without it, and for a test set, there are none.
        usecols : str or sequence of str
            The columns to keep, ``"a,b"`` or ``["a", "b"]``; all by default.
        sep : str
            What stands between two values.

        Raises
        ------
        DatasetError
            If a column is missing or a row is too short or too long.
        """
        wanted = usecols.split(",") if isinstance(usecols, str) else list(usecols)
        columns = [name.strip() for name in wanted if name.strip()]
        rows: list[list[Any]] = []
        labels: list[Any] = []
        for name, text in read_texts(files):
            for row in self._read(name, text, sep):
                kept = columns or [column for column in row if column != label]
                rows.append([_cell(name, row, column) for column in kept if column != label])
                if label and not self.is_test_data:
                    labels.append(_cell(name, row, label))
        self.x, self.y = _numbers(rows), (_numbers(labels) if labels else None)

    def _read(self, name: str, text: str, sep: str) -> list[dict[str, Any]]:
        # Not splitlines(): a quoted value may hold line breaks, and U+2028 is none of a CSV file.
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=sep)
        rows = []
        try:
            header = next(lines, [])
            for values in lines:
                if not values:
                    continue
                if len(values) != len(header):
                    raise DatasetError(
                        f"{name}:{lines.line_num}: {len(values)} values under {len(header)} "
                        "columns",
                        code="wrong-length",
                        path=name,
                        line=lines.line_num,
                        value=len(values),
                        expected=len(header),
                    )
                rows.append(dict(zip(header, values, strict=True)))
        except csv.Error as error:
            raise DatasetError(
                f"{name}:{lines.line_num}: {error}",
                code="unknown-format",
                path=name,
                line=lines.line_num,
            ) from error
        return rows if self.process_func is None else self.process_func(rows)


def _cell(name: str, row: dict[str, Any], column: str) -> Any:
    if column not in row:
        raise DatasetError(
            f"{name} has no column {column!r}{did_you_mean(column, row)}",
            code="unknown-name",
            path=name,
            name=column,
            valid=tuple(row),
        )
    return row[column]


def _numbers(values: list[Any]) -> Any:
    """Make an array, of floats if everything in it is a number."""
    try:
        return np.array(values, dtype=float)
    except (TypeError, ValueError):
        return as_array(values)
