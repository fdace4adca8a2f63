"""A runner that is killed at every entry of its journal plays the same job as one that is not."""

import json
import random
import signal
import time

import pytest
from forked_command import FORKING, LIMIT_SECONDS
from short_lived_runner import live_for
from toy_job import ToyJob

from sedna_tinyms.jobs.events import RoundFinished

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


def kill_again_and_again(toy_job, moment, every, first, **yaml):
    """Run a job to its end, killed every so many entries; return how often that was."""
    job, kills, arrived = toy_job.job(**yaml), 0, False
    while kills < 100:
        lifetime = every if kills else first
        runner = FORKING.Process(target=live_for, args=(lifetime, moment, job, toy_job.root))
        runner.start()
        deadline = time.monotonic() + LIMIT_SECONDS
        while runner.exitcode is None and time.monotonic() < deadline:
            if finished_rounds(toy_job) and not arrived:
                arrived = bool(toy_job.add_samples(10))
            runner.join(0.01)
        assert runner.exitcode in (0, -signal.SIGKILL)
        if runner.exitcode == 0:
            return kills
        kills += 1
    raise AssertionError("it does not get on")


@pytest.mark.parametrize("hot", [False, True], ids=["cold", "hot"])
@pytest.mark.parametrize("moment", ["at once", "before the next"])
@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_the_table_is_the_same_with_a_kill_at_every_entry(tmp_path, hot, moment, every):
    """Or at every third, from a first one that is drawn."""
    whole, killed = ToyJob(tmp_path / "whole"), ToyJob(tmp_path / "killed")
    for job in (whole, killed):
        job.plan(PLAN)
        job.add_samples(10)
    whole.on(RoundFinished, lambda event: event.record.round == 1 and whole.add_samples(10))
    whole.runner(rounds=2, hot=hot).run()

    first = random.randint(1, every)
    kills = kill_again_and_again(killed, moment, every, first, hot=hot)
    print(f"{'hot' if hot else 'cold'}, {moment}, from entry {first} on: {kills} kills survived")
    assert kills > 25 / every
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
