"""``sedna-tinyms status DIR``: where the jobs below a directory stand."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sedna_tinyms.jobs.progress import figures_in_words, rounds_table
from sedna_tinyms.jobs.status import JobStanding, find_jobs

__all__ = ["configure", "run"]

LONGEST_LINE = 10_000


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
    for job in jobs:
        _print_job(job)
    return 0


def _print_job(job: JobStanding) -> None:
    from rich.console import Console

    runner = f"run by process {job.runner}" if job.runner else "not running"
    state = f"{job.stage} {job.condition} since {job.since}"
    title = f"{job.namespace}/{job.name}: {state}, {runner}\n{job.output}"
    # Elsewhere than on a terminal lines are read by programs, and are as long as they are.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else LONGEST_LINE)
    console.print(rounds_table(title, job.rounds))
    if not job.rounds:
        console.print("no round yet")
    if job.in_service:
        served = job.in_service
        console.print(f"in service: version {served['version']} since {served['since']}")
    if words := _samples_in_words(job.samples):
        console.print(f"samples: {words}")
    if job.continual_learning:
        console.print(figures_in_words(job.continual_learning))


def _samples_in_words(samples: Mapping[str, Any]) -> str:
    """Say how many samples are where; empty if there are none."""
    words = {
        "learned": "learned by the model in service",
        "held_out": "held out for evaluation",
        "waiting": "wait for the next round",
        "quarantined": "in quarantine",
        "set_aside": "set aside",
    }
    return ", ".join(f"{samples[name]} {what}" for name, what in words.items() if samples.get(name))
