import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sedna_tinyms.errors import ConfigurationError, StorageError
from sedna_tinyms.learning.hard_examples import HardExampleStore, Kept

LARGE = 1 << 20


@pytest.fixture
def picture(tmp_path):
    """Make pictures of a size, as a camera would drop them."""
    (tmp_path / "incoming").mkdir()

    def picture(name, size=1000):
        path = tmp_path / "incoming" / name
        path.write_bytes(b"x" * size)
        return path

    return picture


def axis(number, size=64):
    return np.eye(size)[number]


def test_a_picture_moves_in_and_survives_a_restart(tmp_path, picture):
    store = HardExampleStore(tmp_path / "hard", LARGE)
    source = picture("a.jpg")
    assert store.offer(source, 0.5, axis(0)) is Kept.KEPT
    assert not source.exists()
    assert (tmp_path / "hard" / "a.jpg").read_bytes() == b"x" * 1000
    again = HardExampleStore(tmp_path / "hard", LARGE)
    assert (again.names, again.nbytes) == (["a.jpg"], store.nbytes)
    assert again.offer(picture("b.jpg"), 0.9, axis(0)) is Kept.DUPLICATE


def test_a_hidden_picture_counts_too(tmp_path, picture):
    store = HardExampleStore(tmp_path / "hard", 5000)
    for number in range(9):
        store.offer(picture(f".{number}.jpg"), number)
    assert store.names[0] == "8.jpg"
    stored = (path for path in (tmp_path / "hard").rglob("*") if path.is_file())
    assert sum(path.stat().st_size for path in stored) == store.nbytes <= 5000


def test_a_picture_that_cannot_be_moved_costs_no_other(tmp_path, picture, raises):
    store = HardExampleStore(tmp_path / "hard", 1500)
    store.offer(picture("a.jpg"), 0.1)
    (tmp_path / "hard" / "b.jpg").mkdir()
    target = tmp_path / "hard" / "b.jpg"
    with raises(StorageError, "cannot-write", path=target, golden=False):
        store.offer(picture("b.jpg"), 0.9)
    assert store.names == ["a.jpg"]


def test_what_resembles_a_picture_is_left_where_it_is(tmp_path, picture):
    store = HardExampleStore(tmp_path / "hard", LARGE, duplicate_cosine=0.95)
    store.offer(picture("a.jpg"), 0.5, axis(0))
    alike, other = axis(0) + 0.1 * axis(1), axis(0) + 0.5 * axis(1)
    again = picture("b.jpg")
    assert store.offer(again, 9.0, 7 * alike) is Kept.DUPLICATE
    assert again.exists()
    assert store.offer(picture("c.jpg"), 0.1, other) is Kept.KEPT
    assert store.offer(picture("d.jpg"), 0.1) is Kept.KEPT, "without features, nothing is alike"


def test_what_a_person_took_away_is_not_kept_again(tmp_path, picture):
    store = HardExampleStore(tmp_path / "hard", LARGE)
    store.offer(picture("a.jpg"), 0.5, axis(0))
    (tmp_path / "hard" / "a.jpg").rename(tmp_path / "labelled.jpg")
    assert store.names == []
    for each in (store, HardExampleStore(tmp_path / "hard", LARGE)):
        assert each.offer(picture("b.jpg"), 0.5, axis(0)) is Kept.DUPLICATE


def test_a_picture_makes_room_only_for_one_of_more_value(tmp_path, picture):
    store = HardExampleStore(tmp_path / "hard", 3500)
    for number, value in enumerate((0.3, 0.1, 0.2)):
        assert store.offer(picture(f"{number}.jpg"), value) is Kept.KEPT
    late = picture("late.jpg")
    assert store.offer(late, 0.1) is Kept.NO_ROOM
    assert late.exists()
    assert store.offer(late, 0.15) is Kept.KEPT
    assert store.names == ["0.jpg", "2.jpg", "late.jpg"]


def test_nothing_goes_unless_it_makes_room(tmp_path, picture):
    store = HardExampleStore(tmp_path / "hard", 3500)
    for number, value in enumerate((0.9, 0.1, 0.9)):
        store.offer(picture(f"{number}.jpg"), value)
    assert store.offer(picture("wide.jpg", 2000), 0.5) is Kept.NO_ROOM
    assert store.offer(picture("whole.jpg", 5000), 1.0) is Kept.NO_ROOM
    assert len(store.names) == 3


def test_a_quota_of_zero_keeps_nothing(tmp_path, picture):
    store = HardExampleStore(tmp_path / "hard", 0)
    assert store.offer(picture("a.jpg"), 1.0) is Kept.NO_ROOM
    assert store.nbytes == 0


