"""The accuracy matrix of a job whose workers are real processes."""

import json

import pytest

from sedna_tinyms.jobs.accuracy import accuracy_of_rounds
from sedna_tinyms.jobs.events import RoundFinished
from sedna_tinyms.jobs.layout import JobLayout
from sedna_tinyms.jobs.paths import HostPaths
from sedna_tinyms.learning.accuracy_matrix import AccuracyMatrix

RIGHT, WRONG = 1.0, 0.0
# Two of each round's ten samples are evaluated with, and once more in the rounds after it.
NOT_YET = [RIGHT, WRONG]
FIRST = {"accuracy": 0.6, "correct": [[RIGHT, RIGHT], NOT_YET]}
SECOND = {
    "accuracy": 0.7,
    "correct": [[RIGHT, WRONG, RIGHT, RIGHT], [RIGHT, RIGHT, WRONG, WRONG]],
}
REFUSED = {"accuracy": 0.1, "correct": [[WRONG] * 6, [RIGHT, WRONG, RIGHT, RIGHT, RIGHT, WRONG]]}
NO_GATE = {"deploy-confidence": "0"}


def played(toy_job, *rounds, runs=1):
    toy_job.plan(dict(enumerate(rounds, 1)))
    toy_job.on(RoundFinished, lambda _: toy_job.add_samples(10))
    toy_job.add_samples(10)
    for _ in range(runs):
        report = toy_job.runner(rounds=len(rounds) // runs, annotations=NO_GATE).run()
    return report


def matrix(toy_job):
    return AccuracyMatrix.load(toy_job.output / "accuracy_matrix.json")


def test_what_each_round_learned_is_followed_through_the_later_ones(toy_job):
    report = played(toy_job, FIRST, SECOND)
    found = matrix(toy_job)
    assert found.as_dict() == {
        "domains": ["round-1", "round-2"],
        "learned": ["round-1", "round-2"],
        # The model of round 1 met the samples of round 2 in the evaluation of round 2.
        "accuracy": [[1.0, 0.0], [0.5, 1.0]],
        "baseline": [0.5, None],
    }
    assert (found.accuracy(), found.forgetting(), found.backward_transfer()) == (0.75, 0.5, -0.5)
    assert report.figures == {"accuracy": 0.75, "forgetting": 0.5, "bwt": -0.5, "fwt": None}
    assert json.loads((toy_job.output / "report.json").read_text())["continual_learning"] == (
        report.figures
    )


@pytest.mark.parametrize("runs", [1, 3])
def test_a_refused_model_leaves_the_one_before_it_in_the_matrix(toy_job, runs):
    played(toy_job, FIRST, SECOND, REFUSED, runs=runs)
    found = matrix(toy_job)
    assert found.learned[:2] == ["round-1", "round-2"]
    assert found.learned[2].startswith("round-3 (")
    assert found.values.tolist()[1:] == [[0.5, 1.0, 0.5], [0.5, 1.0, 0.5]]
    assert (found.accuracy(), found.forgetting()) == (0.75, 0.25)


def test_a_model_that_was_gone_back_from_has_taught_nothing(toy_job):
    job = toy_job.job(annotations=NO_GATE)
    records = played(toy_job, FIRST, SECOND).records
    records[1].rolled_back = "for some reason"
    found = accuracy_of_rounds(JobLayout(job, HostPaths(toy_job.root)), records)
    assert found.learned == ["round-1", f"round-2 ({records[1].verdict})"]
    assert found.values.tolist() == [[1.0, 0.0], [1.0, 0.0]]


def test_a_round_that_failed_in_its_training_measured_nothing(toy_job):
    played(toy_job, FIRST, {"train": "crash"})
    assert matrix(toy_job).learned == ["round-1"]


def test_held_out_samples_are_measured_in_every_later_round(toy_job):
    rounds = []
    for number in range(1, 8):
        rounds.append({"accuracy": 0.2 + number / 10, "correct": [[RIGHT] * 2 * number] * 2})
    report = played(toy_job, *rounds)
    last = matrix(toy_job).as_dict()["accuracy"][-1]
    assert last == [1.0] * 7
    assert report.figures["accuracy"] == 1.0


@pytest.mark.parametrize("correct", [[], [[RIGHT], [RIGHT]], [[0.5, 0.5], [RIGHT, RIGHT]]])
def test_evaluations_that_do_not_tell_samples_apart_give_no_matrix(toy_job, correct):
    report = played(toy_job, {"accuracy": 0.6, "correct": correct})
    assert report.figures == {}
    assert not (toy_job.output / "accuracy_matrix.json").exists()
