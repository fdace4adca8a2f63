"""One process at a time."""

import multiprocessing
import signal
import subprocess
import sys

import pytest

from sedna_tinyms.artifact.lock import exclusively
from sedna_tinyms.errors import StorageError


def _count_up(lock, counter):
    for _ in range(50):
        with exclusively(lock):
            counter.write_text(str(int(counter.read_text()) + 1))


def test_only_one_process_at_a_time_is_inside(tmp_path):
    counter = tmp_path / "counter"
    counter.write_text("0")
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_count_up, args=(tmp_path / "lock", counter)) for _ in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert counter.read_text() == "100"
    assert [path.name for path in tmp_path.iterdir()] == ["counter"]


HOLD = """
import pathlib, sys, time
from sedna_tinyms.artifact.lock import exclusively
with exclusively(pathlib.Path(sys.argv[1])):
    print("inside", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that is inside."""
    words = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "inside\n"
        yield process
        process.kill()


@pytest.mark.parametrize("limit_seconds", [0, 0.1])
def test_who_waits_does_so_for_a_time_and_is_told_for_whom(tmp_path, holder, limit_seconds, raises):
    holder.send_signal(signal.SIGSTOP)  # as with Ctrl-Z
    lock = tmp_path / "lock"
    with (
        raises(StorageError, "in-use", path=lock, process=holder.pid),
        exclusively(lock, limit_seconds),
    ):
        pass


def test_a_holder_that_has_not_signed_is_unknown(tmp_path, holder, raises):
    (tmp_path / "lock").write_text("")
    with raises(StorageError, "in-use", process=None), exclusively(tmp_path / "lock", 0):
        pass


def test_a_lock_file_that_cannot_be_made_is_a_storage_error(tmp_path, raises):
    (tmp_path / "file").write_text("")
    lock = tmp_path / "file" / "lock"
    with raises(StorageError, "cannot-write", golden=False, path=lock), exclusively(lock):
        pass


def test_a_process_that_dies_inside_lets_the_next_one_in(tmp_path, holder):
    holder.kill()
    holder.wait()
    lock = tmp_path / "lock"
    with exclusively(lock, 0):
        assert lock.exists()
    assert not lock.exists()
