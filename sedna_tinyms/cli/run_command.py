"""``sedna-tinyms run JOB.yaml``: one machine plays the whole cluster."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from types import FrameType
from typing import Any

from sedna_tinyms.cli import exit_code_page
from sedna_tinyms.cli.job_arguments import add_job_arguments
from sedna_tinyms.cli.streams import while_read
from sedna_tinyms.cli.validate_command import summary
from sedna_tinyms.errors import ConfigurationError, WorkerError
from sedna_tinyms.jobs.events import Event
from sedna_tinyms.jobs.manifest.findings import Severity
from sedna_tinyms.jobs.manifest.loading import load_job
from sedna_tinyms.jobs.manifest.spec import Job
from sedna_tinyms.jobs.progress import figures_in_words, show_progress
from sedna_tinyms.jobs.rehearsal import Rehearsal, rehearse
from sedna_tinyms.jobs.rounds import BASE_RULES
from sedna_tinyms.jobs.runner import JobRunner

__all__ = ["configure", "run"]

POSITIVE = ("rounds", "poll", "worker_limit", "deploy_limit")
"""Options that are more than 0, if they are given."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "The job goes on until Ctrl-C, or for --rounds; a later run takes it up where it stands,\n"
        "also after a crash, and in the middle of a round.\n"
        "Exit code: 0; 10 if a round of --rounds failed; 130 after Ctrl-C, 143 after SIGTERM,\n"
        "129 when its terminal was closed."
    )
    root = "the directory that plays the host's /: the YAML's /data is DIR/data"
    add_job_arguments(parser, root, root_required=True)
    parser.add_argument(
        "--rounds", metavar="N", type=int, help="stop after N rounds, whatever became of them"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run that was cut short: its rounds count, and its --rounds hold",
    )
    parser.add_argument("--json", action="store_true", help="print the report at the end")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="check everything and say what would be done; start and write nothing",
    )
    parser.add_argument(
        "--base",
        choices=BASE_RULES,
        default=BASE_RULES[0],
        help="the model that a round starts from (%(default)s); Sedna's rule is last-trained",
    )
    parser.add_argument(
        "--poll",
        metavar="SECONDS",
        type=float,
        default=0.5,
        help="how often the dataset is looked at (%(default)s)",
    )
    parser.add_argument(
        "--worker-limit",
        metavar="SECONDS",
        type=float,
        default=3600.0,
        help="how long a train or eval worker may take (%(default)g)",
    )
    parser.add_argument(
        "--deploy-limit",
        metavar="SECONDS",
        type=float,
        help="how long a hot update may take (the poll period and two minutes)",
    )
    parser.add_argument(
        "--port", metavar="N", type=int, default=0, help="where workers report to (any free port)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the job and return the exit code."""
    _require_positive(arguments)
    job = load_job(arguments.job, arguments.name)
    for finding in job.findings:
        if finding.severity is Severity.WARNING:
            print(finding.describe(job.source), file=sys.stderr)
    if arguments.dry_run:
        return _dry_run(job, arguments)
    with show_progress(sys.stderr) as show:
        runner = _runner(job, arguments, show)
        with _stopped_by_signals(runner) as received:
            report = runner.run()
    if report.figures:
        print(figures_in_words(report.figures), file=sys.stderr)
    if arguments.json:
        with while_read():
            print(json.dumps(report.as_json(), indent=2))
    if received:
        return 128 + received[0]
    failed = [record.round for record in report.records if record.outcome == "failed"]
    if not failed:
        return 0
    print(exit_code_page(WorkerError.exit_code), file=sys.stderr)
    return WorkerError.exit_code


def _require_positive(arguments: argparse.Namespace) -> None:
    """Refuse what the runner would, by the option's name."""
    for name in POSITIVE:
        value = getattr(arguments, name)
        if value is not None and not value > 0:  # which NaN is not either
            option = f"--{name.replace('_', '-')}"
            raise ConfigurationError(
                f"{option} is {value}; it must be more than 0",
                code="out-of-range",
                name=option,
                value=value,
            )


def _runner(
    job: Job, arguments: argparse.Namespace, on_event: Callable[[Event], object] = lambda _: None
) -> JobRunner:
    return JobRunner(
        job,
        arguments.root,
        rounds=arguments.rounds,
        resume=arguments.resume,
        base=arguments.base,
        port=arguments.port,
        poll_seconds=arguments.poll,
        worker_limit_seconds=arguments.worker_limit,
        deploy_limit_seconds=arguments.deploy_limit,
        on_event=on_event,
    )


def _dry_run(job: Job, arguments: argparse.Namespace) -> int:
    _runner(job, arguments)  # refuses settings that are out of range
    would = rehearse(job, arguments.root, base=arguments.base, port=arguments.port)
    if arguments.json:
        print(json.dumps(asdict(would), indent=2))
    else:
        print("\n".join([*summary(job), *_plan(would)]))
    return 0


def _plan(would: Rehearsal) -> list[str]:
    when = "at once" if would.begins else "later"
    begins = f"begin {when} ({would.reason}), from {would.base_model}"
    goes_on = f"go on from its {would.step} step"
    return [
        f"would write to {would.output}",
        *(f"would start {kind:9} {command}" for kind, command in would.commands.items()),
        f"{would.new} new samples; {would.waiting} would wait for training: round {would.round} "
        f"would {goes_on if would.step else begins}",
        "dry run: nothing was started, and nothing was written",
    ]


@contextmanager
def _stopped_by_signals(runner: JobRunner) -> Iterator[list[int]]:
    """Stop the runner at the first signal to end, and collect which; the second one kills."""
    received: list[int] = []
    former: dict[signal.Signals, Any] = {}

    def stop(number: int, _: FrameType | None) -> None:
        received.append(number)
        for each, handler in former.items():
            signal.signal(each, handler)
        runner.stop("Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name)

    signals = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # nohup
        signals.remove(signal.SIGHUP)
    for each in signals:
        former[each] = signal.signal(each, stop)
    try:
        yield received
    finally:
        for each, handler in former.items():
            signal.signal(each, handler)
