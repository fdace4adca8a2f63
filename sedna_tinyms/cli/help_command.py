"""`sedna-tinyms help`: the help of a command, or what an exit code means and what to do."""

from __future__ import annotations

import argparse
import re
from importlib.resources import files

from sedna_tinyms import cli
from sedna_tinyms.errors import UsageError

__all__ = ["configure", "run"]

EXIT_CODE = "exit-code"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "topic",
        nargs="?",
        choices=(*cli.COMMANDS, EXIT_CODE),
        metavar="TOPIC",
        help=f"a command, or {EXIT_CODE}; the overview by default",
    )
    parser.add_argument(
        "exit_code",
        nargs="?",
        type=int,
        metavar="N",
        help=f"after {EXIT_CODE}: one exit code; a list of all by default",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the help and return the exit code."""
    if arguments.topic == EXIT_CODE:
        print(exit_code_text(arguments.exit_code))
        return 0
    if arguments.exit_code is not None:
        raise UsageError(
            f"help {arguments.topic} takes no number (found {arguments.exit_code})",
            code="invalid-value",
            value=arguments.exit_code,
        )
    try:
        return cli.main([arguments.topic, "--help"] if arguments.topic else ["--help"])
    except SystemExit:  # argparse ends the program after it has printed the help
        return 0


def exit_code_text(code: int | None = None) -> str:
    """Return the page of an exit code, or the list of all, as plain text.

    Parameters
    ----------
    code : int, optional
        The exit code. The default is the list of all exit codes.

    Raises
    ------
    UsageError
        No command ends with this exit code.
    """
    pages = files("sedna_tinyms") / "exit_codes"
    page = pages / ("README.md" if code is None else f"{code}.md")
    if not page.is_file():
        names = (item.name.removesuffix(".md") for item in pages.iterdir())
        valid = sorted(int(name) for name in names if name.isdecimal())
        raise UsageError(
            f"there is no exit code {code} with a page (there are {', '.join(map(str, valid))})",
            code="unknown-name",
            value=code,
            valid=valid,
        )
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", page.read_text("utf-8")).rstrip()
