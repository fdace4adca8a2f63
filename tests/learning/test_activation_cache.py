import hashlib
import logging
import logging.handlers
import multiprocessing
import os
import resource
import signal
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sedna_tinyms.errors import ConfigurationError
from sedna_tinyms.learning.cache import (
    CACHE_DIRECTORY,
    MOST_SMALL_SEGMENTS,
    ActivationCache,
    space_name,
)

SPACE = space_name(transform="224 crop", weights_digest="12ab", cut=14)
SHAPE = (4, 3, 3)
spawning = multiprocessing.get_context("spawn")


def digests(count, start=0):
    return [hashlib.sha256(b"%d" % number).hexdigest() for number in range(start, start + count)]


def rows(count, start=0, dtype=np.float16):
    """Rows that tell their number."""
    numbers = np.arange(start, start + count, dtype=np.float64)[:, None, None, None]
    return (np.sqrt(numbers) + np.arange(np.prod(SHAPE)).reshape(SHAPE)).astype(dtype)


def filled(directory, count=20, start=0, **further):
    cache = ActivationCache(directory, **further)
    cache.write(SPACE, digests(count, start), rows(count, start))
    return cache


def segments(directory):
    return sorted(Path(directory).glob("*/*"))


def assert_right(cache, count, start=0):
    """All rows are found, and are what was written."""
    found, values = cache.read(SPACE, digests(count, start))
    assert found.all()
    np.testing.assert_array_equal(values, rows(count, start))


# --- what is found ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.uint8])
def test_rows_come_back_to_another_process_as_they_were(dtype, tmp_path):
    ActivationCache(tmp_path).write(SPACE, digests(20), rows(20, dtype=dtype))
    asked = [*digests(3, start=18), *digests(2)]
    found, values = ActivationCache(tmp_path).read(SPACE, asked)
    assert found.tolist() == [True, True, False, True, True]
    assert values.dtype == dtype
    np.testing.assert_array_equal(values, rows(20, dtype=dtype)[[18, 19, 0, 1]])


def test_nothing_is_found_in_an_empty_cache(tmp_path):
    found, values = ActivationCache(tmp_path / "not yet").read(SPACE, digests(2))
    assert not found.any()
    assert len(values) == 0
    assert ActivationCache(tmp_path).read(SPACE, [])[0].shape == (0,)


def test_a_digest_that_is_asked_for_twice_or_written_twice(tmp_path):
    cache = ActivationCache(tmp_path)
    cache.write(SPACE, digests(1) * 2, rows(1).repeat(2, 0))
    cache.write(SPACE, digests(2), rows(2))
    found, values = cache.read(SPACE, digests(1) * 3)
    assert found.all()
    np.testing.assert_array_equal(values, rows(1).repeat(3, 0))


def test_what_other_weights_computed_is_not_found(tmp_path):
    what = {"transform": "224", "weights_digest": "ab", "cut": 14, "dtype": "float16"}
    others = {"transform": "160", "weights_digest": "cd", "cut": 19, "dtype": "float32"}
    cache = ActivationCache(tmp_path)
    cache.write(space_name(**what), digests(3), rows(3))
    assert cache.read(space_name(**what), digests(3))[0].all()
    for name, other in others.items():
        assert not cache.read(space_name(**{**what, name: other}), digests(3))[0].any()


def test_a_row_is_found_fast_after_many_small_writes(tmp_path):
    cache = ActivationCache(tmp_path)
    count = 3 * MOST_SMALL_SEGMENTS
    for number in range(count):
        cache.write(SPACE, digests(1, number), rows(1, number))
    assert len(segments(tmp_path)) <= MOST_SMALL_SEGMENTS
    assert_right(cache, count)
    assert_right(ActivationCache(tmp_path), count)


# --- what is too much -------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 20_000),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 200)), max_size=8),
)
def test_the_budget_holds_whatever_happens(budget, writes):
    with tempfile.TemporaryDirectory() as directory:
        for count, start in writes:
            cache = filled(directory, count, start, budget_bytes=budget)
            on_disk = sum(path.stat().st_size for path in segments(directory))
            assert cache.nbytes == on_disk <= budget
            found, values = cache.read(SPACE, digests(count, start))
            if found.any():
                np.testing.assert_array_equal(values, rows(count, start)[found])


