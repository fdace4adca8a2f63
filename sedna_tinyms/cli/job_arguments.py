"""The arguments by which every command is told of a job."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["add_job_arguments"]


def add_job_arguments(
    parser: argparse.ArgumentParser, root: str, *, root_required: bool = False
) -> None:
    """Declare ``JOB.yaml``, ``--name`` and ``--root``, whose help is `root`."""
    parser.add_argument("job", metavar="JOB.yaml", type=Path, help="the YAML that kubectl takes")
    parser.add_argument("--name", help="which job, where the file holds several")
    parser.add_argument("--root", metavar="DIR", type=Path, required=root_required, help=root)
