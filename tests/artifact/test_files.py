import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sedna_tinyms.artifact.files import (
    copy_file,
    read_json,
    remove_file,
    write_file,
    write_json,
    write_text,
)
from sedna_tinyms.errors import StorageError


def test_the_file_is_whole_readable_by_all_and_alone(tmp_path):
    write_text(tmp_path / "new" / "a.txt", "one")
    write_text(tmp_path / "new" / "a.txt", "two")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.txt"]
    assert (tmp_path / "new" / "a.txt").read_text() == "two"
    assert (tmp_path / "new" / "a.txt").stat().st_mode & 0o777 == 0o644


def test_the_content_is_on_the_disk_before_the_name_and_the_name_at_the_end(tmp_path, monkeypatch):
    done, fsync, replace = [], os.fsync, Path.replace

    def note_fsync(handle):
        path = Path(f"/proc/self/fd/{handle}").readlink()
        done.append(("fsync", path, path.read_text() if path.is_file() else None))
        fsync(handle)

    def note_replace(source, target):
        done.append(("replace", source, target))
        return replace(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)
    with write_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
    assert done == [
        ("fsync", temporary, "new"),
        ("replace", temporary, tmp_path / "a.txt"),
        ("fsync", tmp_path, None),
    ]


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(RuntimeError, match="half way"), write_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("ne")
        raise RuntimeError("half way")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_a_writer_may_replace_the_temporary_file(tmp_path):
    # MindSpore's save_checkpoint removes the file first and writes it with mode 0400.
    with write_file(tmp_path / "model.ckpt") as temporary:
        assert temporary.suffix == ".ckpt"
        temporary.unlink()
        temporary.write_text("weights")
        temporary.chmod(0o400)
    assert (tmp_path / "model.ckpt").read_text() == "weights"
    assert (tmp_path / "model.ckpt").stat().st_mode & 0o777 == 0o644


def test_a_directory_in_the_files_place_is_named(tmp_path, raises):
    (tmp_path / "model.ckpt").mkdir()
    with raises(StorageError, "not-a-file", path=tmp_path / "model.ckpt"):
        write_text(tmp_path / "model.ckpt", "x")


def test_a_parent_that_is_a_file_is_a_storage_error(tmp_path, raises):
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / "a.txt"
    with raises(StorageError, "cannot-write", golden=False, path=target):
        write_text(target, "x")


def test_json_has_no_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert not (tmp_path / "a.json").exists()
    write_json(tmp_path / "a.json", {"loss": 0.5})
    assert json.loads((tmp_path / "a.json").read_text()) == {"loss": 0.5}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b"9" * 5000, pytest.param(b"[" * 100_000, id="nested")]
)
def test_what_is_no_json_is_a_storage_error(tmp_path, content, raises):
    (tmp_path / "a.json").write_bytes(content)
    with raises(StorageError, "not-json", golden=False, path=tmp_path / "a.json"):
        read_json(tmp_path / "a.json")


def test_a_json_file_that_cannot_be_read_is_a_storage_error(tmp_path, raises):
    with raises(StorageError, "missing-file", golden=False, path=tmp_path / "a.json"):
        read_json(tmp_path / "a.json")
    with raises(StorageError, "unreadable-file", golden=False, path=tmp_path):
        read_json(tmp_path)


def test_a_copy_of_a_missing_file_leaves_the_target(tmp_path, raises):
    write_text(tmp_path / "to", "old")
    with raises(StorageError, "cannot-write", golden=False, path=tmp_path / "to") as raised:
        copy_file(tmp_path / "from", tmp_path / "to")
    assert str(tmp_path / "from") in str(raised.value)
    assert (tmp_path / "to").read_text() == "old"


def test_a_file_is_removed_if_it_is_there_and_said_if_it_cannot_be(tmp_path, raises):
    path = tmp_path / "a"
    for _ in range(2):
        remove_file(path)
        assert not path.exists()
        write_text(path, "x")
    with raises(StorageError, "cannot-write", golden=False, path=path / "b"):
        remove_file(path / "b")


WRITER = """
import sys, itertools
from sedna_tinyms.artifact.files import write_text
for i in itertools.count():
    write_text(sys.argv[1], f"{i % 10}" * 200_000)
    if i == 3:
        print("started", flush=True)
"""


@pytest.mark.parametrize("attempt", range(5))
def test_a_kill_at_any_moment_leaves_one_whole_version(tmp_path, attempt):
    target = Path(tmp_path / "a.txt")
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(target)], stdout=subprocess.PIPE
    ) as writer:
        writer.stdout.readline()
        for _ in range(attempt * 50):  # a different moment each time
            target.read_bytes()
        os.kill(writer.pid, signal.SIGKILL)
    content = target.read_text()
    assert len(content) == 200_000
    assert len(set(content)) == 1