def test_as_many_rows_as_fit_are_kept(tmp_path):
    cache = filled(tmp_path, 100, budget_bytes=6000)
    assert 40 < cache.read(SPACE, digests(100))[0].sum() < 60


def test_the_least_recently_used_make_room(tmp_path):
    size = filled(tmp_path, 20).nbytes
    cache = filled(tmp_path, 20, 100, budget_bytes=5 * size // 2)
    assert_right(cache, 20)
    assert_right(filled(tmp_path, 20, 200, budget_bytes=5 * size // 2), 20)
    assert not cache.read(SPACE, digests(20, 100))[0].any()


# --- what is broken ---------------------------------------------------------------------------


@pytest.mark.parametrize("left", [0, 5, 200, 0.5, -1])
def test_a_truncated_segment_is_dropped_with_one_warning(left, tmp_path, caplog):
    filled(tmp_path)
    (path,) = segments(tmp_path)
    size = path.stat().st_size
    os.truncate(path, left if left >= 1 else int(left * size) if left >= 0 else size + left)
    cache = ActivationCache(tmp_path)
    for _ in range(2):
        assert not cache.read(SPACE, digests(20))[0].any()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert path.name in caplog.text
    cache.write(SPACE, digests(20), rows(20))
    assert_right(cache, 20)


def test_a_segment_that_is_truncated_while_it_is_in_use(tmp_path, caplog):
    cache = filled(tmp_path, 2000)
    assert_right(cache, 2000)
    (path,) = segments(tmp_path)
    os.truncate(path, 4096)
    assert not cache.read(SPACE, digests(2000))[0].any()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert path.name in caplog.text


def test_a_flipped_bit_costs_its_row_and_nothing_else(tmp_path, caplog):
    filled(tmp_path)
    (path,) = segments(tmp_path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    cache = ActivationCache(tmp_path)
    for _ in range(2):
        found, values = cache.read(SPACE, digests(20))
        assert found.sum() == 19
        np.testing.assert_array_equal(values, rows(20)[found])
    assert len(caplog.records) == 1
    cache.write(SPACE, digests(20), rows(20))
    assert_right(cache, 20)
    assert_right(ActivationCache(tmp_path), 20)
    assert len(caplog.records) == 1  # the new row is found first


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 10**9), st.integers(1, 255))
def test_a_flipped_byte_anywhere_gives_no_wrong_row(position, change):
    with tempfile.TemporaryDirectory() as directory:
        filled(directory, 4)
        (path,) = segments(directory)
        content = bytearray(path.read_bytes())
        content[position % len(content)] ^= change
        path.write_bytes(content)
        cache = ActivationCache(directory)
        found, values = cache.read(SPACE, digests(4))
        if found.any():
            np.testing.assert_array_equal(values, rows(4)[found])
        cache.write(SPACE, digests(4), rows(4))
        assert_right(cache, 4)


def test_a_segment_of_another_space_is_dropped(tmp_path, caplog):
    filled(tmp_path)
    (path,) = segments(tmp_path)
    other = space_name(transform="224 crop", weights_digest="another", cut=14)
    (tmp_path / other).mkdir()
    path.rename(tmp_path / other / path.name)
    assert not ActivationCache(tmp_path).read(other, digests(20))[0].any()
    assert SPACE in caplog.text


# --- several processes ------------------------------------------------------------------------


def write_overlapping(directory, first):
    for start in range(first, first + 100, 5):
        filled(directory, 10, start)


def test_two_writers_at_once_and_a_reader(tmp_path):
    writers = [
        spawning.Process(target=write_overlapping, args=(tmp_path, first)) for first in (0, 50)
    ]
    for writer in writers:
        writer.start()
    reader = ActivationCache(tmp_path)
    while any(writer.is_alive() for writer in writers):
        found, values = reader.read(SPACE, digests(155))
        if found.any():
            np.testing.assert_array_equal(values, rows(155)[found])
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert_right(reader, 155)
    assert all(path.suffix == ".rows" for path in segments(tmp_path))


def test_what_another_process_drops_is_not_found_any_more(tmp_path):
    cache = filled(tmp_path)
    assert_right(cache, 20)
    filled(tmp_path, 20, 100, budget_bytes=cache.nbytes)
    assert not cache.read(SPACE, digests(20))[0].any()


def write_and_stop_in_front_of_the_rename(directory, writing):
    def stop(handle):
        writing.set()
        signal.pause()

    os.fsync = stop
    filled(directory, 30, 100)


def test_a_writer_that_is_killed_does_no_harm(tmp_path):
    filled(tmp_path)
    writing = spawning.Event()
    writer = spawning.Process(
        target=write_and_stop_in_front_of_the_rename, args=(tmp_path, writing)
    )
    writer.start()
    assert writing.wait(60)
    writer.kill()
    writer.join()
    assert any(".partial" in path.name for path in segments(tmp_path))
    cache = ActivationCache(tmp_path)
    assert_right(cache, 20)
    assert not cache.read(SPACE, digests(30, 100))[0].any()
    cache.write(SPACE, digests(30, 100), rows(30, 100))
    assert_right(cache, 30, 100)
    assert not any(".partial" in path.name for path in segments(tmp_path))


# --- where nothing can be written -------------------------------------------------------------


def write_on_a_full_disk(directory, warnings):
    logging.getLogger().addHandler(handler := logging.handlers.QueueHandler(warnings))
    handler.setLevel(logging.WARNING)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))  # no file may get longer
    for start in (100, 200):
        cache = filled(directory, 30, start)
        cache.write(SPACE, digests(30, start), rows(30, start))


