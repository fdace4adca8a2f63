import json

import pytest

from sedna_tinyms.jobs.intake import Intake


@pytest.fixture
def dataset(tmp_path):
    path = tmp_path / "data.txt"
    path.write_text("")
    return path


def append(dataset, first, last):
    with dataset.open("a") as file:
        file.write("".join(f"{number}\n" for number in range(first, last)))


def numbers(first, last):
    return [str(number) for number in range(first, last)]


def arrived(dataset, intake, first, last):
    append(dataset, first, last)
    look(intake, last - first)


def look(intake, count):
    samples = intake.look(now=0.0)
    assert len(samples) == count
    intake.arrived(samples, intake.reading)


def take_train(intake):
    intake.take_train()
    return intake.train_samples


def take_eval(intake):
    intake.take_eval()
    return intake.eval_samples


def test_samples_are_counted_and_dealt_out(dataset):
    intake = Intake(dataset, 0.8)
    look(intake, 0)
    assert (intake.num_of_samples, intake.may_start) == (0, False)
    arrived(dataset, intake, 0, 10)
    assert (intake.num_of_samples, intake.total, intake.may_start) == (8, 10, True)
    assert take_train(intake) == numbers(0, 8)
    assert take_eval(intake) == numbers(8, 10)
    intake.round_completed()
    assert (intake.num_of_samples, intake.may_start) == (0, False)


def test_one_sample_is_none_to_train_on(dataset):
    intake = Intake(dataset, 0.8)
    arrived(dataset, intake, 0, 1)
    assert not intake.may_start


def test_samples_of_a_failed_round_come_first_in_the_next_and_then_no_more(dataset):
    intake = Intake(dataset, 0.5)
    arrived(dataset, intake, 0, 4)
    take_train(intake)
    assert intake.given_up == 0
    intake.round_failed(in_worker=True)
    assert (intake.num_of_samples, intake.may_start) == (2, False)
    arrived(dataset, intake, 4, 8)
    assert take_train(intake) == ["0", "1", "4", "5"]
    assert intake.given_up == 2
    intake.round_failed(in_worker=True)
    arrived(dataset, intake, 8, 12)
    assert take_train(intake) == ["4", "5", "8", "9"]


def test_what_is_no_workers_failure_does_not_count(dataset):
    intake = Intake(dataset, 0.5)
    arrived(dataset, intake, 0, 4)
    take_train(intake)
    intake.round_failed(in_worker=True)
    for first in (4, 8):
        arrived(dataset, intake, first, first + 4)
        take_train(intake)
        intake.round_failed(in_worker=False)
    assert intake.num_of_samples == 6
    assert take_train(intake) == ["0", "1", "4", "5", "8", "9"]
    intake.round_failed(in_worker=True)
    assert take_train(intake) == ["4", "5", "8", "9"]


def test_an_evaluation_before_which_nothing_arrived_uses_the_last_samples(dataset):
    intake = Intake(dataset, 0.5)
    arrived(dataset, intake, 0, 4)
    assert take_eval(intake) == take_eval(intake) == ["2", "3"]
    arrived(dataset, intake, 4, 6)
    assert take_eval(intake) == ["2", "3", "5"]


@pytest.mark.parametrize("moment", ["waiting", "in a round", "after a failed round"])
def test_the_same_calls_make_the_same_intake(dataset, moment):
    first, later = Intake(dataset, 0.5), Intake(dataset, 0.5)
    append(dataset, 0, 4)
    samples = first.look(now=0.0)
    reading = json.loads(json.dumps(first.reading))
    for intake in (first, later):
        intake.arrived(samples, reading)
        take_eval(intake)
        if moment != "waiting":
            take_train(intake)
        if moment == "after a failed round":
            intake.round_failed(in_worker=True)
    append(dataset, 4, 8)
    for intake in (first, later):
        look(intake, 4)
    assert take_train(first) == take_train(later)
    assert take_eval(first) == take_eval(later)
