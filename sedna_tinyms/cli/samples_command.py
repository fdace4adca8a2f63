"""``sedna-tinyms samples list|release|drop``: what becomes of a job's labels."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

from sedna_tinyms.cli.arguments import at_least_one
from sedna_tinyms.cli.job_arguments import add_job_arguments
from sedna_tinyms.errors import UsageError

if TYPE_CHECKING:
    from sedna_tinyms.jobs.ledger import Sample, SampleLedger
    from sedna_tinyms.jobs.samples import Action

__all__ = ["configure", "run"]

ACTIONS = {
    "list": "show how many samples are learned, wait or are kept out, or one sample's history",
    "release": "let samples count that are in quarantine or set aside",
    "drop": "let samples count no more",
}
SHOWN = ("waiting", "quarantined", "set aside")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, what in ACTIONS.items():
        action = actions.add_parser(name, help=what, description=what)
        add_job_arguments(action, "as for sedna-tinyms run", root_required=True)
        action.add_argument(
            "--sample",
            metavar="PICTURE",
            action="append",
            default=[],
            help="a picture as the dataset names it, or its SHA-256; as often as you like",
        )
        action.add_argument("--json", action="store_true", help="print one JSON object")
        if name != "list":
            action.add_argument(
                "--arrival",
                metavar="N",
                type=at_least_one,
                action="append",
                default=[],
                help="all samples that came together",
            )


def run(arguments: argparse.Namespace) -> int:
    """List, release or drop, and return the exit code."""
    from sedna_tinyms.jobs import load_job
    from sedna_tinyms.jobs.samples import change_samples, choose_samples, read_ledger

    job = load_job(arguments.job, arguments.name)
    ledger = read_ledger(job, arguments.root)
    if arguments.action == "list":
        _list(ledger, arguments.sample, as_json=arguments.json)
        return 0
    if not arguments.sample and not arguments.arrival:
        raise UsageError(
            f"name the samples to {arguments.action}: --sample PICTURE, or --arrival N",
            code="missing-value",
            name="sample",
        )
    action: Action = arguments.action
    samples = choose_samples(ledger, action, arguments.arrival, arguments.sample)
    runner = change_samples(job, arguments.root, action, samples)
    if arguments.json:
        print(json.dumps({"action": action, "samples": len(samples), "runner": runner}))
    else:
        done = {"release": "released", "drop": "dropped"}[action]
        told = f"; the runner (process {runner}) knows" if runner else ""
        print(f"{len(samples)} samples {done}{told}")
    return 0


def _list(ledger: SampleLedger, names: list[str], *, as_json: bool) -> None:
    if names:
        found = [each for name in names for each in ledger.history(name)]
        if not found:
            raise UsageError(
                f"{names[0]!r} is no sample of the job: give a picture as the dataset names it",
                code="unknown-name",
                value=names[0],
            )
    else:
        found = [each for each in ledger.samples if each.state in SHOWN]
    if as_json:
        samples = [asdict(each) for each in found]
        print(json.dumps({**ledger.summary(), "samples": samples}, indent=2))
    elif names:
        _print_history(ledger, found)
    else:
        _print_summary(ledger)


def _print_history(ledger: SampleLedger, samples: list[Sample]) -> None:
    for each in samples:
        arrival = ledger.arrivals[each.arrival]
        why = f" ({arrival.quarantine})" if each.state == "quarantined" else ""
        side = "held out for evaluation" if each.held_out else "to train on"
        state = each.state if each.state != "held out" else "in use"
        print(f"{each.line}: arrival {each.arrival}, {side}, {state}{why}")


def _print_summary(ledger: SampleLedger) -> None:
    counts = ledger.summary()
    print(f"{counts['total']} samples in {len(ledger.arrivals)} arrivals")
    rows = (
        ("learned", "by the model in service"),
        ("held_out", "for evaluation"),
        ("waiting", "for the next round"),
        ("quarantined", "their labels contradict what is known"),
        ("set_aside", "a worker failed with them twice"),
        ("corrected", "a later label has replaced theirs"),
        ("dropped", "by a person"),
    )
    for name, what in rows:
        if counts[name]:
            print(f"{counts[name]:8} {name.replace('_', ' '):12} {what}")
    for arrival in ledger.arrivals.values():
        if arrival.quarantine:
            kept = [each for each in arrival.samples if each.state == "quarantined"]
            classes = Counter(each.label or "no label" for each in kept)
            labels = ", ".join(f"{count} {label}" for label, count in classes.most_common())
            print(f"arrival {arrival.number} ({labels}): {arrival.quarantine}")
    for sample in ledger.samples:
        if sample.state == "set aside":
            print(f"set aside: {sample.line}")
