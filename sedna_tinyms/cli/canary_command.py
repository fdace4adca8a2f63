"""``sedna-tinyms canary MODEL``: whether a model opens and answers, before it is in service."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from threading import Timer

from estimators.canary import Canary, find_pictures, try_model
from sedna_tinyms import onednn
from sedna_tinyms.artifact.files import write_json
from sedna_tinyms.cli.arguments import at_least_one
from sedna_tinyms.errors import ModelFileError, UsageError
from sedna_tinyms.jobs.manifest.quantities import memory_bytes

__all__ = ["configure", "run"]

EXIT_CODES = {"passed": 0, "failed": ModelFileError.exit_code, "not tried": UsageError.exit_code}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "Prints one JSON object: outcome, reason, and what was measured.\n"
        "Exit code: 0 passed; 5 failed; 2 not tried, because the model does not describe itself,\n"
        "or there is no picture."
    )
    parser.add_argument("model", metavar="MODEL", type=Path, help="a model of the estimators")
    parser.add_argument(
        "--pictures",
        metavar="LIST|DIR",
        type=Path,
        required=True,
        help="a directory, or a file of lines '<picture> [<label>]'",
    )
    parser.add_argument(
        "--directory",
        metavar="DIR",
        type=Path,
        help="what the lines of LIST are relative to (where LIST lies)",
    )
    parser.add_argument(
        "--most", metavar="N", type=at_least_one, default=16, help="how many to take (%(default)s)"
    )
    parser.add_argument(
        "--max-ms", metavar="X", type=_positive, help="most milliseconds for a picture"
    )
    parser.add_argument(
        "--max-memory", metavar="512Mi", type=_memory, help="most memory of the process"
    )
    parser.add_argument("--timeout", metavar="S", type=_positive, help="most seconds for the whole")
    parser.add_argument("--out", metavar="FILE", type=Path, help="write the JSON there, too")


def run(arguments: argparse.Namespace) -> int:
    """Try the model and return the exit code."""
    onednn.limit_instruction_set()
    pictures = find_pictures(arguments.pictures, arguments.directory, arguments.most)
    timer = Timer(arguments.timeout or 0.0, _give_up, [arguments])
    timer.daemon = True
    if arguments.timeout is not None:
        timer.start()
    canary = try_model(
        arguments.model, pictures, max_ms=arguments.max_ms, max_bytes=arguments.max_memory
    )
    timer.cancel()
    return _tell(canary, arguments.out)


def _give_up(arguments: argparse.Namespace) -> None:
    """End the process: whatever computes cannot be asked to stop."""
    reason = f"it did not answer within {arguments.timeout:g} s"
    canary = Canary(str(arguments.model), "failed", reason, code="timeout")
    os._exit(_tell(canary, arguments.out))


def _tell(canary: Canary, out: Path | None) -> int:
    said = asdict(canary)
    if out is not None:
        write_json(out, said)
    print(json.dumps(said))
    sys.stdout.flush()
    return EXIT_CODES[canary.outcome]


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of more than 0")
    return number


def _memory(text: str) -> int:
    size = memory_bytes(text)
    if not size:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of memory: write 512Mi or 2G")
    return size
