"""Shows what a run came to: tables, a picture, a page and a matrix of held-out accuracies.

``python report.py --root DIR`` renders them again for a run that is over.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import figure
import page
from results import Results, gather
from rich.console import Console
from rich.table import Table
from words import accuracy_rows, headline, learning

from sedna_tinyms.artifact.files import write_file, write_text
from sedna_tinyms.errors import SednaTinyMSError

__all__ = ["write"]

STYLES = {"deployed": "green", "rejected": "red", "quarantined": "yellow", "failed": "red"}


def main(argv: list[str] | None = None) -> int:
    """Report on the run below the root that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path("demo-run"))
    console = Console(highlight=False)
    try:
        write(parser.parse_args(argv).root, console)
    except SednaTinyMSError as error:
        console.print(f"report.py: {error}", style="red", markup=False)
        return error.exit_code
    return 0


def write(root: Path, console: Console, began: float | None = None) -> None:
    """Print the tables of a finished run and write its picture and page.

    Parameters
    ----------
    root : Path
        The root of the run.
    console : rich.console.Console
        Where the tables go.
    began : float, optional
        When the whole began by `time.monotonic`, to say how long it took.
    """
    results = gather(root)
    if began is not None:
        results = replace(results, seconds=time.monotonic() - began)
    console.print()
    console.print(_accuracy_table(results))
    console.print(_cost_table(results))
    if results.answers:
        total = len(results.answers) + results.unanswered
        flagged, labelled = len(results.hard), len(results.labelled)
        console.print(
            f"{flagged} pictures flagged as hard, {labelled} of them labelled. "
            f"{total} pictures, {results.unanswered} left without an answer."
        )
    console.print(f"In service, by domain: {learning(results)}")
    results.matrix.save(root / "held_out_matrix.json")
    with write_file(root / "report.png") as picture:
        figure.draw(results, picture, headline(results))
    write_text(root / "report.html", page.render(results))
    console.print(f"\nThe report: [bold]{root / 'report.html'}[/bold], {root / 'report.png'}")
    if results.seconds:
        console.print(f"{results.seconds:.0f} s in all")


def _accuracy_table(results: Results) -> Table:
    head, rows = accuracy_rows(results)
    table = Table(
        title=f"Accuracy on held-out pictures (seed {results.seed})", title_justify="left"
    )
    for name in head:
        table.add_column(name, justify="left" if name in ("model", "outcome") else "right")
    for number, row in enumerate(rows, 1):
        style = STYLES.get(row[-1], "")
        outcome = f"[{style}]{row[-1]}[/{style}]" if style else row[-1]
        table.add_row(*row[:-1], outcome, end_section=number == len(rows) - 1)
    return table


def _cost_table(results: Results) -> Table:
    table = Table(title="Seconds and peak memory", title_justify="left")
    stages = ("train", "eval", "deploy")
    for name in ("", "samples", *stages):
        table.add_column(name, justify="right" if name else "left")
    for record in results.rounds:
        samples = f"{record['train_samples']} + {record['eval_samples']}"
        costs = [record["stages"].get(stage) for stage in stages]
        table.add_row(f"round {record['round']}", samples, *(_cost(cost) for cost in costs))
    return table


def _cost(cost: dict[str, float] | None) -> str:
    if cost is None:
        return ""
    memory = f"  {cost['peak_bytes'] / 1e9:.2f} GB" if cost["peak_bytes"] else ""
    return f"{cost['seconds']:.1f} s{memory}"


if __name__ == "__main__":
    sys.exit(main())
