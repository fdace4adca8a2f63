import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedna_tinyms.errors import StorageError
from sedna_tinyms.jobs.journal import BookkeepingError, Entry, Journal

NAMES = st.text(min_size=1).filter(lambda name: name not in ("kind", "self"))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "output" / "journal.jsonl"


def three_entries(path):
    journal = Journal(path)
    for number in range(3):
        journal.append("counted", number=number)
    return path.read_bytes()


@given(st.lists(st.tuples(st.text(), st.dictionaries(NAMES, PLAIN)), max_size=5))
def test_what_was_appended_is_read_again(tmp_path_factory, written):
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    journal = Journal(path)
    for kind, data in written:
        journal.append(kind, **data)
    assert Journal(path).entries == tuple(Entry(kind, data) for kind, data in written)


def test_an_entry_is_on_the_disk_when_append_returns(path, monkeypatch):
    done, write = [], os.write

    def note(what, handle):
        done.append((what, str(Path(f"/proc/self/fd/{handle}").readlink())))

    def write_and_note(handle, data):
        note("write", handle)
        return write(handle, data)

    monkeypatch.setattr(os, "write", write_and_note)
    monkeypatch.setattr(os, "fsync", lambda handle: note("fsync", handle))
    journal = Journal(path)
    journal.append("counted", number=1)
    assert done == [("write", str(path)), ("fsync", str(path)), ("fsync", str(path.parent))]
    done.clear()
    journal.append("counted", number=2)
    assert done == [("write", str(path)), ("fsync", str(path))]


def test_a_later_run_goes_on_where_the_earlier_stopped(path):
    three_entries(path)
    Journal(path).append("counted", number=3)
    assert Journal(path).entries == tuple(Entry("counted", {"number": n}) for n in range(4))
    assert [json.loads(line)["entry"] for line in path.read_text().splitlines()] == [1, 2, 3, 4]


def test_wherever_the_last_line_is_torn_the_others_stay(path):
    content = three_entries(path)
    whole = content.rindex(b"\n", 0, -1) + 1
    for end in range(whole, len(content)):
        path.write_bytes(content[:end])
        journal = Journal(path)
        assert len(journal.entries) == 2
        journal.append("counted", number=2)
        assert len(Journal(path).entries) == 3


def test_a_last_line_with_unwritten_blocks_is_torn_too(path):
    content = three_entries(path)
    start = content.rindex(b"\n", 0, -1) + 1
    path.write_bytes(content[:start] + bytes(40) + content[start + 40 :])
    assert len(Journal(path).entries) == 2


def test_every_flipped_bit_of_an_earlier_line_shows(path):
    content = three_entries(path)
    second = range(content.index(b"\n") + 1, content.rindex(b"\n", 0, -1))
    for place in second:
        damaged = bytearray(content)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(StorageError) as raised:
            Journal(path)
        assert (raised.value.code, raised.value.fields["path"]) == ("damaged", path)
        assert raised.value.fields["line"] in (2, 3)  # a flipped bit may end a line, or join two
        assert path.read_bytes() == damaged


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [lines[0], lines[2]],
        lambda lines: [lines[0], lines[2], lines[1]],
        lambda lines: [lines[1], lines[2]],
        lambda lines: [*lines, lines[2]],
        lambda lines: [lines[0], b"[]\n", *lines[1:]],
        lambda lines: [lines[0], b"\n", *lines[1:]],
    ],
    ids=["removed", "swapped", "beheaded", "repeated", "no entry", "empty"],
)
def test_lines_that_are_not_in_their_place_show(path, change, raises):
    lines = three_entries(path).splitlines(keepends=True)
    path.write_bytes(b"".join(change(lines)))
    with raises(StorageError, "damaged", path=path, golden=False):
        Journal(path)


def test_on_a_full_disk_an_entry_has_not_happened(path, monkeypatch, raises):
    content = three_entries(path)
    journal = Journal(path)
    write, room = os.write, 20

    def write_while_there_is_room(handle, data):
        nonlocal room
        if room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(handle, bytes(data)[:room])
        room -= written
        return written

    monkeypatch.setattr(os, "write", write_while_there_is_room)
    with raises(BookkeepingError, "no-space", path=path):
        journal.append("counted", number=3)
    assert path.read_bytes() == content
    monkeypatch.undo()
    journal.append("counted", number=3)
    assert [entry.data["number"] for entry in Journal(path).entries] == [0, 1, 2, 3]


def test_what_append_returned_from_survives_a_kill(path):
    program = (
        "import os, sys; from pathlib import Path; from sedna_tinyms.jobs.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "for number in range(10**9):\n"
        "    journal.append('counted', number=number)\n"
        "    print(number, flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            if line.strip() == "50":
                process.send_signal(signal.SIGKILL)
                break
        told = [50, *map(int, process.stdout.read().split())]
    numbers = [entry.data["number"] for entry in Journal(path).entries]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > told[-1]


def test_a_journal_that_cannot_be_read_is_named(path, raises):
    path.mkdir(parents=True)
    with raises(StorageError, "unreadable-file", path=path, golden=False):
        Journal(path)
