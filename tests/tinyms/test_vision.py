from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sedna_tinyms.errors import ConfigurationError, DatasetError
from sedna_tinyms.tinyms.data import ImageFolderDataset, MnistDataset
from sedna_tinyms.tinyms.vision import (
    ImageFolderTransform,
    as_rgb,
    imagefolder_transform,
    load_images,
    postprocess,
)

REFERENCE = Path(__file__).with_name("imagefolder_reference.npz")
LOGITS = np.array([[10, 1, 4, 2, 5, 18, -10, -4, 3, 7]], np.float32)


def noise(height, width, channels=3, seed=0):
    return np.random.RandomState(seed).randint(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    for label, name in enumerate(["bolt", "nut"]):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(4):
            picture = Image.fromarray(noise(40 + i, 50, seed=10 * label + i))
            picture.save(tmp_path / "pictures" / name / f"{i}.png")
    return tmp_path / "pictures"


@pytest.mark.parametrize("kind", [np.asarray, Image.fromarray])
def test_one_picture_gives_tinyms_numbers_to_the_bit(kind):
    """A patch of TinyMS 0.3.2's own result on MindSpore 2.0, for an array of that picture."""
    with np.load(REFERENCE) as reference:
        top, left = reference["patch_at"]
        height, width = reference["patch"].shape[:2]
        picture = np.zeros(reference["picture_shape"], np.uint8)
        picture[top : top + height, left : left + width] = reference["patch"]
        row, column = reference["output_at"]
        expected = reference["output"]
    result = imagefolder_transform(kind(picture))
    assert result.shape == (3, 224, 224)
    assert result.dtype == np.float32
    inside = result[:, row : row + expected.shape[1], column : column + expected.shape[2]]
    np.testing.assert_array_equal(inside, expected)


def test_floating_point_pixels_are_normalized_alike():
    picture = np.full((50, 70, 3), (123, 116, 103), np.uint8)
    np.testing.assert_allclose(
        imagefolder_transform(picture.astype(np.float64)),
        imagefolder_transform(picture),
        rtol=1e-6,
    )


@pytest.mark.parametrize(("size", "resized"), [(224, 256), (96, 110), (64, 73), (32, 37), (1, 1)])
def test_any_size_keeps_the_proportion_of_resize_to_crop(size, resized):
    transform = ImageFolderTransform(size=size)
    assert transform.resized == resized
    assert transform(noise(60, 40)).shape == (3, size, size)


def test_mean_and_deviation_are_per_channel():
    transform = ImageFolderTransform(size=8, mean=(10, 20, 30), std=(1, 2, 5))
    result = transform(np.full((20, 20, 3), (11, 24, 45), np.uint8))
    np.testing.assert_array_equal(result, np.broadcast_to([[[1]], [[2]], [[3]]], (3, 8, 8)))


@pytest.mark.parametrize(
    ("keywords", "code"),
    [
        ({"size": 0}, "out-of-range"),
        ({"size": 2.5}, "out-of-range"),
        ({"mean": (1, 2)}, "invalid-value"),
        ({"std": (1, 0, 1)}, "invalid-value"),
    ],
)
def test_a_transform_that_makes_no_sense_is_refused(raises, keywords, code):
    with raises(ConfigurationError, code):
        ImageFolderTransform(**keywords)


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 1), (9, 7, 2), (9, 7, 4)])
def test_gray_and_alpha_become_rgb(shape):
    pixels = np.random.RandomState(0).randint(0, 256, shape, dtype=np.uint8)
    rgb = as_rgb(pixels)
    assert rgb.shape == (9, 7, 3)
    gray = pixels.reshape(9, 7, -1)[..., :1]
    expected = pixels[..., :3] if shape[2:] == (4,) else np.repeat(gray, 3, axis=2)
    np.testing.assert_array_equal(rgb, expected)
    if shape[2:] != (1,):
        np.testing.assert_array_equal(as_rgb(Image.fromarray(pixels)), expected)


@pytest.mark.parametrize(
    ("array", "code"),
    [
        (np.zeros((3, 224, 224), np.uint8), "wrong-shape"),
        (np.zeros((0, 5, 3), np.uint8), "wrong-shape"),
        (np.zeros(12, np.uint8), "wrong-shape"),
        (np.zeros((1, 5, 5, 3), np.uint8), "wrong-shape"),
        (np.full((5, 5, 3), 256, np.int32), "out-of-range"),
        (np.full((5, 5, 3), -1, np.int8), "out-of-range"),
        (np.zeros((5, 5, 3), np.complex64), "wrong-type"),
        (np.array([["a"]]), "wrong-type"),
        (np.zeros((5, 5, 3), bool), "wrong-type"),
    ],
)
def test_an_array_that_is_no_picture_is_refused(raises, array, code):
    with raises(DatasetError, code):
        imagefolder_transform(array)


@pytest.mark.parametrize("thing", [None, [[1, 2]], b"bytes", 7])
def test_other_things_are_no_pictures(thing):
    with pytest.raises(TypeError):
        imagefolder_transform(thing)
    with pytest.raises(TypeError):
        as_rgb(thing)


def test_many_pictures_are_what_each_is_alone(folder):
    paths = sorted(folder.rglob("*.png"))
    pictures = [*paths, str(paths[0]), Image.open(paths[1]), noise(33, 44)]
    transform = ImageFolderTransform(size=48)
    batch = load_images(pictures, transform)
    assert batch.shape == (11, 3, 48, 48)
    assert batch.dtype == np.float32
    for picture, result in zip(pictures, batch, strict=True):
        np.testing.assert_array_equal(result, transform(as_rgb(picture)))
    np.testing.assert_array_equal(load_images(pictures[:1], transform), batch[:1])
    assert load_images([], transform).shape == (0, 3, 48, 48)


