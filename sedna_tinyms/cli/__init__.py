"""The `sedna-tinyms` command: one module a command, imported when it is asked for.

A command module has `configure(parser)`, which declares its arguments, and `run(arguments)`,
which returns the exit code. `--help` of the whole imports none of them.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import sys
from collections.abc import Callable, Sequence

from sedna_tinyms import __version__
from sedna_tinyms.cli.arguments import ArgumentParser
from sedna_tinyms.cli.streams import indifferent_errors, while_read
from sedna_tinyms.errors import SednaTinyMSError, StorageError, UsageError

__all__ = ["exit_code_page", "main"]

COMMANDS = {
    "run": "run an incremental-learning job on this machine",
    "validate": "check a job YAML against Sedna's schema",
    "explain": "show every value that a job goes by, and where it comes from",
    "status": "show where a job stands",
    "samples": "show what becomes of a job's labels, and release or drop some",
    "model": "check, list and compare a job's model versions, or go back to one",
    "canary": "try a model in a process of its own",
    "exec": "run a worker script with the TINYMS backend in place",
    "bench": "run a benchmark that comes with the source",
    "doctor": "find out what is wrong with this installation or machine",
    "help": "explain a command, or what an exit code means and what to do",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (see `sedna_tinyms.errors`)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    overview = ArgumentParser(
        prog="sedna-tinyms",
        description="Incremental-learning jobs of KubeEdge Sedna, on one machine.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="commands:\n" + "\n".join(f"  {name:10} {what}" for name, what in COMMANDS.items()),
    )
    overview.add_argument("--version", action="version", version=f"sedna-tinyms {__version__}")
    overview.add_argument("command", choices=COMMANDS, metavar="COMMAND")
    name = overview.parse_args(arguments[:1]).command

    command = importlib.import_module(f"sedna_tinyms.cli.{name}_command")
    parser = ArgumentParser(prog=f"sedna-tinyms {name}", description=COMMANDS[name])
    command.configure(parser)
    with indifferent_errors():
        return _carry_out(name, command.run, parser.parse_args(arguments[1:]))


def _carry_out(
    name: str, run: Callable[[argparse.Namespace], int], arguments: argparse.Namespace
) -> int:
    try:
        with while_read():
            return int(run(arguments))
        return 0  # nobody reads the rest
    except SednaTinyMSError as error:
        return _refuse(name, error)
    except KeyboardInterrupt:
        return 130
    except OSError as error:  # it names its path; what a command knows more of, it said itself
        code = "no-space" if error.errno == errno.ENOSPC else "storage"
        return _refuse(name, StorageError(error, code=code, path=error.filename))


def _refuse(name: str, error: SednaTinyMSError) -> int:
    """Say what a command met, and return its exit code."""
    print(f"sedna-tinyms {name}: {error}", file=sys.stderr)
    if error.exit_code > UsageError.exit_code:
        print(exit_code_page(error.exit_code), file=sys.stderr)
    return error.exit_code


def exit_code_page(code: int) -> str:
    """Return the command that says what an exit code means and what to do."""
    return f"(exit code {code}: for causes and remedies, run: sedna-tinyms help exit-code {code})"
