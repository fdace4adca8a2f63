from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from drawn_pictures import picture, write_folder
from PIL import Image

from estimators import line_parser
from estimators.samples import last_of_each, read_samples
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
def test_a_missing_label_is_an_error_and_never_another_line_s(line, raises):
    parse = line_parser("/data")
    parse("0.jpg red")
    with raises(DatasetError, "missing-label", value=line):
        parse(line)


def test_a_path_with_a_space_is_no_path_with_a_label(tmp_path, raises):
    Image.new("RGB", (8, 8)).save(tmp_path / "no label", format="png")
    with raises(DatasetError, "missing-label", value="no label"):
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
    ("label", "unknown"),
    [
        (float("nan"), None),
        (np.float32("nan"), None),
        (" ", None),
        ("Red", "Red"),
        ("7", "7"),
        (7, "7"),
        (-1, "-1"),
        (0.5, "0.5"),
    ],
)
def test_a_slip_becomes_no_class(label, unknown, raises):
    with raises(DatasetError, "unknown-name" if unknown else "missing-label") as raised:
        read_samples([("a", "red"), ("b", label)], NAMES, grow=True)
    (problem,) = raised.value.problems
    assert (problem.fields["index"], problem.fields.get("value")) == (1, unknown)


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
    ("label", "unknown"),
    [("gren", "gren"), ("3", "3"), (-1, "-1"), ("", None), (None, None)],
)
def test_a_label_that_is_none_names_the_sample(label, unknown, raises):
    with raises(DatasetError, "unknown-name" if unknown else "missing-label") as raised:
        read_samples([("/a.jpg", "red"), ("/b.jpg", label)], NAMES)
    (problem,) = raised.value.problems
    assert (problem.fields["index"], problem.fields.get("value")) == (1, unknown)
    assert problem.fields.get("valid") == (NAMES if unknown else None)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (SimpleNamespace(x=np.array(["/a.jpg"]), y=None), "missing-label"),
        (SimpleNamespace(x=["/a.jpg"], y=[0, 1]), "wrong-length"),
        (SimpleNamespace(x=None, y=None), "empty"),
        ([], "empty"),
        (["/a.jpg"], "wrong-type"),
        (7, "wrong-type"),
    ],
    ids=["no labels", "more labels", "nothing", "an empty list", "a path alone", "a number"],
)
def test_what_is_no_data(data, code, raises):
    with raises(DatasetError, code):
        read_samples(data, NAMES)


def test_pixels_have_the_geometry_of_the_transform():
    from sedna_tinyms.tinyms.vision import ImageFolderTransform

    rng = np.random.default_rng(0)
    small = [picture("red", rng, size=size) for size in (20, 30, 36)]
    transform = ImageFolderTransform(size=32, mean=(0, 0, 0), std=(1, 1, 1))
    for image, found in zip(small, load_pixels(small, 32), strict=True):
        # Enlarging is the same everywhere; only Pillow averages where a picture gets smaller.
        assert np.abs(found - transform(image)).max() <= 2


def test_a_picture_that_stands_there_twice_counts_once_with_its_last_label(tmp_path, caplog):
    for name, content in (("a.png", b"1"), ("b.png", b"2"), ("copy of a.png", b"1")):
        (tmp_path / name).write_bytes(content)
    pairs = [("a.png", "x"), ("b.png", "y"), ("copy of a.png", "y")]
    data = [(tmp_path / name, label) for name, label in pairs]
    samples, digests = last_of_each(read_samples(data, ["x", "y"]))
    assert [Path(picture).name for picture in samples.pictures] == ["b.png", "copy of a.png"]
    assert samples.labels.tolist() == [1, 1]
    assert len(digests) == 2
    assert "a.png is labelled x and later y" in caplog.text


def test_pictures_that_differ_all_count(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(name.encode())
    samples = read_samples([(tmp_path / "a.png", "x"), (tmp_path / "b.png", "x")], ["x"])
    assert last_of_each(samples)[0] is samples
