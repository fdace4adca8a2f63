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
    assert intake.look(now=0.0) == last - first


def test_samples_are_counted_and_dealt_out(dataset):
    intake = Intake(dataset, 0.8)
    assert (intake.look(0.0), intake.num_of_samples, intake.may_start) == (0, 0, False)
    arrived(dataset, intake, 0, 10)
    assert (intake.num_of_samples, intake.total, intake.may_start) == (8, 10, True)
    assert intake.take_train() == numbers(0, 8)
    assert intake.take_eval() == numbers(8, 10)
    intake.round_completed()
    assert (intake.num_of_samples, intake.may_start) == (0, False)


def test_one_sample_is_none_to_train_on(dataset):
    intake = Intake(dataset, 0.8)
    arrived(dataset, intake, 0, 1)
    assert not intake.may_start


def test_samples_of_a_failed_round_come_first_in_the_next_and_then_no_more(dataset):
    intake = Intake(dataset, 0.5)
    arrived(dataset, intake, 0, 4)
    intake.take_train()
    assert intake.round_failed() == 0
    assert (intake.num_of_samples, intake.may_start) == (2, False)
    arrived(dataset, intake, 4, 8)
    assert intake.take_train() == ["0", "1", "4", "5"]
    assert intake.round_failed() == 2
    arrived(dataset, intake, 8, 12)
    assert intake.take_train() == ["4", "5", "8", "9"]


def test_an_interrupted_round_is_as_if_it_had_not_begun(dataset):
    intake = Intake(dataset, 0.5)
    arrived(dataset, intake, 0, 4)
    intake.take_train()
    intake.round_failed()
    arrived(dataset, intake, 4, 8)
    taken = intake.take_train()
    intake.round_interrupted()
    assert intake.may_start
    assert intake.take_train() == taken


def test_without_a_round_there_is_nothing_to_interrupt(dataset):
    intake = Intake(dataset, 0.5)
    intake.round_interrupted()
    assert not intake.may_start


def test_an_evaluation_before_which_nothing_arrived_uses_the_last_samples(dataset):
    intake = Intake(dataset, 0.5)
    arrived(dataset, intake, 0, 4)
    assert intake.take_eval() == intake.take_eval() == ["2", "3"]
    arrived(dataset, intake, 4, 6)
    assert intake.take_eval() == ["2", "3", "5"]


@pytest.mark.parametrize("moment", ["waiting", "in a round", "after a failed round"])
def test_a_later_intake_goes_on_from_the_state(dataset, moment):
    intake = Intake(dataset, 0.5)
    arrived(dataset, intake, 0, 4)
    intake.take_eval()
    if moment != "waiting":
        intake.take_train()
    if moment == "after a failed round":
        intake.round_failed()
    later = Intake(dataset, 0.5, json.loads(json.dumps(intake.state())))
    append(dataset, 4, 8)
    for each in (intake, later):
        each.look(0.0)
        each.round_interrupted()
    assert later.state() == intake.state()
    assert later.take_train() == intake.take_train() == ["0", "1", "4", "5"]
    assert later.take_eval() == intake.take_eval()