def test_a_smaller_quota_than_before_takes_effect_with_the_next_picture(tmp_path, picture):
    store = HardExampleStore(tmp_path / "hard", LARGE)
    for number in range(5):
        store.offer(picture(f"{number}.jpg"), number / 10)
    store = HardExampleStore(tmp_path / "hard", 2500)
    assert store.offer(picture("new.jpg"), 1.0) is Kept.KEPT
    assert store.names == ["new.jpg", "4.jpg"]
    assert store.nbytes <= 2500


offers = st.lists(
    st.tuples(st.integers(0, 3000), st.floats(0, 1), st.none() | st.integers(0, 9), st.booleans()),
    max_size=25,
)


@settings(deadline=None, max_examples=25)
@given(offers, st.integers(0, 8000))
def test_the_quota_holds_whatever_happens(tmp_path_factory, offered, quota):
    root = tmp_path_factory.mktemp("quota")
    store = HardExampleStore(root / "hard", quota)
    for number, (size, value, direction, taken) in enumerate(offered):
        source = root / f"{number}.jpg"
        source.write_bytes(b"x" * size)
        embedding = None if direction is None else axis(direction, 16)
        kept = store.offer(source, value, embedding)
        assert source.exists() == (kept is not Kept.KEPT)
        files = [path for path in (root / "hard").rglob("*") if path.is_file()]
        assert sum(path.stat().st_size for path in files) == store.nbytes <= quota
        if taken and store.names:
            (root / "hard" / store.names[0]).unlink()


def test_equal_names_do_not_overwrite(tmp_path, picture):
    store = HardExampleStore(tmp_path / "hard", LARGE)
    for size in (10, 20, 30):
        store.offer(picture("a.jpg", size), 0.5)
    assert sorted(store.names) == ["a-2.jpg", "a-3.jpg", "a.jpg"]
    assert (tmp_path / "hard" / "a-3.jpg").stat().st_size == 30


def test_pictures_that_somebody_put_in_count_and_go_first(tmp_path, picture):
    store = HardExampleStore(tmp_path / "hard", 2200)
    (tmp_path / "hard" / "theirs.jpg").write_bytes(b"x" * 1000)
    store.offer(picture("a.jpg"), 0.5)
    assert store.names == ["a.jpg", "theirs.jpg"]
    assert store.offer(picture("b.jpg"), 0.4) is Kept.KEPT
    assert store.names == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"value": 1}',
        '{"value": 1, "direction": "???"}',
        '{"value": 1%s, "direction": null}' % ("0" * 400),
        pytest.param("[" * 100_000, id="nested"),
    ],
)
def test_a_broken_note_says_nothing(tmp_path, picture, text, caplog):
    store = HardExampleStore(tmp_path / "hard", LARGE)
    store.offer(picture("a.jpg"), 0.5, axis(0))
    (note,) = (tmp_path / "hard" / ".notes").iterdir()
    note.write_text(text)
    store = HardExampleStore(tmp_path / "hard", LARGE)
    assert [record.args[0] for record in caplog.records] == [note]
    assert store.names == ["a.jpg"]
    assert store.offer(picture("b.jpg"), 0.1, axis(0)) is Kept.KEPT


def test_odd_values_and_features_are_worth_nothing(tmp_path, picture):
    store = HardExampleStore(tmp_path / "hard", LARGE)
    store.offer(picture("a.jpg"), float("nan"), np.full(4, np.nan))
    store.offer(picture("b.jpg"), float("inf"), np.zeros(4))
    notes = [json.loads(path.read_text()) for path in (tmp_path / "hard" / ".notes").iterdir()]
    assert notes == [{"value": 0.0, "direction": None}] * 2


def test_what_is_not_there_cannot_be_kept(tmp_path, raises):
    store = HardExampleStore(tmp_path / "hard", LARGE)
    missing = tmp_path / "nothing.jpg"
    with raises(StorageError, "missing-file", path=missing, golden=False):
        store.offer(missing, 1.0)
    assert store.names == []


@pytest.mark.parametrize(
    ("name", "value"), [("quota_bytes", -1), ("quota_bytes", 1.5), ("duplicate_cosine", 0.0)]
)
def test_settings_out_of_range(tmp_path, name, value, raises):
    with raises(ConfigurationError, "out-of-range", name=name, value=value):
        HardExampleStore(tmp_path, **{"quota_bytes": 1} | {name: value})


def test_a_directory_that_cannot_be_made(tmp_path, raises):
    (tmp_path / "file").touch()
    directory = tmp_path / "file" / "hard"
    with raises(StorageError, "cannot-write", path=directory, golden=False):
        HardExampleStore(directory, LARGE)
