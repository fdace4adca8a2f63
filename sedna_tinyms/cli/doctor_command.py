"""``sedna-tinyms doctor``: what is wrong here, and the line that mends it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from sedna_tinyms.diagnosis import Finding, diagnose, worst_exit_code

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        "Exit code: 0 if no command has to fail; else what a command ends with that meets the "
        "first problem. Warnings and notes leave it at 0."
    )
    parser.add_argument(
        "--root", metavar="DIR", type=Path, help="also look at the directory that plays the host"
    )
    parser.add_argument(
        "--port", metavar="N", type=int, default=0, help="the port that a run will be given"
    )
    parser.add_argument(
        "--quick", action="store_true", help="leave out the measurement of a convolution"
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; the exit code is that of the first problem."""
    findings = diagnose(arguments.root, port=arguments.port, quick=arguments.quick)
    code = worst_exit_code(findings)
    if arguments.json:
        document = {"exit_code": code, "findings": [each.as_json() for each in findings]}
        print(json.dumps(document, indent=2))
    else:
        print("\n".join(_lines(findings)))
    return code


def _lines(findings: Sequence[Finding]) -> Iterator[str]:
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        yield f"{finding.level.value:7}  {finding.check:{width}}  {finding.message}"
        if finding.mend:
            yield f"{'':7}  {'':{width}}  $ {finding.mend}"
