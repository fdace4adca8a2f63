"""The rounds of a running job become model versions, and it takes a way back."""

import os

import pytest
from toy_job import wait_until

from sedna_tinyms.artifact.store import ModelStore
from sedna_tinyms.jobs.events import RoundFinished
from sedna_tinyms.jobs.rollback import roll_back


@pytest.fixture
def store(toy_job):
    return ModelStore(toy_job.output / "models")


def contents(store):
    return [store.open(number).weights(".ckpt").read_text() for number in store.numbers()]


def play(toy_job, accuracies, **settings):
    """Play a round for each accuracy, with new samples each time."""
    toy_job.plan({n: {"accuracy": value} for n, value in enumerate(accuracies, start=1)})
    toy_job.on(RoundFinished, lambda _: toy_job.add_samples(10))
    toy_job.add_samples(10)
    return toy_job.runner(rounds=len(accuracies), **settings).run().records


def test_every_round_becomes_a_version_and_the_deployed_one_is_pointed_at(toy_job, store):
    records = play(toy_job, [0.7, 0.6, 0.8])
    assert [record.outcome for record in records] == ["deployed", "not proven", "deployed"]
    assert contents(store) == ["0.2", "0.7", "0.6", "0.8"]
    assert (store.deployed().version, store.deployed().before) == (4, (1, 2))
    last = store.open_deployed().description
    assert (last.metrics, last.origin["round"]) == ({"accuracy": [0.8]}, 3)
    assert last.origin["samples"] == 16
    assert store.parent(store.open(3)) == store.parent(store.open(4)) == 2
    assert len(toy_job.noted("not-checked")) == 1


def test_another_run_goes_on_with_the_same_versions(toy_job, store):
    play(toy_job, [0.7])
    before = store.deployed()
    toy_job.runner(rounds=1, on_event=lambda _: None).run()
    assert store.deployed().version == 2
    assert store.numbers() == [1, 2, 3]
    assert store.open(2).digest == before.sha256


@pytest.mark.parametrize("hot", [True, False], ids=["hot", "cold"])
def test_going_back_while_the_job_runs(toy_job, store, hot):
    done = []

    def go_back(event):
        if event.record.round == 2:
            done.append(roll_back(toy_job.job(hot=hot), toy_job.root))
            if hot:
                wait_until(lambda: toy_job.seen("hot")[-1]["model"] == "0.7")

    toy_job.on(RoundFinished, go_back)
    records = play(toy_job, [0.7, 0.8, 0.75], hot=hot)
    assert [record.outcome for record in records] == ["deployed", "deployed", "deployed"]
    assert [(each.version, each.replaced, each.announced, each.runner) for each in done] == [
        (2, 3, hot, os.getpid())
    ]
    assert toy_job.seen("train")[2]["base"] == "0.7"
    assert records[2].base_model == "/output/train/1/model.ckpt"
    assert store.deployed().before == (1, 2)


def test_a_deployment_that_fails_leaves_the_pointer(toy_job, store):
    toy_job.plan({1: {"accuracy": 0.7}, "inference": {"update": "failed"}})
    toy_job.add_samples(10)
    (record,) = toy_job.runner(rounds=1, hot=True).run().records
    assert record.outcome == "failed"
    assert contents(store) == ["0.2", "0.7"]
    assert store.deployed().version == 1
    assert toy_job.deployed.read_text() == "0.2"


def test_what_earlier_rounds_trained_on_and_logged_goes_with_them(toy_job):
    play(toy_job, [0.3, 0.4, 0.5, 0.6], hot=True, annotations={"keep-versions": "2"})
    logs = {path.name for path in (toy_job.output / "logs").iterdir()}
    assert "0-inference.log" in logs, "its worker runs"
    assert {name.partition("-")[0] for name in logs} == {"0", "3", "4"}
    for place in ("train", "data/train"):
        assert {path.name for path in (toy_job.output / place).iterdir()} == {"3", "4"}
    assert len(list((toy_job.output / "data" / "eval").iterdir())) == 4, "for the accuracy matrix"
