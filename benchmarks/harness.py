"""What the benchmarks share: every row in a process of its own, a table, and a JSON file.

A benchmark's rows differ in the engine, the framework or oneDNN's settings, which a process chooses
only once, and peak memory is a process's own. So the script starts itself again for every run of a
row, with the same command line and `--run`, and the new process writes its numbers to a file.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from arguments import at_least_one, names, whole_numbers
from machine import machine
from table import print_table

from sedna_tinyms.artifact.files import write_file, write_json
from sedna_tinyms.errors import SednaTinyMSError, UsageError, WorkerError, did_you_mean
from sedna_tinyms.onednn import KEEP_DEFAULT, LIMIT, limit_instruction_set

__all__ = [
    "CACHE_DIRECTORY",
    "STOCK",
    "Benchmark",
    "Numbers",
    "Row",
    "Run",
    "fastest",
    "main",
]

Numbers = dict[str, Any]
"""What a run measured, or a row of the result, by column."""

STOCK = {KEEP_DEFAULT: "1"}
"""MindSpore as it comes: oneDNN chooses its instructions itself."""

CACHE_DIRECTORY = "SEDNA_TINYMS_ACTIVATIONS"
"""The variable that `sedna_tinyms.learning.cache` reads, which is too much to import for it."""

PR_SET_PDEATHSIG = 1
"""Linux's word for: send me this signal when my parent ends."""

PREPARATION = -1


@dataclass(frozen=True)
class Run:
    """One run of one row, as its process sees it.

    Attributes
    ----------
    row : int
        Place of the row in `Benchmark.rows`.
    number : int
        Which of the row's runs; decides its seed.
    shared : Path
        Directory of the whole benchmark, in which the preparation left what all rows begin from.
    own : Path
        Empty directory of this run.
    started : float
        `time.monotonic` when the process was started.
    """

    row: int
    number: int
    shared: Path
    own: Path
    started: float


Measure = Callable[[argparse.Namespace, Run], Numbers]


@dataclass(frozen=True)
class Row:
    """One row of a benchmark.

    Attributes
    ----------
    name : str
        What `--rows` calls it; rows of one name differ in a column.
    measure : callable
        Measures in a process of its own.
    needs : tuple of str
        Modules without which the row is left out.
    environment : mapping
        Settings of its process.
    once : bool
        It takes too long to be repeated.
    """

    name: str
    measure: Measure
    needs: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    once: bool = False


def first_run(runs: Sequence[Numbers]) -> Numbers:
    """Take the numbers of the only run."""
    return dict(runs[0])


def nothing(_: argparse.Namespace) -> Numbers:
    """Know no facts."""
    return {}


@dataclass(frozen=True)
class Benchmark:
    """A table to be measured.

    Attributes
    ----------
    name : str
        As in ``sedna-tinyms bench NAME``.
    script : str
        Its file, which calls `main`.
    columns : mapping of str to str or callable
        The table's columns, and the format of their values.
    rows : callable
        From the options to the rows; quick, and the same in every process.
    configure : callable
        Adds the options that this benchmark has beyond those of all.
    prepare : callable, optional
        Makes, in a process of its own, what all rows begin from, below `Run.shared`.
    facts : callable
        From the options to what stands beside the rows; refuses data that cannot be used.
    gather : callable
        Makes one row of its runs.
    finish : callable
        Adds to all rows, in place, what they have only together; returns further facts.
    runs : callable
        From the options to the number of runs of a row that is not measured once.
    """

    name: str
    script: str
    columns: Mapping[str, str | Callable[[Any], str]]
    rows: Callable[[argparse.Namespace], Sequence[Row]]
    configure: Callable[[argparse.ArgumentParser], None] = lambda _: None
    prepare: Measure | None = None
    facts: Callable[[argparse.Namespace], Numbers] = nothing
    gather: Callable[[Sequence[Numbers]], Numbers] = first_run
    finish: Callable[[list[Numbers]], Numbers] = lambda _: {}
    runs: Callable[[argparse.Namespace], int] = lambda options: int(options.repeat)


