"""What a network sees of a picture, and that decoding ahead gives the same."""

import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sedna_tinyms.errors import ConfigurationError, DatasetError
from sedna_tinyms.pictures import as_rgb, digest, load_img, load_pixels, pixel_batches


def drawn(height, width, seed=0):
    """Smooth enough that a resizing has one right answer, with noise on it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / max(height, width)
    waves = np.stack([np.sin(7 * x + seed), np.cos(5 * y), np.sin(6 * (x + y))], -1)
    return (127 + 90 * waves + rng.normal(0, 10, waves.shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(11)]
    for number, path in enumerate(paths):
        Image.fromarray(drawn(40 + number, 50, number)).save(path)
    return paths


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 300), width=st.integers(1, 300), size=st.sampled_from([1, 32, 96, 225])
)
def test_a_picture_is_resized_whole_then_its_centre_is_cut_out(height, width, size):
    picture = Image.fromarray(drawn(height, width))
    resized = round(size * 256 / 224)
    whole = np.asarray(picture.resize((resized, resized), Image.Resampling.BILINEAR))
    first = (resized - size) // 2
    expected = whole[first : first + size, first : first + size].transpose(2, 0, 1)
    (found,) = load_pixels([picture], size)
    assert np.abs(found.astype(int) - expected).max() <= 2  # the box is rounded to float32


@pytest.mark.parametrize("quality", [75, 95])
def test_a_large_jpeg_decoded_at_a_fraction_looks_as_if_decoded_whole(quality, tmp_path):
    Image.fromarray(drawn(1000, 1300)).save(tmp_path / "large.jpg", quality=quality)
    assert load_img(tmp_path / "large.jpg", 220).size == (325, 250)
    assert load_img(tmp_path / "large.jpg").size == (1300, 1000)
    fast, whole = load_pixels([tmp_path / "large.jpg", load_img(tmp_path / "large.jpg")], 96)
    difference = np.abs(fast.astype(int) - whole)
    assert difference.max() <= 6
    assert difference.mean() < 1


def test_paths_images_and_arrays_of_one_picture_give_the_same_pixels(tmp_path):
    pixels = drawn(50, 60)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    kinds = [tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(pixels), pixels]
    found = load_pixels(
        [*kinds, pixels.astype(np.float64), np.dstack([pixels, pixels])[..., :4]], 32
    )
    assert found.dtype == np.uint8
    assert found.shape == (6, 3, 32, 32)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


@pytest.mark.parametrize("threads", [None, 1, 3])
@pytest.mark.parametrize("batch_size", [1, 4, 5, 11, 100])
def test_batches_are_the_pixels_of_all_in_order(files, batch_size, threads):
    batches = list(pixel_batches(files, 32, batch_size, threads))
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    np.testing.assert_array_equal(np.concatenate(batches), load_pixels(files, 32, threads))


def test_no_pictures_give_no_pixels():
    assert load_pixels([], 32).shape == (0, 3, 32, 32)
    assert list(pixel_batches([], 32, 4)) == []


def test_every_picture_that_cannot_be_read_is_named(files, tmp_path, raises):
    files[6].write_bytes(b"no picture")
    missing = tmp_path / "missing.png"
    pictures = [*files, missing, np.full((4, 4), np.nan)]
    batches = pixel_batches(pictures, 32, 3)
    assert len(next(batches)) == len(next(batches)) == 3
    for use in (lambda: load_pixels(pictures, 32), lambda: next(batches)):
        with raises(DatasetError, "dataset") as raised:
            use()
        assert [(each.code, each.fields) for each in raised.value.problems] == [
            ("bad-picture", {"path": files[6]}),
            ("missing-file", {"path": missing}),
            ("not-finite", {"value": (4, 4, 3)}),
        ]


def test_a_picture_that_is_cut_short_or_a_directory_is_named(files, tmp_path, raises):
    files[6].write_bytes(files[6].read_bytes()[:60])
    with raises(DatasetError, "bad-picture", golden=False) as raised:
        load_pixels(files, 32)
    (problem,) = raised.value.problems
    assert problem.fields == {"path": files[6]}
    with raises(DatasetError, "not-a-file", path=tmp_path):
        load_img(tmp_path)


@pytest.mark.parametrize(
    ("array", "code"),
    [
        (np.zeros((4, 4, 5)), "wrong-shape"),
        (np.zeros((0, 4)), "wrong-shape"),
        (np.zeros(4), "wrong-shape"),
        (np.array([["a"]]), "wrong-type"),
        (np.full((2, 2), 256), "out-of-range"),
        (np.full((2, 2), -1), "out-of-range"),
    ],
    ids=["channels", "empty", "flat", "texts", "above", "below"],
)
def test_an_array_that_is_no_picture_says_why(array, code, raises):
    with raises(DatasetError, code):
        as_rgb(array)


def test_pixels_without_a_fixed_range_are_refused(raises):
    for mode in ("F", "I"):
        image = Image.new(mode, (2, 2), 70_000)
        with raises(DatasetError, "bad-picture", mode=mode):
            as_rgb(image)


def test_a_caller_that_stops_early_leaves_no_threads(files):
    before = threading.active_count()
    batches = pixel_batches(files, 32, 2)
    next(batches)
    batches.close()
    assert threading.active_count() == before


def test_what_is_no_picture_is_a_type_error(files):
    with pytest.raises(TypeError, match="not int"):
        load_pixels([files[0], 7], 32)
    with pytest.raises(TypeError, match="not int"):
        list(pixel_batches([*files, 7], 32, 2))


@pytest.mark.parametrize(
    "arguments", [{"size": 0}, {"size": 2.5}, {"size": True}, {"size": 8, "threads": 0}]
)
def test_sizes_and_threads_are_whole_and_positive(arguments, raises):
    name, value = list(arguments.items())[-1]
    code = "not-an-integer" if isinstance(value, float | bool) else "out-of-range"
    with raises(ConfigurationError, code, name=name, value=value):
        load_pixels([], **arguments)


def test_a_digest_is_of_the_content(files, tmp_path):
    copy = tmp_path / "copy.png"
    copy.write_bytes(files[0].read_bytes())
    assert digest(copy) == digest(str(files[0])) != digest(files[1])
    pixels = drawn(4, 6)
    assert digest(pixels) == digest(Image.fromarray(pixels)) == digest(pixels[:, ::1].copy())
    different = [pixels.reshape(6, 4, 3), pixels.astype(np.float32), pixels[::-1], copy]
    assert len({digest(pixels), *map(digest, different)}) == 5


def test_a_digest_of_nothing_is_an_error(tmp_path, raises):
    with raises(DatasetError, "missing-file", golden=False, path=tmp_path / "gone.png"):
        digest(tmp_path / "gone.png")


def test_no_mindspore_is_imported():
    program = "import sys, sedna_tinyms.pictures; sys.exit('mindspore' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
