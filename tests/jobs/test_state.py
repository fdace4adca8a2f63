import fcntl
import os
from dataclasses import replace

import pytest

from sedna_tinyms.errors import StorageError
from sedna_tinyms.jobs.journal import Journal
from sedna_tinyms.jobs.models import ReportedModel
from sedna_tinyms.jobs.records import StageRecord
from sedna_tinyms.jobs.state import JobState, hold_lock


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "journal.jsonl"


def test_a_state_is_what_its_journal_says(toy_job, journal, snapshot):
    def everything(state):
        return (
            *(state.step, state.began, state.rounds, state.finished, state.run_is_over),
            *(state.records, state.conditions, state.inference, state.trained, state.deployed),
            *(state.rollbacks, state.rejected, state.in_service, state.on_trial),
            *(state.ledger.summary(), state.ledger.samples, state.ledger.arrivals),
            *(state.ledger.train_samples, state.ledger.eval_samples, state.reader.reading),
        )

    def same_again():
        assert everything(JobState(journal, job, toy_job.dataset)) == everything(state)

    job = toy_job.job()
    state = JobState(journal, job, toy_job.dataset)
    assert state.is_new
    state.run_begins(2, resumes=False)
    same_again()
    toy_job.add_samples(10)
    state.samples_arrive(state.reader.read_new(0.0))
    same_again()
    record = state.round_begins()
    same_again()
    assert (state.step, state.checking) == ("check", [1])
    state.labels_checked({})
    assert (state.step, state.checking, record.train_samples) == ("train", [], 8)
    same_again()
    state.condition_met({"stage": "Train", "type": "Waiting"})
    record.models = [{"format": "ckpt", "url": "/output/train/1/model.ckpt", "metrics": None}]
    state.step_done()
    assert (state.step, len(state.trained), state.deployed) == ("evaluate", 1, [])
    same_again()
    state.evaluation_begins()
    state.evaluation_begins()
    same_again()
    record.stages["train"] = StageRecord(1.5, 1000, 0)
    for step in ("decide", "install"):
        state.step_done()
        assert state.step == step
        same_again()
    record.version = 2
    record.finish("deployed", "it is better", "met")
    state.round_ends()
    assert (state.in_service, state.on_trial, state.rounds_in_use) == (2, True, {1})
    same_again()
    state.trial_ends()
    assert not state.on_trial
    same_again()
    state.rolled_back(1, 2, "its worker died", rejected="two", allowed="one")
    assert (state.in_service, state.deployed) == (1, [])
    assert list(state.rejected) == ["two"]
    assert state.rejected["two"] == snapshot
    assert record.rolled_back == "its worker died"
    assert record.verdict == snapshot
    same_again()
    state.rolled_back(2, 1, "it lives again", rejected="", allowed="two")
    assert (state.in_service, state.rejected, record.rolled_back) == (2, {}, None)
    assert record.verdict == record.outcome == "deployed"
    same_again()
    state.inference_ends(0, StageRecord(3.0))
    assert (state.step, state.finished, state.run_is_over) == (None, 1, False)
    assert state.deployed == [ReportedModel("ckpt", "/output/train/1/model.ckpt", None)]
    same_again()
    state.run_begins(1, resumes=True)
    assert state.run_is_over
    state.run_begins(1, resumes=False)
    assert not state.run_is_over
    same_again()


def test_of_many_conditions_the_first_and_the_latest_are_kept(toy_job, journal, monkeypatch):
    monkeypatch.setattr("sedna_tinyms.jobs.state.MOST_CONDITIONS", 3)
    state = JobState(journal, toy_job.job(), toy_job.dataset)
    for number in range(6):
        state.condition_met({"stage": "Train", "type": str(number)})
    assert [each["type"] for each in state.conditions] == ["0", "3", "4", "5"]
    assert JobState(journal, toy_job.job(), toy_job.dataset).conditions == state.conditions


def test_the_journal_of_another_job_is_refused(toy_job, journal, raises):
    JobState(journal, toy_job.job(), toy_job.dataset).run_begins(None, resumes=False)
    other = replace(toy_job.job(), name="other")
    with raises(StorageError, "foreign-journal", path=journal, line=1):
        JobState(journal, other, toy_job.dataset)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("step_done", {"record": {}}),
        ("round_ends", {}),
        ("samples_arrive", {"samples": ["a 1"]}),
        ("run_begins", {"version": 1}),
        ("something_else", {}),
    ],
)
def test_an_entry_that_makes_no_sense_is_named(toy_job, journal, kind, data, raises):
    Journal(journal).append(kind, **data)
    with raises(StorageError, "foreign-journal", path=journal, line=1, golden=False):
        JobState(journal, toy_job.job(), toy_job.dataset)


def test_the_lock_is_held_within_and_given_back(tmp_path, raises):
    path = tmp_path / "output" / "run.lock"
    with hold_lock(path):
        expected = {"path": path.parent, "process": os.getpid()}
        with raises(StorageError, "in-use", **expected), hold_lock(path):
            pass
        with path.open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with hold_lock(path):
        pass


def test_an_output_directory_that_cannot_be_made_is_an_error(tmp_path, raises):
    (tmp_path / "output").write_text("a file")
    lock = hold_lock(tmp_path / "output" / "run.lock")
    path = tmp_path / "output"
    with raises(StorageError, "cannot-write", path=path, golden=False), lock:
        pass
