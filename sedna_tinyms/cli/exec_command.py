"""`sedna-tinyms exec worker.py ARGS`: run a worker script that knows nothing of this package."""

from __future__ import annotations

import argparse
import logging
import runpy
import signal
import sys
from pathlib import Path
from types import FrameType, TracebackType

from sedna_tinyms import onednn, plugin, sedna
from sedna_tinyms.errors import SednaTinyMSError, UsageError

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--library",
        choices=("any", "kubeedge", "embedded"),
        default="any",
        help="whose worker library the script gets: KubeEdge's if it is installed, by default",
    )
    parser.add_argument(
        "--as-tinyms",
        action="store_true",
        help="make `import tinyms` mean the TinyMS core of this package",
    )
    parser.add_argument("script", help="the worker script")
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="...", help="arguments of the script"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the script as ``python script ...`` would, with TINYMS and a `sedna` in place."""
    script = Path(arguments.script)
    if not script.exists():
        raise UsageError(
            f"there is no script {script} (looked in {Path.cwd()})",
            code="missing-file",
            path=script,
        )
    if script.is_dir():
        raise UsageError(
            f"{script} is a directory, not a worker script", code="not-a-file", path=script
        )
    onednn.limit_instruction_set()
    plugin.register()
    sys.argv = [arguments.script, *arguments.arguments]
    sys.path[0] = str(script.resolve().parent)
    sedna.install(arguments.library)
    _show_what_is_chosen()
    if arguments.as_tinyms:
        from sedna_tinyms.tinyms import install_as_tinyms  # Needs MindSpore.

        install_as_tinyms()
    signal.signal(signal.SIGTERM, _end)  # unless the script has its own way to end
    try:
        runpy.run_path(arguments.script, run_name="__main__")
    except Exception as error:
        trace = _from_script(error, arguments.script)
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        return error.exit_code if isinstance(error, SednaTinyMSError) else 1
    return 0


def _show_what_is_chosen() -> None:
    """Let the worker's log say such things as the engine chosen, unless the script logs itself."""
    for package in ("sedna_tinyms", "estimators"):
        logging.getLogger(package).setLevel(logging.INFO)
    if logging.lastResort is not None:
        logging.lastResort.setLevel(logging.INFO)


def _end(number: int, _: FrameType | None) -> None:
    """End the script between two steps: what it has begun to write or to train is left in order."""
    raise SystemExit(128 + number)


def _from_script(error: Exception, script: str) -> TracebackType | None:
    """Cut off the frames of this command, which a reader of the script has no use for."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != script:
        trace = trace.tb_next
    return trace if trace or isinstance(error, SyntaxError) else error.__traceback__
