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
SURE = {"contradicts": []}
LABELS = {
    1: {"accuracy": 0.7} | SURE,
    2: {"accuracy": 0.1} | SURE,  # not proven: its labels wait
    3: {"accuracy": 0.8} | SURE,
    4: {"contradicts": [f"picture-{number}." for number in range(60, 80)]},  # goes into quarantine
    5: {"accuracy": 0.2, "correct": [[0.0] * 6, [1.0] * 6]} | SURE,  # rejected, into quarantine
}


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
        "labels": report["samples"],
        "quarantined": [each["quarantined"] for each in report["rounds"]],
    }


def finished_rounds(toy_job):
    journal = toy_job.output / "journal.jsonl"
    text = journal.read_text() if journal.exists() else ""
    return text.count('"kind": "round_ends"')


def kill_again_and_again(toy_job, moment, every, first, rounds=2, size=10, **yaml):
    """Run a job to its end, killed every so many entries; return how often that was."""
    job, kills, arrivals = toy_job.job(**yaml), 0, 1
    while kills < 300:
        lifetime = every if kills else first
        arguments = (lifetime, moment, job, toy_job.root, rounds)
        runner = FORKING.Process(target=live_for, args=arguments)
        runner.start()
        deadline = time.monotonic() + LIMIT_SECONDS
        while runner.exitcode is None and time.monotonic() < deadline:
            if arrivals <= finished_rounds(toy_job) < rounds:
                arrivals += 1
                toy_job.add_samples(size)
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


@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_no_label_is_lost_or_doubled_with_a_kill_at_every_entry(tmp_path, every):
    """Labels wait, are checked, go into quarantine and are learned; or from a first one drawn."""
    whole, killed = ToyJob(tmp_path / "whole"), ToyJob(tmp_path / "killed")
    for job in (whole, killed):
        job.plan(LABELS)
        job.add_samples(20)
    whole.on(RoundFinished, lambda event: event.record.round < 5 and whole.add_samples(20))
    whole.runner(rounds=5).run()
    outcomes = [each["outcome"] for each in table(whole)["rounds"]]
    assert outcomes == ["deployed", "not proven", "deployed", "quarantined", "rejected"]
    assert table(whole)["labels"]["learned"] == 48
    assert table(whole)["labels"]["quarantined"] == 40

    first = random.randint(1, every)
    kills = kill_again_and_again(killed, "at once", every, first, rounds=5, size=20)
    print(f"from entry {first} on: {kills} kills survived")
    assert kills > 60 / every
    assert table(killed) == table(whole)


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
