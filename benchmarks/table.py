"""The table that a benchmark prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["print_table"]

WIDTH_OF_A_FILE = 160


def print_table(
    columns: Mapping[str, str | Callable[[Any], str]], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Print rows: as a box on a terminal, and elsewhere as Markdown, which a page may take over.

    Parameters
    ----------
    columns : mapping of str to str or callable
        The columns, and the format of their values.
    rows : sequence of mapping
        Each with `name`; what a row does not have is shown as ``-``.
    """
    # Here, for a process that measures and prints nothing does not wait for them.
    from rich.box import HEAVY_HEAD, MARKDOWN
    from rich.console import Console
    from rich.table import Table

    console = Console()
    box = HEAVY_HEAD
    if not console.is_terminal:
        console, box = Console(width=WIDTH_OF_A_FILE), MARKDOWN
    table = Table("row", box=box)
    for column in columns:
        table.add_column(column, justify="right")
    for row in rows:
        cells = (_shown(row.get(name), spec) for name, spec in columns.items())
        table.add_row(row["name"], *cells)
    console.print(table)


def _shown(value: Any, spec: str | Callable[[Any], str]) -> str:
    if value is None:
        return "-"
    return format(value, spec) if isinstance(spec, str) else spec(value)
