from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from golden import Raises
from hypothesis import given
from hypothesis import strategies as st

from sedna_tinyms.errors import DatasetError
from sedna_tinyms.jobs.dataset import (
    ARRIVAL_AT_MOST,
    MAX_LINE_BYTES,
    SETTLED_AFTER,
    DatasetReader,
)

EARLY = 1000.0
"""When a reader sees the dataset for the first time as it is."""

LATER = EARLY + SETTLED_AFTER


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return tmp_path / "train.txt"


def write(path: Path, content: bytes, age: float = -60.0) -> None:
    """Write a dataset with a time stamp of so many seconds ago; by default none is believed."""
    path.write_bytes(content)
    stamp = time.time() - age
    os.utime(path, (stamp, stamp))


def read(reader: DatasetReader, now: float, quiet_seconds: float = 0.0) -> list[str]:
    """Return what the reader finds, which counts from then on."""
    samples = reader.read_new(now, quiet_seconds)
    reader.go_on_from(reader.reading)
    return samples


def test_lines_are_found_once(dataset: Path) -> None:
    reader = DatasetReader(dataset)
    write(dataset, b"a.png 0\nb.png 1\n")
    assert read(reader, EARLY) == ["a.png 0", "b.png 1"]
    assert read(reader, EARLY) == []
    write(dataset, b"a.png 0\nb.png 1\nc.png 0\n")
    assert read(reader, EARLY) == ["c.png 0"]
    assert reader.samples == 3


def test_lines_are_found_again_until_they_count(dataset: Path) -> None:
    reader = DatasetReader(dataset)
    write(dataset, b"a.png 0\n")
    assert reader.read_new(EARLY) == reader.read_new(EARLY) == ["a.png 0"]
    write(dataset, b"a.png 0\nb.png 1\n")
    assert reader.read_new(EARLY) == ["a.png 0", "b.png 1"]
    assert (reader.samples, reader.reading["samples"]) == (0, 2)


def test_blank_lines_line_ends_and_a_byte_order_mark_do_not_count(dataset: Path) -> None:
    write(dataset, b"\xef\xbb\xbfa.png 0\r\n\r\n  \t\n b.png  1 \n\n")
    assert read(DatasetReader(dataset), EARLY) == ["a.png 0", " b.png  1 "]


def test_a_line_being_written_counts_when_its_newline_arrives(dataset: Path) -> None:
    reader = DatasetReader(dataset)
    write(dataset, b"a.png 0\nb.p")
    assert read(reader, EARLY + 1) == ["a.png 0"]
    write(dataset, b"a.png 0\nb.png 1\n")
    assert read(reader, EARLY + 1) == ["b.png 1"]


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_a_last_line_without_newline_counts_once_it_has_settled(
    dataset: Path, newline: bytes
) -> None:
    reader = DatasetReader(dataset)
    write(dataset, b"a.png 0\nb.png 1")
    assert read(reader, EARLY) == ["a.png 0"]
    assert read(reader, LATER) == ["b.png 1"]
    assert read(reader, LATER) == []
    write(dataset, b"a.png 0\nb.png 1" + newline + b"c.png 0\n")
    assert read(reader, EARLY) == ["c.png 0"]


def test_lines_appended_one_by_one_are_one_arrival(dataset: Path) -> None:
    reader = DatasetReader(dataset)
    for number in range(1, 4):
        write(dataset, b"".join(b"%d.png 0\n" % n for n in range(number)))
        assert read(reader, EARLY + number, quiet_seconds=1.5) == []
    assert read(reader, EARLY + 4.5, quiet_seconds=1.5) == ["0.png 0", "1.png 0", "2.png 0"]


def test_a_file_that_never_rests_arrives_all_the_same(dataset: Path) -> None:
    reader = DatasetReader(dataset)
    write(dataset, b"a.png 0\n")
    assert read(reader, EARLY, quiet_seconds=1000) == []
    assert read(reader, EARLY + ARRIVAL_AT_MOST - 1, quiet_seconds=1000) == []
    assert read(reader, EARLY + ARRIVAL_AT_MOST, quiet_seconds=1000) == ["a.png 0"]


def test_a_last_line_of_long_ago_counts_at_the_first_look(dataset: Path) -> None:
    write(dataset, b"a.png 0\nb.png 1", age=60)
    assert read(DatasetReader(dataset), EARLY, quiet_seconds=2) == ["a.png 0", "b.png 1"]