def main(benchmark: Benchmark, arguments: Sequence[str] | None = None) -> int:
    """Carry out a benchmark's command line; return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser(benchmark).parse_args(given)
    try:
        if options.run:
            if sys.platform == "linux":  # even if that is killed, which it cannot notice
                ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
            _measure(benchmark, options)
            return 0
        signal.signal(signal.SIGTERM, _end)
        return _Session(benchmark, options, given).carry_out()
    except SednaTinyMSError as error:
        print(f"{benchmark.name}: {error}", file=sys.stderr)
        return error.exit_code


class _HelpWithDefaults(argparse.ArgumentDefaultsHelpFormatter):
    """Tells the default of every option that has one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return super()._get_help_string(action) if action.default else action.help


def _parser(benchmark: Benchmark) -> argparse.ArgumentParser:
    description = (sys.modules[benchmark.rows.__module__].__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(
        prog=f"sedna-tinyms bench {benchmark.name}",
        description=description,
        formatter_class=_HelpWithDefaults,
    )
    repeat = "runs of a row that is quick"
    seeds = "of the runs, in turn"
    parser.add_argument("--data", type=Path, metavar="DIR", help="labelled pictures")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="pretrained MobileNetV2")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the rows to this file")
    parser.add_argument("--rows", type=names, metavar="A,B", help="these rows only")
    parser.add_argument("--images", type=at_least_one, metavar="N", help="pictures in a round")
    parser.add_argument("--seeds", type=whole_numbers, metavar="A,B", default="0,1,2", help=seeds)
    parser.add_argument("--repeat", type=at_least_one, metavar="N", default=3, help=repeat)
    parser.add_argument("--size", type=at_least_one, metavar="PX", default=224, help="input size")
    parser.add_argument("--width", type=float, default=1.0, help="factor on the channels")
    benchmark.configure(parser)
    parser.add_argument("--run", type=json.loads, help=argparse.SUPPRESS)
    return parser


def _measure(benchmark: Benchmark, options: argparse.Namespace) -> None:
    """Measure in this process what the option `--run` says, and write the numbers."""
    given = options.run
    run = Run(
        given["row"],
        given["number"],
        Path(given["shared"]),
        Path(given["own"]),
        given["started"],
    )
    if run.row == PREPARATION:
        measure = benchmark.prepare
    else:
        measure = benchmark.rows(options)[run.row].measure
    numbers = measure(options, run) if measure is not None else {}
    write_json(run.own / "numbers.json", numbers)


class _TriedError(Exception):
    """A file could be written, and was not."""


