"""A runner that is killed at every entry of its journal plays the same job as one that is not."""

import json
import os
import signal
import subprocess
import sys

import pytest
from toy_job import ToyJob

from sedna_tinyms.jobs.events import RoundFinished

LIVES_FOR_ONE_ENTRY = """
import os, signal, sys
from sedna_tinyms.jobs.journal import Journal
from sedna_tinyms.jobs.manifest.loading import load_job
from sedna_tinyms.jobs.runner import JobRunner

yaml, root, moment = sys.argv[1:]
append, appended = Journal.append, 0

def append_and_die(journal, kind, **data):
    global appended
    counts = kind not in ("run_begins", "inference_ends")  # which each process has anew
    if counts and appended == 1 and moment == "before the next":
        os.kill(os.getpid(), signal.SIGKILL)
    append(journal, kind, **data)
    appended += counts
    if counts and moment == "at once":
        os.kill(os.getpid(), signal.SIGKILL)

Journal.append = append_and_die
JobRunner(load_job(yaml), root, rounds=2, resume=True, poll_seconds=0.02, quiet_seconds=0).run()
"""

PLAN = {1: {"accuracy": 0.7}, 2: {"accuracy": 0.6}}


def table(toy_job):
    """What a job has come to, but for times."""
    report = json.loads((toy_job.output / "report.json").read_text())
    fields = ("round", "outcome", "reason", "train_samples", "eval_samples", "base_model", "models")
    return {
        "rounds": [
            {name: each[name] for name in (*fields, "new", "old")} for each in report["rounds"]
        ],
        "stages": [sorted(each["stages"]) for each in report["rounds"]],
        "states": toy_job.states(),
        "deployed": toy_job.deployed.read_text(),
        "samples": [
            (toy_job.output / "data" / kind / number / "data.txt").read_text()
            for kind in ("train", "eval")
            for number in ("1", "2")
        ],
    }


def finished_rounds(toy_job):
    journal = toy_job.output / "journal.jsonl"
    text = journal.read_text() if journal.exists() else ""
    return text.count('"kind": "round_ends"')


@pytest.mark.parametrize("hot", [False, True], ids=["cold", "hot"])
@pytest.mark.parametrize("moment", ["at once", "before the next"])
def test_the_table_is_the_same_with_a_kill_at_every_entry(tmp_path, hot, moment):
    whole, killed = ToyJob(tmp_path / "whole"), ToyJob(tmp_path / "killed")
    for job in (whole, killed):
        job.plan(PLAN)
        job.add_samples(10)
    whole.on(RoundFinished, lambda event: event.record.round == 1 and whole.add_samples(10))
    whole.runner(rounds=2, hot=hot).run()

    yaml, kills, more = killed.yaml(hot=hot), 0, True
    while True:
        if finished_rounds(killed) and more:
            more = bool(killed.add_samples(10)) and False
        program = [sys.executable, "-c", LIVES_FOR_ONE_ENTRY, yaml, killed.root, moment]
        code = subprocess.run(program, timeout=60).returncode
        if code == 0:
            break
        assert code == -signal.SIGKILL
        kills += 1
        assert kills < 100
    print(f"{'hot' if hot else 'cold'}, {moment}: {kills} kills survived")
    assert kills > 25
    assert table(killed) == table(whole)
    leftovers = [path.name for path in killed.deployed.parent.iterdir()]
    assert leftovers == ["model.ckpt"]
    assert list(killed.root.rglob(".*")) == []


def test_a_run_whose_rounds_are_over_is_not_gone_on_with(toy_job):
    toy_job.add_samples(10)
    toy_job.runner(rounds=1).run()
    toy_job.add_samples(10)
    assert toy_job.runner(resume=True).run().records == []
    assert [each.round for each in toy_job.runner(rounds=2, resume=True).run().records] == [2]


def test_the_journal_and_the_tables_are_readable_with_standard_tools(toy_job):
    toy_job.add_samples(10)
    toy_job.runner(rounds=1).run()
    for line in (toy_job.output / "journal.jsonl").read_text().splitlines():
        assert {"entry", "time", "kind", "data", "sha256"} == set(json.loads(line))
    assert os.access(toy_job.output / "journal.jsonl", os.R_OK)