def test_a_file_that_was_changed_in_the_future_arrives_all_the_same(dataset: Path) -> None:
    reader = DatasetReader(dataset)
    write(dataset, b"a.png 0\nb.png 1", age=-3600)
    assert read(reader, EARLY, quiet_seconds=2) == []
    assert read(reader, EARLY + 2, quiet_seconds=2) == ["a.png 0"]
    assert read(reader, LATER, quiet_seconds=2) == ["b.png 1"]


def test_a_clock_that_is_set_forward_makes_no_sample_of_half_a_line(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = DatasetReader(dataset)
    write(dataset, b"a.png 0\nb.p")
    assert read(reader, EARLY) == ["a.png 0"]
    today = time.time() + 50 * 365 * 86400
    monkeypatch.setattr(time, "time", lambda: today)
    assert read(reader, EARLY + 0.1) == []
    with dataset.open("ab") as file:
        file.write(b"ng 1\n")
    assert read(reader, EARLY + 0.2) == ["b.png 1"]


def test_a_settled_line_that_goes_on_is_noticed(dataset: Path, raises: Raises) -> None:
    reader = DatasetReader(dataset)
    write(dataset, b"a.png 0\nb.p", age=60)
    read(reader, EARLY)
    write(dataset, b"a.png 0\nb.png 1\n")
    with raises(DatasetError, "conflict", path=dataset, line=2):
        read(reader, LATER)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"a.png 0\n", "truncated"),
        (b"", "truncated"),
        (b"a.png 1\nb.png 1\n", "wrong-digest"),
        (b"x.png 0\na.png 0\nb.png 1\n", "wrong-digest"),
    ],
    ids=["shorter", "empty", "changed", "inserted"],
)
def test_counted_lines_must_stay(dataset: Path, content: bytes, code: str, raises: Raises) -> None:
    original = b"a.png 0\nb.png 1\n"
    reader = DatasetReader(dataset)
    write(dataset, original)
    read(reader, EARLY)
    write(dataset, content)
    with raises(DatasetError, code, path=dataset):
        read(reader, LATER)
    write(dataset, original + b"c.png 0\n")
    assert read(reader, LATER) == ["c.png 0"]


def test_a_longer_file_with_the_same_beginning_may_be_renamed_into_place(dataset: Path) -> None:
    reader = DatasetReader(dataset)
    write(dataset, b"a.png 0\n")
    read(reader, EARLY)
    longer = dataset.with_name("longer.txt")
    write(longer, b"a.png 0\nb.png 1\n")
    longer.replace(dataset)
    assert read(reader, EARLY) == ["b.png 1"]


@pytest.mark.parametrize(
    ("line", "code"),
    [(b"x" * MAX_LINE_BYTES + b"\n", "too-large"), (b"caf\xe9.png 0\n", "not-utf8")],
    ids=["too long", "Latin-1"],
)
def test_an_unusable_line_is_named_and_nothing_is_counted(
    dataset: Path, line: bytes, code: str, raises: Raises
) -> None:
    reader = DatasetReader(dataset)
    write(dataset, b"a.png 0\n\n" + line)
    with raises(DatasetError, code, path=dataset, line=3):
        read(reader, EARLY)
    assert reader.samples == 0
    write(dataset, b"a.png 0\n\nb.png 1\n")
    assert read(reader, EARLY) == ["a.png 0", "b.png 1"]


def test_the_longest_line_that_sedna_reads_is_read(dataset: Path) -> None:
    write(dataset, b"x" * (MAX_LINE_BYTES - 1) + b"\n")
    assert len(read(DatasetReader(dataset), EARLY)[0]) == MAX_LINE_BYTES - 1


def test_a_missing_dataset_is_named(dataset: Path, raises: Raises) -> None:
    with raises(DatasetError, "missing-file", path=dataset, golden=False):
        read(DatasetReader(dataset), EARLY)


CONTENT = st.text(alphabet="ab \r\n\u00e9", max_size=60).map(str.encode)


@given(content=CONTENT, cuts=st.lists(st.integers(0, 60), max_size=6), restart=st.booleans())
def test_no_line_is_lost_or_found_twice_however_it_is_written(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, cuts: list[int], restart: bool
) -> None:
    dataset = tmp_path_factory.mktemp("dataset") / "train.txt"
    reader = DatasetReader(dataset)
    found: list[str] = []
    for cut in [*sorted(cuts), len(content)]:
        write(dataset, content[:cut])
        found += read(reader, EARLY)
        if restart:
            reading = json.loads(json.dumps(reader.reading))
            reader = DatasetReader(dataset)
            reader.go_on_from(reading)
    for now in (EARLY, LATER):
        found += read(reader, now)

    lines = [line.removesuffix("\r") for line in content.decode().split("\n")]
    assert found == [line for line in lines if line.strip()]
    assert reader.samples == len(found)
