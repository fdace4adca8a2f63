import mindspore.dataset
import numpy as np
import pytest

from sedna_tinyms.errors import ConfigurationError, DatasetError
from sedna_tinyms.tinyms.data import (
    Cifar10Dataset,
    Cifar100Dataset,
    NumpySlicesDataset,
    read_cifar,
)
from sedna_tinyms.tinyms.vision import cifar10_transform

PICTURES = np.random.RandomState(0).randint(0, 256, (3, 32, 32, 3), dtype=np.uint8)
LABELS = np.array([7, 0, 9], np.int32)


def records(classes, count=3):
    """What CIFAR's files hold: labels, then a picture channel by channel."""
    labels = LABELS.astype(np.uint8)[:, None]
    if classes == 100:
        labels = np.concatenate([labels + 5, labels], axis=1)
    rows = np.concatenate([labels, PICTURES.transpose(0, 3, 1, 2).reshape(3, -1)], axis=1)
    return np.tile(rows, (-(-count // 3), 1))[:count].tobytes()


@pytest.mark.parametrize("classes", [10, 100])
def test_a_small_file_is_read(classes, tmp_path):
    (tmp_path / "few.bin").write_bytes(records(classes))
    pictures, labels = read_cifar(tmp_path / "few.bin", classes)
    np.testing.assert_array_equal(pictures, PICTURES)
    np.testing.assert_array_equal(labels, LABELS)


def test_a_small_file_goes_through_the_transform(tmp_path):
    (tmp_path / "few.bin").write_bytes(records(10))
    dataset = NumpySlicesDataset(read_cifar(tmp_path / "few.bin"), ["image", "label"])
    (row,) = cifar10_transform.apply_ds(dataset, batch_size=3).create_dict_iterator(
        num_epochs=1, output_numpy=True
    )
    assert row["image"].shape == (3, 3, 224, 224)
    assert sorted(row["label"]) == [0, 7, 9]


@pytest.mark.parametrize(
    ("content", "classes"),
    [(b"", 10), (records(10)[:-1], 10), (b"some text", 100), (b"\xff" * 3073, 10)],
)
def test_what_is_no_such_file_is_an_error(raises, content, classes, tmp_path):
    path = tmp_path / "few.bin"
    path.write_bytes(content)
    with raises(DatasetError, "damaged", path=path):
        read_cifar(path, classes)


def test_a_missing_file_or_another_data_set_is_an_error(raises, tmp_path):
    path = tmp_path / "none.bin"
    with raises(DatasetError, "missing-file", golden=False, path=path):
        read_cifar(path)
    with raises(ConfigurationError, "out-of-range", name="classes", value=20):
        read_cifar(path, 20)


@pytest.mark.parametrize(
    ("dataset", "name", "classes", "usage"),
    [
        (Cifar10Dataset, "data_batch_2.bin", 10, "train"),
        (Cifar10Dataset, "test_batch.bin", 10, None),
        (Cifar100Dataset, "train.bin", 100, "all"),
        (Cifar100Dataset, "test.bin", 100, "test"),
    ],
)
@pytest.mark.parametrize("count", [3, 50_001])
def test_mindspores_datasets_refuse_what_they_would_not_read(
    raises, dataset, name, classes, usage, count, tmp_path
):
    content = records(classes)
    path, size = tmp_path / name, len(content) // 3 * count
    with path.open("wb") as file:
        file.write(content)
        file.truncate(size)
    with raises(DatasetError, "wrong-length", path=path, value=size):
        dataset(str(tmp_path), usage=usage)


def test_a_whole_file_is_read_by_mindspore_beside_a_small_one_of_the_other_usage(tmp_path):
    (tmp_path / "test_batch.bin").write_bytes(records(10, 10_000))
    (tmp_path / "data_batch_1.bin").write_bytes(records(10))
    dataset = Cifar10Dataset(str(tmp_path), usage="test", shuffle=False)
    assert isinstance(dataset, mindspore.dataset.Cifar10Dataset)
    assert dataset.get_dataset_size() == 10_000
    first = next(dataset.create_dict_iterator(num_epochs=1, output_numpy=True))
    np.testing.assert_array_equal(first["image"], PICTURES[0])
    assert first["label"] == LABELS[0]
