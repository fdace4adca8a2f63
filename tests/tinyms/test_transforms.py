"""TinyMS's transforms against its own numbers.

`transform_reference.npz` holds what TinyMS 0.3.2 gives for arrays: MNIST and CIFAR-10 on MindSpore
2.0, the others on 2.10; of large pictures a patch.
"""

import logging
from pathlib import Path

import numpy as np
import pytest
from mindspore.dataset import GeneratorDataset, ImageFolderDataset, MnistDataset
from PIL import Image

from sedna_tinyms.errors import ConfigurationError, DatasetError
from sedna_tinyms.tinyms.data import load_img
from sedna_tinyms.tinyms.vision import (
    Cifar10Transform,
    ImageFolderTransform,
    MnistTransform,
    ShanshuiTransform,
    VOCTransform,
    cifar10_transform,
    cyclegan_transform,
    imagefolder_transform,
    load_images,
    mnist_transform,
    shanshui_tranform,
    shanshui_transform,
    voc_transform,
)

PATCH = (slice(None), slice(100, 116), slice(100, 116))
LOGITS = np.array([[10, 1, 4, 2, 5, 18, -10, -4, 3, 7]], np.float32)
TRANSFORMS = {
    "mnist": (mnist_transform, (1, 32, 32)),
    "cifar10": (cifar10_transform, (3, 224, 224)),
    "imagefolder": (imagefolder_transform, (3, 224, 224)),
    "voc": (voc_transform, (3, 300, 300)),
    "shanshui": (shanshui_transform, (3, 300, 300)),
    "cyclegan": (cyclegan_transform, (3, 256, 256)),
}
every_transform = pytest.mark.parametrize(
    ("transform", "shape"), TRANSFORMS.values(), ids=TRANSFORMS.keys()
)


@pytest.fixture(scope="module")
def reference():
    with np.load(Path(__file__).with_name("transform_reference.npz")) as arrays:
        return dict(arrays)


