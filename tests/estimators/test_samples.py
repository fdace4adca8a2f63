import re
from types import SimpleNamespace

import numpy as np
import pytest
from drawn_pictures import picture, write_folder
from PIL import Image

from estimators import line_parser
from estimators.samples import read_samples
from sedna_tinyms.errors import DatasetError
from sedna_tinyms.pictures import load_pixels

NAMES = ("red", "green", "blue")


@pytest.mark.parametrize(
    ("line", "parsed"),
    [
        ("pictures/1.jpg red", ("/data/pictures/1.jpg", "red")),
        ("\N{ZERO WIDTH NO-BREAK SPACE}1.jpg red\r\n", ("/data/1.jpg", "red")),
        ("my picture.jpg red", ("/data/my picture.jpg", "red")),
        ("1.jpg   0", ("/data/1.jpg", "0")),
        ("1.jpg\tred", ("/data/1.jpg", "red")),
        ("/elsewhere/1.jpg red", ("/elsewhere/1.jpg", "red")),
        ("", ()),
        ("  \r\n", ()),
    ],
)
def test_a_dataset_line(line, parsed):
    assert line_parser("/data")(line) == parsed


@pytest.mark.parametrize("line", ["1.jpg", "my picture.png", "a b.JPEG"])
def test_a_missing_label_is_an_error_and_never_another_line_s(line):
    parse = line_parser("/data")
    parse("0.jpg red")
    with pytest.raises(DatasetError, match=f"line '{line}' has no label"):
        parse(line)


def test_a_path_with_a_space_is_no_path_with_a_label(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "no label", format="png")
    with pytest.raises(DatasetError, match="has no label"):
        line_parser(tmp_path)("no label")


def test_lines_without_labels():
    assert line_parser("/data", labelled=False)("my picture.jpg\n") == ("/data/my picture.jpg",)


def test_a_datasource_of_sedna():
    x = np.array(["/a.jpg", "/b.jpg", "/c.jpg"])
    found = read_samples(SimpleNamespace(x=x, y=np.array(["blue", "0", "green"])), NAMES)
    assert found.pictures == ["/a.jpg", "/b.jpg", "/c.jpg"]
    assert all(type(picture) is str for picture in found.pictures)
    assert found.labels.tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (float("nan"), "it has no label"),
        (np.float32("nan"), "it has no label"),
        (" ", "it has no label"),
        ("Red", "unknown label 'Red' (did you mean 'red'?)"),
        ("7", "unknown label '7'"),
        (7, "unknown label '7'"),
        (-1, "unknown label '-1'"),
        (0.5, "unknown label '0.5'"),
    ],
)
def test_a_slip_becomes_no_class(label, said):
    with pytest.raises(DatasetError, match=re.escape(said)):
        read_samples([("a", "red"), ("b", label)], NAMES, grow=True)


@pytest.mark.parametrize("names", [None, ("red", "0", "1")])
def test_blanks_and_the_floats_of_a_column_with_a_gap_make_no_classes(names):
    found = read_samples([("a", " red"), ("b", 1.0), ("c", np.float64(0))], names, grow=True)
    assert set(found.class_names) == {"red", "0", "1"}
    assert [found.class_names[label] for label in found.labels] == ["red", "1", "0"]


def test_numbers_are_classes_where_classes_are_numbers():
    found = read_samples([("a", 7), ("b", "3")], ("3", "5"), grow=True)
    assert found.class_names == ("3", "5", "7")


def test_pairs_with_names_numbers_and_numpy_numbers():
    found = read_samples([("a", "red"), ("b", 1), ("c", np.int64(2)), ("d", "2")], NAMES)
    assert found.labels.tolist() == [0, 1, 2, 2]


def test_an_image_folder(tmp_path):
    found = read_samples(write_folder(tmp_path, 6), None)
    assert found.class_names == ("blue", "green", "red")
    assert found.labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_classes_are_those_that_occur_where_none_are_given():
    found = read_samples([("a", "zebra"), ("b", "ant")], None)
    assert (found.class_names, found.labels.tolist()) == (("ant", "zebra"), [1, 0])


@pytest.mark.parametrize(
    ("label", "complaint"),
    [
        (
            "gren",
            r"unknown label 'gren' \(did you mean 'green'\?\); one of red, green, blue, or 0 t",
        ),
        ("3", "unknown label '3'"),
        (-1, "unknown label '-1'"),
        ("", "it has no label"),
        (None, "it has no label"),
    ],
)
def test_a_label_that_is_none_names_the_sample(label, complaint):
    with pytest.raises(DatasetError, match=rf"1 of 2 .*\n  sample 1 \(/b.jpg\): {complaint}"):
        read_samples([("/a.jpg", "red"), ("/b.jpg", label)], NAMES)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (SimpleNamespace(x=np.array(["/a.jpg"]), y=None), "has no label"),
        (SimpleNamespace(x=["/a.jpg"], y=[0, 1]), "1 pictures but 2 labels"),
        (SimpleNamespace(x=None, y=None), "no samples"),
        ([], "no samples"),
        (["/a.jpg"], r"must be \(picture, label\)"),
        (7, "is no data"),
    ],
)
def test_what_is_no_data(data, complaint):
    with pytest.raises(DatasetError, match=complaint):
        read_samples(data, NAMES)


def test_pixels_have_the_geometry_of_the_transform():
    from sedna_tinyms.tinyms.vision import ImageFolderTransform

    rng = np.random.default_rng(0)
    small = [picture("red", rng, size=size) for size in (20, 30, 36)]
    transform = ImageFolderTransform(size=32, mean=(0, 0, 0), std=(1, 1, 1))
    for image, found in zip(small, load_pixels(small, 32), strict=True):
        # Enlarging is the same everywhere; only Pillow averages where a picture gets smaller.
        assert np.abs(found - transform(image)).max() <= 2
