import fcntl
from dataclasses import replace

import pytest

from sedna_tinyms.errors import StorageError
from sedna_tinyms.jobs.models import ReportedModel
from sedna_tinyms.jobs.state import hold_lock, open_state


def test_a_state_is_taken_up_as_it_was_saved(toy_job, tmp_path):
    path = tmp_path / "state.json"
    state = open_state(path, toy_job.job(), toy_job.dataset)
    assert (state.round, state.trained, state.deployed) == (0, [], [])
    toy_job.add_samples(10)
    state.intake.look(0.0)
    state.round = 4
    state.trained = [ReportedModel("ckpt", "/output/train/4/model.ckpt", {"loss": 0.5})]
    state.save()

    other = replace(toy_job.job(), name="other")
    with pytest.raises(StorageError, match="it is of the job default/toy, not default/other"):
        open_state(path, other, toy_job.dataset)
    later = open_state(path, toy_job.job(), toy_job.dataset)
    assert (later.round, later.trained, later.deployed) == (4, state.trained, [])
    assert later.intake.num_of_samples == 8
    assert later.intake.look(0.0) == 0


@pytest.mark.parametrize("content", ["", "[]", '{"version": 2}', '{"version": 1, "round": 1}'])
def test_a_file_that_is_no_state_is_left_alone(toy_job, tmp_path, content):
    path = tmp_path / "state.json"
    path.write_text(content)
    with pytest.raises(StorageError, match=r"state\.json is not this job's state"):
        open_state(path, toy_job.job(), toy_job.dataset)
    assert path.read_text() == content


def test_the_lock_is_held_within_and_given_back(tmp_path):
    path = tmp_path / "output" / "run.lock"
    with hold_lock(path):
        with pytest.raises(StorageError, match="in use by another runner"), hold_lock(path):
            pass
        with path.open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with hold_lock(path):
        pass


def test_an_output_directory_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "output").write_text("a file")
    lock = hold_lock(tmp_path / "output" / "run.lock")
    with pytest.raises(StorageError, match="cannot write to the output directory"), lock:
        pass
