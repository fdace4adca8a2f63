"""``sedna-tinyms samples``: with a journal of real rounds, and beside a runner at work."""

import json
import threading

import pytest
from toy_job import wait_until

from sedna_tinyms.errors import StorageError, UsageError
from sedna_tinyms.jobs.samples import read_ledger, take_requests
from sedna_tinyms.jobs.state import JobState

WORSE = {"accuracy": 0.3, "correct": [[0.0] * 6, [1.0] * 6]}


@pytest.fixture
def quarantined(toy_job):
    """Return a job whose only arrival is in quarantine."""
    toy_job.plan({1: WORSE, 2: {"accuracy": 0.7}})
    toy_job.add_samples(10)
    toy_job.runner(rounds=1).run()
    return toy_job


def where(job):
    return (job.yaml(), "--root", job.root)


def states(job):
    return {each.state for each in read_ledger(job.job(), job.root).samples}


def test_what_is_in_quarantine_is_listed_with_its_reason(quarantined, cli, snapshot):
    answer = cli("samples", "list", *where(quarantined))
    assert (answer.exit_code, answer.out) == (0, snapshot)
    listed = json.loads(cli("samples", "list", *where(quarantined), "--json").out)
    assert (listed["quarantined"], listed["total"], len(listed["samples"])) == (10, 10, 10)
    assert listed["samples"][0]["line"] == "picture-0.png 0"


def test_a_released_arrival_is_learned_in_the_next_round(quarantined, cli, snapshot):
    answer = cli("samples", "release", *where(quarantined), "--arrival", 1)
    assert (answer.exit_code, answer.out) == (0, snapshot)
    assert states(quarantined) == {"waiting", "held out"}
    (record,) = quarantined.runner(rounds=1).run().records
    assert (record.outcome, record.train_samples) == ("deployed", 8)


def test_a_dropped_sample_counts_no_more(quarantined, cli):
    answer = cli("samples", "drop", *where(quarantined), "--sample", "picture-1.png", "--json")
    assert json.loads(answer.out) == {"action": "drop", "samples": 1, "runner": None}
    cli("samples", "release", *where(quarantined), "--arrival", 1)
    (record,) = quarantined.runner(rounds=1).run().records
    assert record.train_samples + record.eval_samples == 9
    history = cli("samples", "list", *where(quarantined), "--sample", "picture-1.png").out
    assert history.endswith("dropped\n")


def test_a_runner_at_work_is_asked(quarantined, cli):
    runner = quarantined.runner()
    working = threading.Thread(target=runner.run)
    working.start()
    try:
        wait_until(lambda: quarantined.seen("inference"))
        answer = cli("samples", "release", *where(quarantined), "--arrival", 1, "--json")
        assert json.loads(answer.out)["runner"] is not None
        wait_until(lambda: quarantined.deployed.read_text() == "0.7")
    finally:
        runner.stop()
        working.join(60)
    (note,) = quarantined.noted("samples-released")
    assert note.fields == {"samples": 10}
    assert states(quarantined) == {"learned", "held out"}


def test_a_request_that_no_runner_takes_is_withdrawn(quarantined, cli, monkeypatch, refused):
    monkeypatch.setattr("sedna_tinyms.jobs.samples.TAKEN_WITHIN_SECONDS", 0.2)
    monkeypatch.setattr("sedna_tinyms.jobs.runner.take_requests", lambda *_: [])
    runner = quarantined.runner()
    working = threading.Thread(target=runner.run)
    working.start()
    try:
        wait_until(lambda: quarantined.seen("inference"))
        words = ("samples", "release", *where(quarantined), "--arrival", 1)
        refused(StorageError, "in-use", *words, golden=False)
    finally:
        runner.stop()
        working.join(60)
    assert list((quarantined.output / "requests").iterdir()) == []
    assert states(quarantined) == {"quarantined"}


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"action": "release"}', '{"action": "burn", "samples": [1]}']
    + [f'{{"action": "drop", "samples": {each}}}' for each in ('"x"', "[0]", "[11]", "[null]")],
)
def test_a_request_that_makes_no_sense_is_removed(quarantined, content):
    from sedna_tinyms.jobs.layout import JobLayout
    from sedna_tinyms.jobs.paths import HostPaths

    job = quarantined.job()
    layout = JobLayout(job, HostPaths(quarantined.root))
    layout.requests.mkdir()
    (layout.requests / "1.json").write_text(content)
    state = JobState(layout.journal, job, quarantined.dataset)
    assert take_requests(layout, state) == []
    assert list(layout.requests.iterdir()) == []
    assert states(quarantined) == {"quarantined"}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("release",), "missing-value"),
        (("release", "--arrival", 7), "unknown-name"),
        (("drop", "--sample", "nothing.png"), "unknown-name"),
        (("list", "--sample", "nothing.png"), "unknown-name"),
    ],
)
def test_what_cannot_be_meant_is_named(quarantined, refused, words, code):
    action, *others = words
    refused(UsageError, code, "samples", action, *where(quarantined), *others)


def test_nothing_to_release(toy_job, refused):
    toy_job.plan({1: {"accuracy": 0.7}})
    toy_job.add_samples(10)
    toy_job.runner(rounds=1).run()
    refused(UsageError, "empty", "samples", "release", *where(toy_job), "--arrival", 1)


def test_a_job_that_has_never_run(toy_job, refused):
    refused(UsageError, "missing-file", "samples", "list", *where(toy_job), golden=False)
