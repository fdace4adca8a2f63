import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sedna_tinyms.errors import DatasetError
from sedna_tinyms.tinyms.data import read_image_folder, read_index

CLASSES = ("bolt", "nut", "washer")


@pytest.fixture
def pictures(tmp_path):
    for name in ("a.png", "b.png", "sub/c d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def write(directory, text, name="index.txt"):
    path = directory / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_lines_give_paths_beside_the_index_and_class_numbers(pictures):
    index = write(pictures, "a.png nut\nsub/c d.png bolt\nb.png 2\n")
    images = read_index(index, CLASSES)
    assert images.paths == [str(pictures / n) for n in ("a.png", "sub/c d.png", "b.png")]
    assert images.labels == [1, 0, 2]
    assert images.class_names == CLASSES


def test_without_classes_they_are_the_labels_found(pictures):
    images = read_index(write(pictures, "a.png nut\nb.png bolt\n"))
    assert (images.labels, images.class_names) == ([1, 0], ("bolt", "nut"))
    images = read_index(write(pictures, "a.png 10\nb.png 9\nsub/c d.png 10\n"))
    assert (images.labels, images.class_names) == ([1, 0, 1], ("9", "10"))


def test_another_root_may_be_named(pictures, tmp_path_factory):
    index = write(tmp_path_factory.mktemp("elsewhere"), "a.png nut\n")
    assert read_index(index, CLASSES, root=pictures).paths == [str(pictures / "a.png")]


@pytest.mark.parametrize("text", [b"\xef\xbb\xbf", b""])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n  \n"])
def test_byte_order_mark_windows_line_ends_and_blank_lines_do_no_harm(text, end, pictures):
    index = write(pictures, text + b"a.png nut" + end + b"b.png\tbolt" + end)
    assert read_index(index, CLASSES).labels == [1, 0]


def test_a_class_with_one_sample_or_none_is_fine(pictures):
    assert read_index(write(pictures, "a.png nut"), CLASSES).class_names == CLASSES


def test_faulty_lines_are_said_together_with_their_numbers(raises, pictures):
    index = write(
        pictures, "a.png nut\n\ngone.png nut\nb.png\nb.png wascher\nsub/c d.png\nb.png 3\n"
    )
    with raises(DatasetError, "dataset", path=index) as raised:
        read_index(index, CLASSES)
    found = [(p.fields["line"], p.code, p.fields["value"]) for p in raised.value.problems]
    assert found == [
        (3, "missing-file", str(pictures / "gone.png")),
        (4, "missing-label", "b.png"),
        (5, "unknown-class", "wascher"),
        (6, "missing-label", "sub/c d.png"),
        (7, "unknown-class", "3"),
    ]
    assert {p.fields["path"] for p in raised.value.problems} == {str(index)}


@pytest.mark.parametrize(
    ("content", "code"),
    [("", "empty"), (" \n\n", "empty"), (b"\xff\xfe\x00", "not-utf8")],
    ids=["nothing", "blank", "no text"],
)
def test_an_index_without_pictures_is_an_error(raises, content, code, pictures):
    index = write(pictures, content)
    with raises(DatasetError, code, path=index):
        read_index(index, CLASSES)


def test_a_missing_index_is_an_error(raises, tmp_path):
    with raises(DatasetError, "missing-file", path=tmp_path / "none.txt"):
        read_index(tmp_path / "none.txt")
    with raises(DatasetError, "unreadable-file", golden=False, path=tmp_path):
        read_index(tmp_path)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80))
def test_any_text_ends_in_a_dataset_error_where_no_picture_is(tmp_path_factory, text):
    index = tmp_path_factory.getbasetemp() / "any.txt"
    index.write_text(text, encoding="utf-8", errors="replace", newline="")
    with pytest.raises(DatasetError) as raised:
        read_index(index, CLASSES)
    assert raised.value.fields["path"] == str(index)
    assert raised.value.problems or raised.value.code == "empty"


def test_an_image_folder_has_one_subdirectory_a_class(tmp_path):
    for name in ("nut/2.png", "nut/1.jpg", "bolt/deep/3.png", ".cache/4.png", "washer/readme.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    images = read_image_folder(tmp_path)
    assert images.class_names == CLASSES
    assert images.labels == [0, 1, 1]
    assert images.paths[1] == str(tmp_path / "nut" / "1.jpg")
    assert read_image_folder(tmp_path, ("washer", "nut", "bolt")).labels == [2, 1, 1]


def test_an_image_folder_with_other_classes_or_none_is_an_error(raises, tmp_path):
    with raises(DatasetError, "empty", path=tmp_path):
        read_image_folder(tmp_path)
    (tmp_path / "nuts").mkdir()
    with raises(DatasetError, "unknown-class", path=tmp_path):
        read_image_folder(tmp_path, CLASSES)
    with raises(DatasetError, "missing-file", path=tmp_path / "none"):
        read_image_folder(tmp_path / "none")