class _Session:
    """One benchmark on its way: its rows so far, and the directory they share."""

    def __init__(
        self, benchmark: Benchmark, options: argparse.Namespace, arguments: Sequence[str]
    ) -> None:
        self.benchmark = benchmark
        self.options = options
        self.arguments = arguments
        self.measured: dict[int, list[Numbers]] = {}
        self.left_out: list[dict[str, str]] = []
        self.failed: set[int] = set()

    def carry_out(self) -> int:
        """Measure all rows, print them, write them; 10 if one failed."""
        possible = [(place, row) for place, row in self._chosen() if self._is_possible(row)]
        self._try_to_write()
        self.facts = self._facts()
        with tempfile.TemporaryDirectory(prefix="sedna-tinyms-bench-") as directory:
            self.shared = Path(directory)
            if self.benchmark.prepare is not None:
                self._in_own_process(PREPARATION, 0, {})
            # In turn, so that what else the machine does falls on all rows alike.
            for number in range(self.benchmark.runs(self.options)):
                for place, row in possible:
                    if place not in self.failed and not (row.once and number):
                        self._measure(place, row, number)
                    self._write()  # an interrupted benchmark leaves what it has
        print_table(self.benchmark.columns, self._rows()[0])
        return WorkerError.exit_code if self.failed else 0

    def _chosen(self) -> list[tuple[int, Row]]:
        every = list(enumerate(self.benchmark.rows(self.options)))
        names = list(dict.fromkeys(row.name for _, row in every))
        wanted = self.options.rows or names
        for name in wanted:
            if name not in names:
                raise UsageError(
                    f"--rows has {name!r}{did_you_mean(name, names)}; "
                    f"the rows are {', '.join(names)}",
                    code="unknown-name",
                    name="--rows",
                    value=name,
                    valid=names,
                )
        return [(place, row) for place, row in every if row.name in wanted]

    def _facts(self) -> Numbers:
        options = {
            name: value.name if isinstance(value, Path) else value  # no path of this machine
            for name, value in vars(self.options).items()
            if name not in ("run", "json", "rows")
        }
        return machine() | {"options": options} | self.benchmark.facts(self.options)

    def _is_possible(self, row: Row) -> bool:
        missing = [module for module in row.needs if not find_spec(module)]
        if missing:
            why = f"{', '.join(missing)} is not installed"
            self._leave_out(row.name, why, "missing-extra")
        return not missing

    def _measure(self, place: int, row: Row, number: int) -> None:
        """Measure a row once; a row that fails is left out."""
        try:
            numbers = self._in_own_process(place, number, row.environment)
        except WorkerError as error:
            self.failed.add(place)
            self.measured.pop(place, None)
            self._leave_out(row.name, str(error), error.code)
        else:
            self.measured.setdefault(place, []).append(numbers)
            print(f"{row.name}: measured", file=sys.stderr, flush=True)

    def _leave_out(self, name: str, why: str, code: str) -> None:
        entry = {"name": name, "why": why, "code": code}
        if entry not in self.left_out:  # rows of one name are missing for one reason
            self.left_out.append(entry)
        print(f"{name}: left out: {why}", file=sys.stderr, flush=True)

    def _rows(self) -> tuple[list[Numbers], Numbers]:
        """Return the rows so far, and the facts that they give together."""
        names = [row.name for row in self.benchmark.rows(self.options)]
        rows = [
            {"name": names[place], **self.benchmark.gather(runs), "runs": runs}
            for place, runs in sorted(self.measured.items())
        ]
        return rows, self.benchmark.finish(rows)

    def _in_own_process(self, place: int, number: int, environment: Mapping[str, str]) -> Numbers:
        own = Path(tempfile.mkdtemp(dir=self.shared))
        run = Run(place, number, self.shared, own, time.monotonic())
        command = [sys.executable, self.benchmark.script, *self.arguments]
        command += ["--run", json.dumps(asdict(run), default=str)]
        if code := _exit_code(command, self._environment(own, environment)):
            raise WorkerError(
                f"its process ended with {code}; its words stand above",
                code="worker-failed",
                exit_code=code,
            )
        numbers: Numbers = json.loads((own / "numbers.json").read_text(encoding="utf-8"))
        shutil.rmtree(own)
        return numbers

    def _environment(self, own: Path, settings: Mapping[str, str]) -> dict[str, str]:
        """Return this environment, with a row's settings for oneDNN and no other.

        Nothing is in the cache of activations when a run begins; which engine is the fastest, the
        runs tell each other.
        """
        inherited = {k: v for k, v in os.environ.items() if k not in (LIMIT, KEEP_DEFAULT)}
        caches = {CACHE_DIRECTORY: str(own / "activations"), "XDG_CACHE_HOME": str(self.shared)}
        environment = {"GLOG_v": "3"} | inherited | caches | dict(settings)
        limit_instruction_set(environment)
        return environment

    def _try_to_write(self) -> None:
        """Find out before hours of work whether the file can be written; it stays as it is."""
        if self.options.json:
            with suppress(_TriedError), write_file(self.options.json):
                raise _TriedError

    def _write(self) -> None:
        if self.options.json:
            rows, together = self._rows()
            report = {"benchmark": self.benchmark.name, "rows": rows, **together, **self.facts}
            write_json(self.options.json, report | {"left_out": self.left_out})


def _exit_code(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a process to its end; neither it nor what it has started outlives this one."""
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=sys.stderr,  # what libraries print does not belong to the table
        start_new_session=True,
    )
    try:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    finally:  # also where this process was told to end
        os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
    return code


def _end(number: int, _: object) -> NoReturn:
    """End on a signal as on an error: what was begun is cleaned up."""
    sys.exit(128 + number)


def fastest(runs: Sequence[Numbers]) -> Numbers:
    """Take the run with the fewest seconds; tell the median of the seconds beside it."""
    best = min(runs, key=lambda run: float(run["seconds"]))
    return dict(best) | {"seconds_median": statistics.median(run["seconds"] for run in runs)}
