import json
import re

import pytest

from sedna_tinyms.errors import StorageError
from sedna_tinyms.jobs.deploy import HotUpdate, ModelReplacement


@pytest.fixture
def new(tmp_path):
    path = tmp_path / "train" / "1" / "model.ckpt"
    path.parent.mkdir(parents=True)
    path.write_text("new")
    return path


@pytest.fixture
def deployed(tmp_path):
    path = tmp_path / "deployed" / "model.ckpt"
    path.parent.mkdir()
    path.write_text("the old and longer one")
    return path


def test_files_are_replaced_wholly_and_the_old_ones_forgotten(new, deployed, tmp_path):
    eval_model = tmp_path / "eval" / "model.ckpt"
    replacement = ModelReplacement({deployed: new, eval_model: new})
    replacement.apply()
    kept = deployed.with_name(".model.ckpt.replaced")
    assert kept.read_text() == "the old and longer one"
    replacement.done()
    assert deployed.read_text() == eval_model.read_text() == new.read_text() == "new"
    assert list(deployed.parent.iterdir()) == [deployed]


def test_undoing_puts_the_old_files_back_and_removes_what_was_not_there(new, deployed, tmp_path):
    absent = tmp_path / "eval" / "model.ckpt"
    replacement = ModelReplacement({deployed: new, absent: new})
    replacement.apply()
    replacement.undo()
    assert deployed.read_text() == "the old and longer one"
    assert not absent.exists()
    replacement.undo()
    assert deployed.read_text() == "the old and longer one"


def test_two_files_of_one_name_are_kept_apart(new, deployed, tmp_path):
    other = tmp_path / "other" / "model.ckpt"
    other.parent.mkdir()
    other.write_text("another")
    replacement = ModelReplacement({deployed: new, other: new})
    replacement.apply()
    replacement.undo()
    assert (deployed.read_text(), other.read_text()) == ("the old and longer one", "another")


@pytest.mark.parametrize("trouble", ["missing source", "directory in the way"])
def test_what_cannot_be_replaced_leaves_all_as_it_was(new, deployed, tmp_path, trouble, raises):
    second = tmp_path / "second.ckpt"
    source = tmp_path / "absent.ckpt" if trouble == "missing source" else new
    if trouble == "directory in the way":
        second.mkdir()
    code = "missing-file" if trouble == "missing source" else "cannot-write"
    with raises(StorageError, code, golden=False):
        ModelReplacement({deployed: new, second: source}).apply()
    assert deployed.read_text() == "the old and longer one"
    assert second.is_dir() == (trouble == "directory in the way")


def test_a_hot_update_is_laid_down_before_it_is_announced(new, tmp_path):
    hot = HotUpdate(tmp_path / "hot")
    version = hot.lay_down(new, 3)
    assert (version.name, version.read_text()) == ("model.3.ckpt", "new")
    assert not hot.config.exists()
    hot.announce(version)
    config = json.loads(hot.config.read_text())["model_config"]
    assert config["model_path"] == str(version)
    assert re.fullmatch(r"\d{8}T\d{6}\.\d{6}Z", config["model_update_time"])


def test_each_announcement_is_a_new_version(new, tmp_path):
    hot = HotUpdate(tmp_path / "hot")
    version, times = hot.lay_down(new, 1), set()
    for _ in range(5):
        hot.announce(version)
        times.add(json.loads(hot.config.read_text())["model_config"]["model_update_time"])
    assert len(times) == 5


def test_only_the_model_in_service_stays(new, tmp_path):
    hot = HotUpdate(tmp_path / "hot")
    hot.lay_down(new, 1)
    version = hot.lay_down(new, 2)
    hot.announce(version)
    hot.tidy(version)
    assert {path.name for path in hot.directory.iterdir()} == {"model.2.ckpt", "model_config.json"}
    hot.withdraw()
    hot.withdraw()
    assert [path.name for path in hot.directory.iterdir()] == ["model.2.ckpt"]


def test_directories_and_the_runners_lock_stay(new, tmp_path):
    hot = HotUpdate(tmp_path / "hot")
    version = hot.lay_down(new, 1)
    (hot.directory / "lost+found").mkdir()
    (hot.directory / ".lock").touch()
    hot.tidy(version)
    assert {path.name for path in hot.directory.iterdir()} == {
        "model.1.ckpt",
        "lost+found",
        ".lock",
    }


def test_an_announcement_that_cannot_be_taken_back_is_an_error_of_storage(tmp_path, raises):
    hot = HotUpdate(tmp_path / "hot")
    hot.config.mkdir(parents=True)
    with raises(StorageError, "cannot-write", path=hot.config, golden=False):
        hot.withdraw()


def test_what_cannot_be_put_back_is_an_error_of_storage(new, deployed, raises):
    replacement = ModelReplacement({deployed: new})
    replacement.apply()
    deployed.unlink()
    deployed.mkdir()
    with raises(StorageError, "cannot-write", path=deployed, golden=False):
        replacement.undo()