def test_every_broken_picture_is_named_at_once(raises, folder):
    broken = [folder / "bolt" / "text.jpg", folder / "nut" / "gone.png"]
    broken[0].write_text("not a picture")
    pictures = [*folder.rglob("*.png"), *broken]
    with raises(DatasetError, "dataset") as raised:
        load_images(pictures, ImageFolderTransform(size=16))
    found = [(problem.code, problem.fields["path"]) for problem in raised.value.problems]
    assert found == [("bad-picture", broken[0]), ("missing-file", broken[1])]


def test_an_image_folder_for_evaluation_gives_the_same_as_single_pictures(folder):
    transform = ImageFolderTransform(size=32)
    dataset = ImageFolderDataset(str(folder), shuffle=False)
    batches = transform.apply_ds(dataset, batch_size=3, is_training=False, num_parallel_workers=99)
    columns = list(batches.create_dict_iterator(num_epochs=1, output_numpy=True))
    assert len(columns) == 2
    assert columns[0]["label"].dtype == np.int32
    assert [*columns[0]["label"], *columns[1]["label"]] == [0, 0, 0, 0, 1, 1]
    paths = sorted(folder.rglob("*.png"))[:3]
    np.testing.assert_allclose(columns[0]["image"], load_images(paths, transform), atol=1e-6)


def evaluated(directory, transform):
    dataset = ImageFolderDataset(str(directory), shuffle=False)
    batches = transform.apply_ds(dataset, batch_size=1, is_training=False)
    (row,) = batches.create_dict_iterator(num_epochs=1, output_numpy=True)
    return row["image"]


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("L", "p.png"),
        ("LA", "p.png"),
        ("P", "p.png"),
        ("RGBA", "p.tif"),
        ("CMYK", "p.jpg"),
        ("I;16", "p.png"),
    ],
)
def test_an_image_folder_reads_every_mode_as_we_do(mode, name, tmp_path):
    (tmp_path / "bolt").mkdir()
    picture = Image.fromarray(noise(40, 50))
    if mode == "I;16":
        picture = Image.fromarray(noise(40, 50)[..., 0].astype(np.uint16) * 257)
    else:
        picture = picture.convert(mode)
    picture.save(tmp_path / "bolt" / name)
    transform = ImageFolderTransform(size=32)
    ours = load_images([tmp_path / "bolt" / name], transform)
    np.testing.assert_allclose(evaluated(tmp_path, transform), ours, atol=1e-6)


def test_a_photo_taken_sideways_is_turned_where_we_read_it_alone(tmp_path):
    """By the image folder it is not, and a PIL image stays as it lies, as the manual says."""
    (tmp_path / "bolt").mkdir()
    path = tmp_path / "bolt" / "sideways.png"
    image = Image.fromarray(noise(40, 50))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(path, exif=exif)
    transform = ImageFolderTransform(size=32)
    upright = transform(np.ascontiguousarray(np.rot90(noise(40, 50), -1)))
    np.testing.assert_array_equal(load_images([path], transform)[0], upright)
    lying = transform(noise(40, 50))
    np.testing.assert_allclose(evaluated(tmp_path, transform)[0], lying, atol=1e-6)
    np.testing.assert_array_equal(transform(Image.open(path)), lying)


def test_an_image_folder_for_training_is_cropped_at_random_and_repeated(folder):
    transform = ImageFolderTransform(size=32)
    dataset = ImageFolderDataset(str(folder), shuffle=False)
    batches = transform.apply_ds(dataset, repeat_size=2, batch_size=8)
    first, second = (
        row["image"] for row in batches.create_dict_iterator(num_epochs=1, output_numpy=True)
    )
    assert first.shape == (8, 3, 32, 32)
    assert not np.array_equal(first, second)


def test_fewer_pictures_than_a_batch_are_an_error(raises, folder):
    with raises(DatasetError, "out-of-range", name="batch_size", value=9, samples=8):
        imagefolder_transform.apply_ds(ImageFolderDataset(str(folder)), batch_size=9)


def test_another_dataset_is_refused(tmp_path):
    with pytest.raises(TypeError, match="not MnistDataset"):
        imagefolder_transform.apply_ds(MnistDataset(str(tmp_path)))


def test_the_words_are_tinyms_words():
    labels = range(10)
    assert postprocess(LOGITS, labels) == "TOP1: 5, score: 0.99964"
    assert postprocess(LOGITS, labels, "TOP3_CLASS") == (
        "TOP1: 5, score: 0.9996444\tTOP2: 0, score: 0.0003353\tTOP3: 9, score: 0.0000167\t"
    )
    words = ImageFolderTransform(labels="abcd").postprocess(LOGITS[:, :4])
    assert words == "TOP1: a, score: 0.99707"
    assert imagefolder_transform.postprocess(LOGITS[:, :9]).startswith("TOP1: Hygrocybe")


def test_large_outputs_do_not_overflow():
    assert postprocess(np.array([[1e4, 0]]), ["a", "b"]) == "TOP1: a, score: 1.0"


@pytest.mark.parametrize(
    ("strategy", "code"),
    [
        ("TOP2_CLASS", "unknown-name"),
        ("TOP5_CLASS", "class-mismatch"),
        ("TOP3_CLASS", "class-mismatch"),
    ],
)
def test_words_that_cannot_be_found_are_an_error(raises, strategy, code):
    with raises(ConfigurationError, code, name="strategy", value=strategy):
        postprocess(LOGITS[:, :3], ["a", "b"], strategy)


@pytest.mark.parametrize("logits", [[[1, 2]], LOGITS[0], LOGITS[None]])
def test_only_a_matrix_can_be_put_into_words(logits):
    with pytest.raises(TypeError, match="2-D"):
        postprocess(logits, range(10))
