from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from golden import Raises
from job_files import changed, line_of, write_data, write_job
from onnx import TensorProto, helper
from small_checkpoint import checkpoint

from sedna_tinyms.errors import DatasetError, JobSpecError, ModelFileError, Problem
from sedna_tinyms.jobs import load_job
from sedna_tinyms.jobs.paths import HostPaths
from sedna_tinyms.jobs.preflight import check_files


def onnx_with_weights_elsewhere() -> bytes:
    """Return an ONNX model that is whole, but not all of what its reader knows."""
    weights = onnx.TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1])
    weights.data_location = TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", "weights.bin"
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    node = helper.make_node("Add", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], [weights])
    return bytes(helper.make_model(graph).SerializeToString())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_data(tmp_path / "root")


def check(tmp_path: Path, root: Path) -> None:
    check_files(load_job(write_job(tmp_path)), HostPaths(root))


def test_a_job_with_all_its_files_passes(tmp_path: Path, root: Path) -> None:
    check(tmp_path, root)


def test_a_missing_dataset_is_named_with_both_paths_and_its_line(
    tmp_path: Path, root: Path, raises: Raises
) -> None:
    file = root / "data" / "train.txt"
    file.unlink()
    with raises(DatasetError, "missing-file") as raised:
        check(tmp_path, root)
    (problem,) = raised.value.problems
    assert problem.fields == {
        "source": tmp_path / "job.yaml",
        "line": line_of("url: /data/train.txt"),
        "name": "parts-data",
        "path": file,
    }


@pytest.mark.parametrize("name", ["initial", "deployed"])
def test_a_missing_model_is_named(tmp_path: Path, root: Path, name: str, raises: Raises) -> None:
    file = root / "models" / name / "model.ckpt"
    file.unlink()
    with raises(ModelFileError, "missing-file") as raised:
        check(tmp_path, root)
    assert raised.value.problems[0].fields["path"] == file


def deploy(tmp_path: Path, root: Path, name: str, content: bytes) -> None:
    """Check the job with another deploy model."""
    (root / "models" / "deployed" / name).write_bytes(content)
    text = changed("/models/deployed/model.ckpt", f"/models/deployed/{name}")
    check_files(load_job(write_job(tmp_path, text)), HostPaths(root))


CKPT = checkpoint({name: np.ones((2, 3), np.float32) for name in ("body", "head")}, {})
BEYOND = onnx_with_weights_elsewhere()


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("m.onnx", b"", "empty"),
        ("m.onnx", bytes(range(255)), "damaged"),
        ("m.onnx", BEYOND[:-1], "damaged"),
        ("m.ckpt", b"", "empty"),
        ("m.ckpt", CKPT[: len(CKPT) * 2 // 3], "damaged"),
        ("m.ckpt", checkpoint({"w": np.array([np.nan], np.float32)}, {}), "not-finite"),
    ],
    ids=["no ONNX", "bytes", "ONNX cut short", "no checkpoint", "half of one", "NaN"],
)
def test_a_broken_model_is_named_with_its_line(
    tmp_path: Path, root: Path, name: str, content: bytes, code: str, raises: Raises
) -> None:
    with raises(ModelFileError, code) as raised:
        deploy(tmp_path, root, name, content)
    (problem,) = raised.value.problems
    assert problem.fields["line"] == line_of("url: /models/deployed/model.ckpt")
    assert problem.fields["name"] == "deployed"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.ckpt", CKPT),
        ("m.ckpt", b"PK\x03\x04 as PyTorch Lightning writes it"),
        ("m.onnx", BEYOND),
        ("m.pb", b""),
        ("m.pth", b"whatever"),
    ],
    ids=["MindSpore", "Lightning", "weights elsewhere", "TensorFlow", "PyTorch"],
)
def test_another_frameworks_model_is_left_alone(
    tmp_path: Path, root: Path, name: str, content: bytes
) -> None:
    deploy(tmp_path, root, name, content)


def test_a_directory_left_in_the_place_of_a_model_is_noticed(
    tmp_path: Path, root: Path, raises: Raises
) -> None:
    file = root / "models" / "deployed" / "model.ckpt"
    file.unlink()
    file.mkdir()
    with raises(ModelFileError, "empty"):
        check(tmp_path, root)


def test_a_directory_is_no_dataset(tmp_path: Path, root: Path, raises: Raises) -> None:
    file = root / "data" / "train.txt"
    file.unlink()
    file.mkdir()
    with raises(DatasetError, "not-a-file"):
        check(tmp_path, root)


def test_a_link_out_of_the_root_is_noticed(tmp_path: Path, root: Path, raises: Raises) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("x\n", encoding="utf-8")
    file = root / "data" / "train.txt"
    file.unlink()
    file.symlink_to(outside)
    with raises(DatasetError, "outside-root"):
        check(tmp_path, root)


def test_several_missing_things_are_said_at_once(
    tmp_path: Path, root: Path, raises: Raises
) -> None:
    (root / "data" / "train.txt").unlink()
    (root / "models" / "initial" / "model.ckpt").unlink()
    path = write_job(tmp_path)
    (tmp_path / "eval.py").unlink()
    with raises(JobSpecError, "missing-file") as raised:
        check_files(load_job(path), HostPaths(root))

    def name(problem: Problem) -> str:
        return str(problem.fields["name"])

    assert list(map(name, raised.value.problems)) == ["parts-data", "initial", "eval.py"]
