import numpy as np
import pytest
from parts import CLASS_NAMES, height_field
from scenes import CANVAS, CONDITIONS, DAY, NIGHT, SIZE, photograph
from shapes import photograph_shape


def drawn(class_name, condition, seed):
    rng = np.random.default_rng(seed)
    return np.asarray(photograph(height_field(class_name, CANVAS, rng), condition, rng))


@pytest.mark.parametrize("condition", CONDITIONS.values(), ids=list(CONDITIONS))
@pytest.mark.parametrize("class_name", CLASS_NAMES)
def test_a_seed_decides_every_pixel(class_name, condition):
    picture = drawn(class_name, condition, 7)
    assert picture.shape == (SIZE, SIZE, 3)
    assert picture.dtype == np.uint8
    assert np.array_equal(picture, drawn(class_name, condition, 7))
    assert not np.array_equal(picture, drawn(class_name, condition, 8))


@pytest.mark.parametrize("class_name", CLASS_NAMES)
def test_a_part_lies_within_what_a_centre_crop_leaves(class_name):
    margin = CANVAS // 16
    for seed in range(20):
        heights = np.asarray(height_field(class_name, CANVAS, np.random.default_rng(seed)))
        inner = heights[margin:-margin, margin:-margin]
        assert np.count_nonzero(inner) >= 0.98 * np.count_nonzero(heights)
        assert 0.02 < np.count_nonzero(heights) / heights.size < 0.6


def test_night_is_darker_than_day():
    brightness = {
        condition.name: np.mean([drawn("nut", condition, seed).mean() for seed in range(10)])
        for condition in (DAY, NIGHT)
    }
    assert brightness["night"] < 0.4 * brightness["day"]


def test_shapes_are_the_same_each_time_and_differ_between_classes():
    pictures = [np.asarray(photograph_shape(shape_class, 0)) for shape_class in range(8)]
    assert np.array_equal(pictures[3], np.asarray(photograph_shape(3, 0)))
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)
