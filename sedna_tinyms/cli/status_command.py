"""``sedna-tinyms status DIR``: where the jobs below a directory stand."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from sedna_tinyms.jobs.status import JobStanding, find_jobs

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "directory", metavar="DIR", type=Path, help="the --root of a run, or an output directory"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list of the jobs")


def run(arguments: argparse.Namespace) -> int:
    """Print the jobs found."""
    jobs = find_jobs(arguments.directory)
    if arguments.json:
        print(json.dumps([job.as_json() for job in jobs], indent=2))
        return 0
    _print_table(jobs)
    return 0


def _print_table(jobs: list[JobStanding]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in ("job", "runner", "state", "since", "deployed", "refused", "failed"):
        table.add_column(heading, no_wrap=True)
    table.add_column("last", overflow="fold")
    for job in jobs:
        table.add_row(
            Text(f"{job.namespace}/{job.name}"),
            f"process {job.runner}" if job.runner else "none",
            f"{job.stage} {job.condition}",
            job.since,
            *(str(job.count(outcome)) for outcome in ("deployed", "refused", "failed")),
            Text(job.message),
        )
    Console(highlight=False).print(table)
