import logging
import os
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import linear, logits, samples

from sedna_tinyms.engine import available_engines, open_engine

pytestmark = pytest.mark.skipif(
    "openvino" not in available_engines(), reason="OpenVINO is not installed"
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Return where compiled models are kept."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(home))
        yield home / "sedna-tinyms" / "compiled"


@pytest.fixture(autouse=True)
def _empty(cache):
    for path in kept(cache):
        path.unlink()


def kept(cache):
    return sorted(cache.glob("*"))


def computed(content, **keywords):
    with open_engine(content, "openvino", **keywords) as engine:
        return engine.run(samples(3))["logits"]


def assert_right(found, seed=0):
    np.testing.assert_allclose(found, logits(samples(3), seed), rtol=1e-4, atol=0.1)


def with_checksum(content):
    return zlib.crc32(content).to_bytes(4, "little") + content


def test_what_was_compiled_is_taken_the_next_time(cache):
    first = computed(linear(seed=0))
    (path,) = kept(cache)
    before = path.stat().st_mtime_ns
    np.testing.assert_array_equal(computed(linear(seed=0)), first)
    assert kept(cache) == [path]
    assert path.stat().st_mtime_ns > before  # it was used
    computed(linear(seed=1))
    (other,) = set(kept(cache)) - {path}
    path.write_bytes(other.read_bytes())
    assert_right(computed(linear(seed=0)), seed=1)


def test_other_weights_threads_and_versions_are_compiled_anew(cache, monkeypatch):
    for count, model in enumerate((linear(), linear(seed=1), linear(classes=3)), 1):
        computed(model)
        assert len(kept(cache)) == count
    computed(linear(), threads=1)
    computed(linear(), threads=2)
    assert len(kept(cache)) in (4, 5)  # one of them is what this machine has
    before = len(kept(cache))
    monkeypatch.setattr("openvino.__version__", "another")
    computed(linear())
    assert len(kept(cache)) == before + 1


POSITIONS, CHANGES = st.integers(0, 10**6), st.integers(0, 255)


@settings(max_examples=8, deadline=None)
@given(position=POSITIONS, change=CHANGES)
def test_a_damaged_file_is_not_taken(cache, position, change):
    damage_and_compute(cache, position, change)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(position=POSITIONS, change=CHANGES)
def test_no_damaged_file_is_taken(cache, position, change):
    damage_and_compute(cache, position, change)


def damage_and_compute(cache, position, change):
    computed(linear())
    (path,) = kept(cache)
    whole = path.read_bytes()
    place = position % len(whole)
    if change:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ change]) + whole[place + 1 :])
    else:
        path.write_bytes(whole[:place])
    assert_right(computed(linear()))
    assert path.read_bytes() != whole[:place]
    assert_right(computed(linear()))


def test_a_file_that_openvino_does_not_take_is_compiled_anew(cache, caplog):
    computed(linear())
    (path,) = kept(cache)
    path.write_bytes(with_checksum(b"something else"))
    assert_right(computed(linear()))
    (record,) = caplog.records
    assert str(path) in record.getMessage()
    caplog.clear()
    assert_right(computed(linear()))
    assert caplog.text == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_what_another_user_has_put_there_is_not_taken(cache, caplog):
    computed(linear(seed=0))
    (path,) = kept(cache)
    computed(linear(seed=1))
    (other,) = set(kept(cache)) - {path}
    path.write_bytes(other.read_bytes())
    os.chown(path, 65534, 65534)
    assert_right(computed(linear(seed=0)))
    (record,) = caplog.records
    assert str(path) in record.getMessage()


def test_the_least_recently_used_make_room(cache, monkeypatch):
    computed(linear(seed=0))
    (first,) = kept(cache)
    monkeypatch.setattr("sedna_tinyms.engine.compiled.MOST_BYTES", 3 * first.stat().st_size)
    for seed in (1, 2):
        computed(linear(seed=seed))
    assert len(kept(cache)) == 3
    for seed in (0, 3, 0, 4, 0, 5):
        assert_right(computed(linear(seed=seed)), seed)
        assert first in kept(cache)
        assert sum(path.stat().st_size for path in kept(cache)) <= 3 * first.stat().st_size
    monkeypatch.setattr("sedna_tinyms.engine.compiled.MOST_BYTES", 10)
    assert_right(computed(linear(seed=9)), 9)  # one that is larger than all may be is not kept
    assert first in kept(cache)


def test_where_nothing_can_be_kept_it_is_compiled_each_time(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "sedna_tinyms.engine.compiled")
    (tmp_path / "sedna-tinyms").write_text("a file where the directory should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for _ in range(2):
        assert_right(computed(linear()))
    told = [each for each in caplog.records if each.name == "sedna_tinyms.engine.compiled"]
    assert len(told) == 2
