"""Files that earlier releases wrote are read, and gone on with.

The replay memories in ``earlier_formats`` were written by the code of their time, with a budget of
60 bytes and seed 7: 12 samples of round-1, eight of them of class a and four of b, then 5 of
round-2, four of a and one of c.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from sedna_tinyms.errors import ModelFileError
from sedna_tinyms.learning.accuracy_matrix import AccuracyMatrix
from sedna_tinyms.learning.memory import ReplayMemory
from sedna_tinyms.learning.state_file import read_state, write_state

EARLIER = Path(__file__).with_name("earlier_formats")
MEMORIES = ("memory-version-1", "memory-version-2-sha256")

AS_SAVED = {("a", "round-1"): 3, ("b", "round-1"): 3, ("a", "round-2"): 3, ("c", "round-2"): 1}
AS_GONE_ON_WITH = {
    ("a", "round-1"): [6, 113, 108, 104, 105, 3, 110, 115, 123, 0],
    ("b", "round-1"): [132, 11, 133, 9, 10, 137],
    ("a", "round-2"): [200, 23, 20, 203, 21],
    ("c", "round-2"): [201, 24, 202],
    ("c", "round-1"): [138],
    ("d", "round-1"): [139],
}
"""What the release that wrote the memory kept when `go_on` went on with it."""


def numbered(count, start):
    return np.arange(start, start + count, dtype=np.uint8)[:, None, None].repeat(2, 1).repeat(3, 2)


def go_on(memory):
    memory.update(numbered(40, 100), list("a" * 30 + "b" * 8 + "cd"), "round-1")
    memory.update(numbered(4, 200), list("acca"), "round-2")


def kept(memory):
    found = {}
    for item, *cell in zip(*memory.exemplars(), strict=True):
        found.setdefault(tuple(cell), []).append(int(item[0, 0]))
    return found


@pytest.fixture(params=MEMORIES)
def memory_file(request):
    return EARLIER / f"{request.param}.npz"


def test_a_memory_of_an_earlier_format_is_gone_on_with_as_its_own_release_did(memory_file):
    memory = ReplayMemory.load(memory_file, 1000, 7, space="pixels")
    assert memory.counts == AS_SAVED
    assert memory.seen == 17
    go_on(memory)
    assert kept(memory) == AS_GONE_ON_WITH


def test_a_memory_of_an_earlier_format_is_written_as_the_newest(memory_file, tmp_path):
    memory = ReplayMemory.load(memory_file, 1000, 7)
    memory.save(path := tmp_path / "m.memory.npz")
    with np.load(path) as arrays:
        assert (arrays["version"], str(arrays["space"])) == (3, "pixels")
        assert arrays["cell_limits"].max() == np.inf  # of the class that turned nothing away
    again = ReplayMemory.load(path, 1000, 7)
    for each in (memory, again):
        go_on(each)
    assert kept(again) == kept(memory) == AS_GONE_ON_WITH


def test_a_changed_memory_of_an_earlier_format_is_noticed(memory_file, tmp_path, raises):
    with np.load(memory_file) as archive:
        arrays = dict(archive)
    arrays["items"] = arrays["items"] + 1
    np.savez(path := tmp_path / "m.memory.npz", **arrays)
    with raises(ModelFileError, "damaged", path=path):
        ReplayMemory.load(path, 1000)


@pytest.mark.parametrize("version", [4, 0, -1, 2.5, True])
def test_a_memory_of_an_unknown_format_is_refused(version, tmp_path, raises):
    ReplayMemory(1000).save(path := tmp_path / "m.memory.npz")
    with np.load(path) as archive:
        arrays = dict(archive)
    np.savez(path, **arrays | {"version": np.array(version)})
    with raises(ModelFileError, "wrong-version", path=path, value=version, expected=(1, 2, 3)):
        ReplayMemory.load(path, 1000)


def test_a_strategy_s_file_without_a_version_is_the_first(tmp_path):
    np.savez(path := tmp_path / "m.strategy.npz", strategy=np.array("ewc"), weights=np.ones(3))
    (weights,) = read_state(path, "ewc").values()
    assert weights.tolist() == [1.0, 1.0, 1.0]
    write_state(path, "ewc", {"weights": weights})
    assert list(read_state(path, "ewc")) == ["weights"]
    with np.load(path) as arrays:
        assert arrays["format_version"] == 1


def test_a_strategy_s_file_of_a_newer_release_is_refused(tmp_path, raises):
    newer = {"strategy": np.array("ewc"), "format_version": np.array(2), "weights": np.ones(3)}
    np.savez(path := tmp_path / "m.strategy.npz", **newer)
    with raises(ModelFileError, "wrong-version", path=path, value=2, expected=(1,)):
        read_state(path, "ewc")


def test_an_accuracy_matrix_without_a_version_is_the_first(tmp_path):
    matrix = AccuracyMatrix(["day", "night"], [[0.5, 0.25]])
    (tmp_path / "first.json").write_text(json.dumps(matrix.as_dict()))
    assert AccuracyMatrix.load(tmp_path / "first.json").as_dict() == matrix.as_dict()
    matrix.save(tmp_path / "today.json")
    assert json.loads((tmp_path / "today.json").read_text())["format_version"] == 1
    assert AccuracyMatrix.load(tmp_path / "today.json").as_dict() == matrix.as_dict()


def test_an_accuracy_matrix_of_a_newer_release_is_refused(tmp_path, raises):
    path = tmp_path / "newer.json"
    path.write_text(json.dumps({"format_version": 2, "accuracies": {}}))
    with raises(ModelFileError, "wrong-version", path=path, value=2, expected=(1,)):
        AccuracyMatrix.load(path)
