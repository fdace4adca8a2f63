from __future__ import annotations

from pathlib import Path

import pytest
from job_files import line_of, write_data, write_job

from sedna_tinyms.errors import DatasetError, JobSpecError, ModelFileError
from sedna_tinyms.jobs import load_job
from sedna_tinyms.jobs.paths import HostPaths
from sedna_tinyms.jobs.preflight import check_files


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_data(tmp_path / "root")


def check(tmp_path: Path, root: Path) -> None:
    check_files(load_job(write_job(tmp_path)), HostPaths(root))


def test_a_job_with_all_its_files_passes(tmp_path: Path, root: Path) -> None:
    check(tmp_path, root)


def test_a_missing_dataset_is_named_with_both_paths_and_its_line(
    tmp_path: Path, root: Path
) -> None:
    file = root / "data" / "train.txt"
    file.unlink()
    with pytest.raises(DatasetError) as raised:
        check(tmp_path, root)
    line = line_of("url: /data/train.txt")
    assert (
        f"job.yaml:{line}: the Dataset 'parts-data': /data/train.txt, which is {file} here, "
        "is not there"
    ) in str(raised.value)


@pytest.mark.parametrize("name", ["initial", "deployed"])
def test_a_missing_model_is_named(tmp_path: Path, root: Path, name: str) -> None:
    (root / "models" / name / "model.ckpt").unlink()
    with pytest.raises(ModelFileError, match=rf"Model '{name}': /models/{name}/model\.ckpt"):
        check(tmp_path, root)


def test_a_directory_left_in_the_place_of_a_model_is_noticed(tmp_path: Path, root: Path) -> None:
    file = root / "models" / "deployed" / "model.ckpt"
    file.unlink()
    file.mkdir()
    with pytest.raises(ModelFileError, match="is an empty directory"):
        check(tmp_path, root)


def test_a_directory_is_no_dataset(tmp_path: Path, root: Path) -> None:
    file = root / "data" / "train.txt"
    file.unlink()
    file.mkdir()
    with pytest.raises(DatasetError, match="is a directory, not a text file"):
        check(tmp_path, root)


def test_a_link_out_of_the_root_is_noticed(tmp_path: Path, root: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("x\n", encoding="utf-8")
    file = root / "data" / "train.txt"
    file.unlink()
    file.symlink_to(outside)
    with pytest.raises(DatasetError, match="symbolic link"):
        check(tmp_path, root)


def test_several_missing_things_are_said_at_once(tmp_path: Path, root: Path) -> None:
    (root / "data" / "train.txt").unlink()
    (root / "models" / "initial" / "model.ckpt").unlink()
    path = write_job(tmp_path)
    (tmp_path / "eval.py").unlink()
    with pytest.raises(JobSpecError) as raised:
        check_files(load_job(path), HostPaths(root))
    message = str(raised.value)
    assert len(message.splitlines()) == 4
    for part in ("/data/train.txt", "/models/initial/model.ckpt", "eval.py"):
        assert part in message
