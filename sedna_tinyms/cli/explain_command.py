"""``sedna-tinyms explain JOB.yaml``: every value that a job goes by, and where it comes from."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from sedna_tinyms.cli import run_command
from sedna_tinyms.cli.job_arguments import add_job_arguments
from sedna_tinyms.jobs.explanation import ResolvedValue, explain_job
from sedna_tinyms.jobs.manifest.loading import load_job

__all__ = ["configure", "run"]

RUN_OPTIONS = ("rounds", "base", "poll", "worker_limit", "deploy_limit", "port")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    root = "the directory that plays the host: shows its paths, and the round that comes next"
    add_job_arguments(parser, root)
    parser.add_argument("--json", action="store_true", help="print a JSON list of the values")


def run(arguments: argparse.Namespace) -> int:
    """Print the values; the exit code is 0, or that of what is wrong with the job."""
    job = load_job(arguments.job, arguments.name)
    values = explain_job(job, arguments.root) + _run_options(arguments.job)
    if arguments.json:
        print(json.dumps([asdict(value) for value in values], indent=2))
        return 0
    for value in values:
        print(f"{value.path} = {_shown(value)}  [{value.source}]")
    return 0


def _shown(value: ResolvedValue) -> str:
    return "none" if value.value is None else json.dumps(value.value, ensure_ascii=False)


def _run_options(job: Path) -> list[ResolvedValue]:
    """Return what `sedna-tinyms run` does unless it is told otherwise."""
    parser = argparse.ArgumentParser()
    run_command.configure(parser)
    defaults = vars(parser.parse_args([str(job), "--root", "."]))
    return [
        ResolvedValue(f"run.--{name.replace('_', '-')}", defaults[name], "default")
        for name in RUN_OPTIONS
    ]