def write_without_permission(directory, warnings):
    logging.getLogger().addHandler(logging.handlers.QueueHandler(warnings))
    cache = ActivationCache(directory)
    assert_right(cache, 20)
    if os.geteuid() == 0:
        os.setuid(65534)
    assert_right(filled(directory, 30, 100), 20)
    assert_right(cache, 20)


@pytest.fixture
def public_directory():
    """A directory that another user can reach."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.mark.parametrize("write", [write_on_a_full_disk, write_without_permission])
def test_where_nothing_can_be_written_nothing_is_cached(write, public_directory):
    cache = filled(public_directory)
    for path in (public_directory, *public_directory.glob("*")):
        path.chmod(0o555)
    warnings = spawning.Queue()
    writer = spawning.Process(target=write, args=(public_directory, warnings))
    writer.start()
    warning = warnings.get(timeout=60)
    writer.join()
    for path in (public_directory, *public_directory.glob("*")):
        path.chmod(0o755)
    assert writer.exitcode == 0
    assert warning.levelno == logging.WARNING
    assert str(public_directory) in warning.getMessage()
    assert_right(cache, 20)
    assert len(segments(public_directory)) == 1


@pytest.mark.parametrize("directory", ["/proc/sedna", "/proc/self/cmdline", "/dev/null/x"])
def test_a_directory_that_cannot_be_is_no_error(directory, caplog):
    cache = filled(directory)
    cache.write(SPACE, digests(1), rows(1))
    assert not cache.read(SPACE, digests(20))[0].any()
    assert caplog.messages
    assert len(caplog.messages) == len(set(caplog.messages))  # each is said once


# --- what is asked wrongly --------------------------------------------------------------------


def test_the_directory_can_be_chosen(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert ActivationCache().directory == tmp_path / "sedna-tinyms" / "activations"
    monkeypatch.setenv(CACHE_DIRECTORY, str(tmp_path / "here"))
    assert ActivationCache().directory == tmp_path / "here"


@pytest.mark.parametrize("budget", [-1, 1.5, True, "8"])
def test_a_budget_is_a_number_of_bytes(budget, raises):
    with raises(ConfigurationError, "out-of-range", name="budget_bytes", value=budget):
        ActivationCache("x", budget)


def test_mistakes_are_named(tmp_path, raises):
    cache = ActivationCache(tmp_path)
    with raises(ConfigurationError, "invalid-value", name="space", value="../up"):
        cache.read("../up", digests(1))
    with raises(ConfigurationError, "wrong-length", name="digests", value=4, expected=64):
        cache.read(SPACE, ["abcd"])
    with raises(ConfigurationError, "invalid-value", name="digests", golden=False):
        cache.read(SPACE, ["photo.jpg"])
    with raises(ConfigurationError, "wrong-length", name="digests", value=3, expected=2):
        cache.write(SPACE, digests(3), rows(2))
    with raises(ConfigurationError, "wrong-type", name="rows", value="object"):
        cache.write(SPACE, digests(1), np.array([None]))
