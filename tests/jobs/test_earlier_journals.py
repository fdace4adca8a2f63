"""A job that an earlier release began is gone on with.

``earlier_formats/journal-version-1`` is the root of a toy job of two rounds of ten samples, played
by the first release that kept a journal. It was killed when the second round had been evaluated:
its journal is of version 1, and has none of the entries and fields that came since.

``earlier_formats/journal-with-a-refused-round`` is that of release 0.1: of three rounds of ten
samples, the first was deployed, the second refused, and the third stopped while it trained.
"""

import json
import shutil
from pathlib import Path

import pytest

from sedna_tinyms.errors import StorageError
from sedna_tinyms.jobs.events import RoundFinished
from sedna_tinyms.jobs.journal import Journal
from sedna_tinyms.jobs.status import find_jobs

EARLIER = Path(__file__).with_name("earlier_formats") / "journal-version-1"


@pytest.fixture
def begun(toy_job):
    """Return a toy job as the earlier release left it."""
    shutil.copytree(EARLIER, toy_job.root, dirs_exist_ok=True)
    toy_job.plan({2: {"accuracy": 0.9}, 3: {"accuracy": 0.95}})
    return toy_job


def test_a_job_that_an_earlier_release_began_is_gone_on_with(begun):
    before = (begun.output / "journal.jsonl").read_bytes()
    begun.runner(rounds=2, resume=True).run()
    assert [each.record.round for each in begun.heard(RoundFinished)] == [2]
    assert begun.seen("train") == begun.seen("eval") == []  # the round went on behind them
    report = json.loads((begun.output / "report.json").read_text())
    assert [(each["round"], each["outcome"]) for each in report["rounds"]] == [
        (1, "deployed"),
        (2, "deployed"),
    ]
    assert begun.deployed.read_text() == "0.9"
    assert (begun.output / "journal.jsonl").read_bytes().startswith(before)


def test_its_samples_are_neither_lost_nor_taken_twice(begun):
    evaluated = (begun.output / "data" / "eval" / "2" / "data.txt").read_text().splitlines()
    begun.runner(rounds=2, resume=True).run()
    new = begun.add_samples(10)
    begun.runner(rounds=1).run()
    (train,), (evaluation,) = begun.seen("train"), begun.seen("eval")
    assert train["base"] == "0.9"
    assert evaluation["lines"][: len(evaluated)] == evaluated
    assert sorted(train["lines"] + evaluation["lines"][len(evaluated) :]) == sorted(new)


def test_labels_of_a_round_that_an_earlier_release_refused_are_learned(toy_job):
    shutil.copytree(
        EARLIER.with_name("journal-with-a-refused-round"), toy_job.root, dirs_exist_ok=True
    )
    toy_job.plan({3: {"accuracy": 0.8}})
    lines = toy_job.dataset.read_text().splitlines()
    (record,) = toy_job.runner(rounds=1).run().records
    assert (record.round, record.outcome, record.train_samples) == (3, "deployed", 16)
    (train,) = toy_job.seen("train")
    assert train["lines"] == lines[10:18] + lines[20:28]
    (evaluation,) = toy_job.seen("eval")
    assert evaluation["lines"] == lines[8:10] + lines[18:20] + lines[28:30]
    samples = json.loads((toy_job.output / "report.json").read_text())["samples"]
    assert (samples["learned"], samples["held_out"], samples["waiting"]) == (24, 6, 0)


def test_a_journal_of_a_newer_release_is_refused_and_left_as_it_is(toy_job, raises):
    journal = toy_job.output / "journal.jsonl"
    Journal(journal).append("run_begins", version=3, job={"name": "toy"})
    before = journal.read_bytes()
    with raises(StorageError, "wrong-version", path=journal, value=3, expected=(1, 2)):
        toy_job.runner(rounds=1).run()
    assert journal.read_bytes() == before


def test_a_report_of_a_newer_release_is_not_guessed_at(begun, raises):
    begun.runner(rounds=2, resume=True).run()
    path = begun.output / "report.json"
    report = json.loads(path.read_text())
    assert report["format_version"] == 1
    path.write_text(json.dumps(report | {"format_version": 2, "rounds": {}}))
    with raises(StorageError, "wrong-version", path=path, value=2, expected=(1,)):
        find_jobs(begun.root)


def test_a_report_without_a_version_is_the_first(begun):
    begun.runner(rounds=2, resume=True).run()
    path = begun.output / "report.json"
    report = json.loads(path.read_text())
    del report["format_version"]
    path.write_text(json.dumps(report))
    (job,) = find_jobs(begun.root)
    assert [each.outcome for each in job.rounds] == ["deployed", "deployed"]
