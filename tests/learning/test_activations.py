import logging

import numpy as np
import pytest
from PIL import Image

from sedna_tinyms.errors import DatasetError, ModelFileError
from sedna_tinyms.learning.activations import BATCH, activations
from sedna_tinyms.learning.cache import ActivationCache, space_name
from sedna_tinyms.pictures import load_pixels

SIZE = 16


class Means:
    """A frozen part that gives each picture's mean colour, and knows how much it computed."""

    def __init__(self, weights="means", dtype=np.float16, outputs=3):
        self.cached_as = space_name(transform=str(SIZE), weights_digest=weights, cut=0, dtype=dtype)
        self.dtype, self.outputs = dtype, outputs
        self.computed = 0

    def run(self, pixels):
        assert pixels.dtype == np.uint8
        assert pixels.shape[1:] == (3, SIZE, SIZE)
        self.computed += len(pixels)
        return pixels.mean((2, 3)).astype(self.dtype)[:, : self.outputs]


def pictures(count, start=0):
    return [
        np.full((20, 20, 3), (number % 256, number // 256, 7), np.uint8)
        for number in range(start, start + count)
    ]


def expected(some):
    return load_pixels(some, SIZE).mean((2, 3)).astype(np.float16)


def test_only_what_is_new_is_computed(tmp_path):
    first, second = pictures(BATCH + 5), pictures(BATCH, start=10)
    frozen = Means()
    rows = activations(first, frozen, ActivationCache(tmp_path), SIZE)
    np.testing.assert_array_equal(rows, expected(first))
    assert frozen.computed == BATCH + 5

    frozen = Means()
    rows = activations(second, frozen, ActivationCache(tmp_path), SIZE)
    np.testing.assert_array_equal(rows, expected(second))
    assert rows.dtype == np.float16
    assert frozen.computed == 5


def test_nothing_is_computed_or_decoded_twice(tmp_path):
    path = tmp_path / "one.png"
    Image.fromarray(pictures(1)[0]).save(path)
    cache = ActivationCache(tmp_path / "cache")
    activations([path], frozen := Means(), cache, SIZE)
    path.rename(tmp_path / "elsewhere.png")
    activations([tmp_path / "elsewhere.png"], frozen, cache, SIZE)
    assert frozen.computed == 1


@pytest.mark.parametrize("cached", [False, True])
def test_the_same_picture_twice_in_a_round_is_computed_once(cached, tmp_path):
    frozen = Means()
    some = [*pictures(3), *pictures(2), *pictures(3)]
    cache = ActivationCache(tmp_path) if cached else None
    rows = activations(some, frozen, cache, SIZE)
    np.testing.assert_array_equal(rows, expected(some))
    assert frozen.computed == 3


def test_other_weights_compute_anew(tmp_path):
    cache = ActivationCache(tmp_path)
    activations(pictures(3), Means(), cache, SIZE)
    activations(pictures(3), other := Means("other"), cache, SIZE)
    assert other.computed == 3


def test_where_nothing_can_be_cached_all_is_computed():
    for _ in range(2):
        rows = activations(pictures(3), frozen := Means(), ActivationCache("/proc/no"), SIZE)
        np.testing.assert_array_equal(rows, expected(pictures(3)))
        assert frozen.computed == 3


def test_a_round_that_was_interrupted_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr("sedna_tinyms.learning.activations.WRITTEN_TOGETHER", 1)

    class Interrupted(Means):
        def run(self, pixels):
            if self.computed == 2 * BATCH:
                raise KeyboardInterrupt
            return super().run(pixels)

    some = pictures(3 * BATCH)
    with pytest.raises(KeyboardInterrupt):
        activations(some, Interrupted(), ActivationCache(tmp_path), SIZE)
    rows = activations(some, frozen := Means(), ActivationCache(tmp_path), SIZE)
    np.testing.assert_array_equal(rows, expected(some))
    assert frozen.computed == BATCH


def test_no_pictures():
    assert len(activations([], Means(), None, SIZE)) == 0


def test_pictures_that_cannot_be_read_are_named(tmp_path, raises):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    missing = [tmp_path / "a.png", tmp_path / "b.png"]
    with raises(DatasetError, "missing-file", golden=False) as raised:  # the system's words
        activations(missing, Means(), None, SIZE)
    assert [problem.fields["path"] for problem in raised.value.problems] == missing
    with raises(DatasetError, "bad-picture"):
        activations([tmp_path / "broken.png"], Means(), None, SIZE)


def test_activations_must_be_finite(tmp_path, raises):
    class Overflowing(Means):
        def run(self, pixels):
            with np.errstate(over="ignore"):
                return (super().run(pixels).astype(np.float32) * 1e6).astype(np.float16)

    cache = ActivationCache(tmp_path)
    with raises(ModelFileError, "not-finite", value="float16"):
        activations(pictures(3), frozen := Overflowing(), cache, SIZE)
    assert cache.nbytes == 0
    assert frozen.computed == 3


def test_rows_of_another_shape_are_computed_again(tmp_path, caplog):
    cache = ActivationCache(tmp_path)
    activations(pictures(3), Means(), cache, SIZE)
    rows = activations(pictures(4), Means(outputs=2), cache, SIZE)
    np.testing.assert_array_equal(rows, expected(pictures(4))[:, :2])
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert caplog.records[0].args[3:] == (np.float16, (2,))