def noise(*shape, seed=0):
    return np.random.RandomState(seed).randint(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("kind", [np.asarray, Image.fromarray])
def test_one_picture_gives_tinyms_numbers_to_the_bit(kind, reference):
    digit, picture = kind(reference["mnist_picture"]), kind(reference["picture"])
    np.testing.assert_array_equal(mnist_transform(digit), reference["mnist_output"])
    for name in ("cifar10", "voc", "cyclegan"):
        result = TRANSFORMS[name][0](picture)
        np.testing.assert_array_equal(result[PATCH], reference[f"{name}_output"])
    np.testing.assert_array_equal(shanshui_tranform(picture), voc_transform(picture))


@every_transform
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK", "P", "1", "I;16"])
def test_pictures_of_any_mode_and_size_fit(transform, shape, mode):
    for size in ((1, 1), (1, 20000), (300, 7)):
        result = transform(Image.new(mode, size))
        assert result.shape == shape
        assert result.dtype == np.float32
        assert np.isfinite(result).all()


@every_transform
def test_gray_alpha_and_floating_point_arrays_fit(transform, shape):
    gray = noise(20, 30)
    expected = transform(gray)
    assert expected.shape == shape
    np.testing.assert_array_equal(transform(gray[..., None]), expected)
    np.testing.assert_array_equal(transform(np.repeat(gray[..., None], 3, axis=2)), expected)
    whole = np.full((20, 30, 3), 100.0)
    np.testing.assert_allclose(transform(whole), transform(whole.astype(np.uint8)), atol=1e-5)


@every_transform
def test_many_pictures_are_what_each_is_alone(transform, shape, tmp_path):
    path = tmp_path / "picture.png"
    Image.fromarray(noise(20, 30)).save(path)
    batch = load_images([path, noise(9, 9, 3)], transform)
    assert batch.shape == (2, *shape)
    np.testing.assert_array_equal(batch[0], transform(noise(20, 30)))
    np.testing.assert_array_equal(batch[1], transform(noise(9, 9, 3)))


@every_transform
@pytest.mark.parametrize("thing", [None, "picture.png", b"bytes", [[1, 2]]])
def test_other_things_are_no_pictures(transform, shape, thing):
    with pytest.raises(TypeError, match=r"PIL\.Image or a numpy array"):
        transform(thing)


@every_transform
@pytest.mark.parametrize("shape_of_none", [(0, 5, 3), (3, 224, 224), (7,)])
def test_an_array_that_is_no_picture_is_refused(raises, transform, shape, shape_of_none):
    with raises(DatasetError, "wrong-shape", golden=False, value=shape_of_none):
        transform(np.zeros(shape_of_none, np.uint8))


@pytest.mark.parametrize("level", [-0.5, 300.0, np.nan])
def test_digits_must_be_within_the_range_of_bytes(raises, level):
    with raises(DatasetError, "out-of-range"):
        mnist_transform(np.full((5, 5), level))


@pytest.mark.parametrize("content", [b"", b"I am a text", "half a picture"])
def test_a_file_that_is_no_picture_is_named(raises, tmp_path, content):
    path = tmp_path / "picture.png"
    if isinstance(content, str):
        Image.fromarray(noise(50, 50, 3)).save(path)
        content = path.read_bytes()[: path.stat().st_size // 2]
    path.write_bytes(content)
    with raises(DatasetError, "bad-picture", golden=False, path=path):
        load_img(path)


def test_forty_megapixels_of_zeros_are_a_black_picture(tmp_path):
    path = tmp_path / "black.png"
    Image.new("1", (8000, 5000)).save(path)
    result = cifar10_transform(load_img(path))
    np.testing.assert_array_equal(result, cifar10_transform(np.zeros((4, 4, 3), np.uint8)))


def test_the_words_are_tinyms_words():
    assert mnist_transform.postprocess(LOGITS) == "TOP1: 5, score: 0.99964"
    assert cifar10_transform.postprocess(LOGITS, "TOP3_CLASS") == (
        "TOP1: dog, score: 0.9996444\tTOP2: airplane, score: 0.0003353\t"
        "TOP3: truck, score: 0.0000167\t"
    )


def test_labels_are_the_users_to_choose():
    digits = MnistTransform(labels=["zero", "one"])
    assert digits.postprocess(LOGITS[:, :2]) == "TOP1: zero, score: 0.99988"
    parts = Cifar10Transform(labels=("bolt", "nut"), size=32)
    assert parts.postprocess(LOGITS[:, 1:3]) == "TOP1: nut, score: 0.95257"
    assert parts(noise(9, 9, 3)).shape == (3, 32, 32)


@pytest.mark.parametrize(
    "kind",
    [MnistTransform, Cifar10Transform, ImageFolderTransform, VOCTransform, ShanshuiTransform],
)
def test_tinyms_dictionary_of_numbers_is_refused_with_what_to_use(raises, kind):
    with raises(ConfigurationError, "unknown-key"):
        kind(configs={"resize": 32})
    with raises(ConfigurationError, "wrong-type", name="labels"):
        kind({"resize": 32})


@pytest.mark.parametrize("size", [0, -1, 1.5, True])
def test_a_size_that_cannot_be_is_refused(raises, size):
    with raises(ConfigurationError, "out-of-range"):
        Cifar10Transform(size=size)


def rows(dataset):
    return list(dataset.create_dict_iterator(num_epochs=1, output_numpy=True))


def labelled(pictures):
    samples = [(picture, np.int64(index)) for index, picture in enumerate(pictures)]
    return GeneratorDataset(samples, ["image", "label"], shuffle=False)


def test_mnist_in_batches_is_nearly_what_single_pictures_are(tmp_path):
    pictures = noise(5, 28, 28)
    header = np.array([2051, 5, 28, 28], ">i4").tobytes()
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(header + pictures.tobytes())
    header = np.array([2049, 5], ">i4").tobytes()
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(header + bytes(range(5)))
    dataset = MnistDataset(str(tmp_path), usage="test", shuffle=False)
    batches = rows(mnist_transform.apply_ds(dataset, repeat_size=3, batch_size=2))
    assert len(batches) == 6
    assert batches[0]["image"].shape == (2, 1, 32, 32)
    assert batches[1]["label"].tolist() == [2, 3]
    assert batches[0]["label"].dtype == np.int32
    # TinyMS resizes whole numbers here, floating-point ones in a single picture.
    step = 1 / 0.3081 / 255
    np.testing.assert_allclose(batches[0]["image"][1], mnist_transform(pictures[1]), atol=step)


def test_cifar10_in_batches_is_what_single_pictures_are():
    pictures = noise(4, 32, 32, 3)
    dataset = cifar10_transform.apply_ds(labelled(pictures), batch_size=4, is_training=False)
    (batch,) = rows(dataset)
    assert batch["label"].tolist() == [0, 1, 2, 3]
    for picture, result in zip(pictures, batch["image"], strict=True):
        np.testing.assert_array_equal(result, cifar10_transform(picture))


def test_cifar10_for_training_is_cropped_at_random():
    transform = Cifar10Transform(size=32)
    same = labelled([noise(32, 32, 3)] * 8)
    (batch,) = rows(transform.apply_ds(same, batch_size=8))
    assert batch["image"].shape == (8, 3, 32, 32)
    assert any(not np.array_equal(batch["image"][0], other) for other in batch["image"][1:])


@pytest.mark.parametrize("shuffle", [True, False])
def test_cyclegan_transforms_pairs_for_training(shuffle):
    pairs = [(noise(20, 30, 3, seed=i), noise(20, 30, 3, seed=i + 9)) for i in range(2)]
    dataset = GeneratorDataset(pairs, ["image_A", "image_B"], shuffle=False)
    first, _ = rows(cyclegan_transform.apply_ds(dataset, shuffle=shuffle))
    assert first["image_A"].shape == first["image_B"].shape == (1, 3, 256, 256)
    unchanged = np.array_equal(first["image_B"][0], cyclegan_transform(pairs[0][1]))
    assert unchanged is not shuffle


def test_cyclegan_transforms_single_pictures_for_prediction():
    dataset = GeneratorDataset([(noise(20, 30, 3), "a")], ["image", "name"], shuffle=False)
    (row,) = rows(cyclegan_transform.apply_ds(dataset, phase="test"))
    np.testing.assert_array_equal(row["image"][0], cyclegan_transform(noise(20, 30, 3)))
    assert row["name"].tolist() == ["a"]


@pytest.mark.parametrize(
    "transform", [mnist_transform, cifar10_transform, voc_transform, cyclegan_transform]
)
def test_another_dataset_is_refused(transform, tmp_path):
    with pytest.raises(TypeError, match="not ImageFolderDataset"):
        transform.apply_ds(ImageFolderDataset(str(tmp_path)))
    unnamed = GeneratorDataset([(noise(5, 5, 3), 0)], ["x", "y"])
    with pytest.raises(TypeError, match="the dataset has x, y"):
        transform.apply_ds(unnamed)


def test_fewer_samples_than_a_batch_are_an_error(raises):
    with raises(DatasetError, "out-of-range", name="batch_size", value=32, samples=2):
        cifar10_transform.apply_ds(labelled(noise(2, 32, 32, 3)))


def test_more_workers_than_cores_are_clamped_with_a_note(caplog):
    with caplog.at_level(logging.WARNING, "sedna_tinyms"):
        dataset = cifar10_transform.apply_ds(
            labelled(noise(2, 32, 32, 3)), batch_size=2, num_parallel_workers=999
        )
    assert len(rows(dataset)) == 1
    assert [record.args[0] for record in caplog.records] == [999]
