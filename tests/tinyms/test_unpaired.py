import mindspore.dataset
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mindspore import Tensor
from PIL import Image

from sedna_tinyms.errors import ConfigurationError, DatasetError
from sedna_tinyms.tinyms import data, set_seed
from sedna_tinyms.tinyms.data import utils
from sedna_tinyms.tinyms.vision import cyclegan_transform


def draw(directory, levels):
    """Write gray pictures of these levels, named after them."""
    directory.mkdir(parents=True)
    for level in levels:
        Image.new("L", (6, 4), level).save(directory / f"{level:03d}.png")


def levels(items):
    return [(int(a[0, 0, 0]), int(b[0, 0, 0])) for a, b in items]


@pytest.fixture
def horses_and_zebras(tmp_path):
    draw(tmp_path / "trainA", [1, 2, 3])
    draw(tmp_path / "trainB", [11, 12])
    return tmp_path


def test_the_smaller_directory_comes_again(horses_and_zebras):
    pairs = data.UnalignedDataset(horses_and_zebras, "train", shuffle=False)
    assert levels(pairs) == [(1, 11), (2, 12), (3, 11)]
    assert pairs[0][0].shape == (4, 6, 3)
    assert len(data.UnalignedDataset(horses_and_zebras, "train", max_dataset_size=1)) == 1


def test_the_seed_says_which_b_comes(horses_and_zebras):
    def drawn():
        set_seed(4)
        pairs = data.UnalignedDataset(horses_and_zebras, "train", max_dataset_size=float("inf"))
        return [pair for _ in range(4) for pair in levels(pairs)]

    first = drawn()
    assert drawn() == first
    assert {b for a, b in first if a == 1} == {11, 12}


def test_tinyms_cyclegan_program_reads_its_pictures(horses_and_zebras):
    pairs = data.UnalignedDataset(str(horses_and_zebras), "train", max_dataset_size=None)
    sampler = data.DistributedSampler(len(pairs), num_replicas=1, rank=0, shuffle=True)
    dataset = data.GeneratorDataset(
        pairs, column_names=["image_A", "image_B"], sampler=sampler, num_parallel_workers=1
    )
    batches = list(cyclegan_transform.apply_ds(dataset).create_dict_iterator(output_numpy=True))
    assert [batch["image_A"].shape for batch in batches] == [(1, 3, 256, 256)] * 3

    folder = data.GanImageFolderDataset(horses_and_zebras / "trainB")
    dataset = data.GeneratorDataset(folder, ["image", "image_name"], shuffle=False)
    dataset = cyclegan_transform.apply_ds(dataset, phase="predict")
    names = [row["image_name"][0] for row in dataset.create_dict_iterator(output_numpy=True)]
    assert names == ["011.png", "012.png"]


def test_directories_without_pictures_are_named(raises, horses_and_zebras):
    with raises(DatasetError, "missing-file", path=horses_and_zebras / "testA"):
        data.UnalignedDataset(horses_and_zebras, "test")
    (horses_and_zebras / "empty").mkdir()
    with raises(DatasetError, "empty", path=horses_and_zebras / "empty"):
        data.GanImageFolderDataset(horses_and_zebras / "empty")


@given(
    size=st.integers(1, 40),
    replicas=st.integers(1, 50),
    shuffle=st.booleans(),
)
def test_every_process_has_an_equal_share_and_nothing_is_left_out(size, replicas, shuffle):
    samplers = [data.DistributedSampler(size, replicas, rank, shuffle) for rank in range(replicas)]
    for _ in range(2):
        shares = [list(sampler) for sampler in samplers]
        assert {len(share) for share in shares} == {len(samplers[0])}
        taken = [index for share in shares for index in share]
        assert set(taken) == set(range(size))
        assert len(taken) < size + replicas


def test_the_order_depends_on_the_epoch_alone():
    sampler, other = data.DistributedSampler(50), data.DistributedSampler(50)
    first, second = list(sampler), list(sampler)
    assert first != second
    assert [list(other), list(other)] == [first, second]


@pytest.mark.parametrize("arguments", [(0,), (5, 2, 2), (5, 0, 0), (5, 2, -1)])
def test_a_share_that_is_none_is_refused(raises, arguments):
    with raises(ConfigurationError, "out-of-range"):
        data.DistributedSampler(*arguments)


def test_what_the_transform_made_is_saved_as_it_was(tmp_path):
    pixels = np.random.RandomState(0).randint(0, 256, (256, 256, 3), dtype=np.uint8)
    values = cyclegan_transform(pixels)
    for number, image in enumerate((Tensor(values[None]), values, pixels)):
        utils.save_image(image, tmp_path / "new" / f"{number}.png")
        np.testing.assert_array_equal(Image.open(tmp_path / "new" / f"{number}.png"), pixels)
    utils.save_image(np.full((1, 1, 2, 3), 7.0, np.float32), tmp_path / "bright.png")
    np.testing.assert_array_equal(Image.open(tmp_path / "bright.png"), np.full((2, 3), 255))


@pytest.mark.parametrize(
    ("image", "name", "code"),
    [
        (np.zeros((2, 3, 4, 4), np.float32), "a.png", "wrong-shape"),
        (np.zeros((4, 4, 2), np.uint8), "a.png", "wrong-shape"),
        (np.zeros((4, 4), np.int64), "a.png", "wrong-shape"),
        (np.zeros((4, 4), np.uint8), "a.pgn", "unknown-format"),
    ],
)
def test_what_is_no_picture_is_not_saved(raises, image, name, code, tmp_path):
    with raises(ConfigurationError, code):
        data.save_image(image, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("workers", [997, 998])
def test_more_threads_than_cores_are_clamped_with_one_note(workers, caplog):
    positional = ((np.arange(6),), None, None, workers)
    for build in (
        lambda: data.NumpySlicesDataset(np.arange(6), num_parallel_workers=workers),
        lambda: data.NumpySlicesDataset(*positional),
        lambda: data.GeneratorDataset([np.arange(2)] * 6, "x", num_parallel_workers=workers),
    ):
        dataset = build()
        assert isinstance(dataset, mindspore.dataset.GeneratorDataset)
        assert len(list(dataset.batch(2))) == 3
    assert [record.args[0] for record in caplog.records if record.args] == [workers]


def test_clamping_hides_no_other_mistake(tmp_path):
    with pytest.raises(ValueError, match="between 1 and"):
        data.MnistDataset(str(tmp_path), num_parallel_workers=0)
    with pytest.raises(TypeError, match="num_parallel_workers"):
        data.MnistDataset(str(tmp_path), num_parallel_workers="4")
    with pytest.raises(TypeError, match="'usgae'"):
        data.MnistDataset(str(tmp_path), usgae="train")
