import json

import numpy as np
import pytest

from sedna_tinyms.errors import DatasetError, StorageError
from sedna_tinyms.sedna.common.class_factory import ClassFactory, ClassType
from sedna_tinyms.sedna.datasources import CSVDataParse, JSONDataParse, TxtDataParse


def text(tmp_path, content, name="data.txt"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def parsed(path, *, data_type="train", func=None, **kwargs):
    data = TxtDataParse(data_type=data_type, func=func)
    data.parse(path, **kwargs)
    return data


def test_lines_become_samples_and_labels(tmp_path):
    data = parsed(text(tmp_path, "a.jpg 3\nb.jpg 0\n"))
    assert (data.x.tolist(), data.y.tolist()) == (["a.jpg", "b.jpg"], ["3", "0"])
    assert len(data) == data.num_examples() == 2


def test_blank_lines_crlf_and_a_byte_order_mark_are_no_samples(tmp_path):
    seen = []
    path = text(tmp_path, b"\xef\xbb\xbfa.jpg 1\r\n\r\n   \r\nb.jpg 2\r\n")
    data = parsed(path, func=lambda line: seen.append(line) or line.split())
    assert seen == ["a.jpg 1", "b.jpg 2"]
    assert data.x.tolist() == ["a.jpg", "b.jpg"]


def test_a_missing_label_is_an_error_with_its_line_and_never_another_label(raises, tmp_path):
    path = text(tmp_path, "a.jpg 1\nb.jpg\n\nc.jpg 2\n")
    with raises(DatasetError, "missing-label") as raised:
        parsed(path)
    assert [each.fields for each in raised.value.problems] == [{"path": path, "line": 2}]


def test_a_list_without_any_label_has_zeros(tmp_path):
    assert parsed(text(tmp_path, "a.jpg\nb.jpg\n")).y.tolist() == [0, 0]


def test_a_test_set_has_no_labels(tmp_path):
    data = parsed(text(tmp_path, "a.jpg 1\nb.jpg\n"), data_type="test")
    assert data.is_test_data
    assert (data.x.tolist(), data.y.tolist()) == (["a.jpg", "b.jpg"], [])


def test_a_function_that_returns_text_gives_the_sample(tmp_path):
    data = parsed(text(tmp_path, "a.jpg\n"), func=lambda line: f"/data/{line}")
    assert data.x.tolist() == ["/data/a.jpg"]


def test_raw_samples_of_unequal_length_stay_what_they_are(tmp_path):
    data = parsed(text(tmp_path, "a.jpg 1,2 3,4\nb.jpg\n"), use_raw=True)
    assert [list(item) for item in data.x] == [["a.jpg", "1,2", "3,4"], ["b.jpg"]]


def test_absent_files_are_left_out_and_others_are_read_together(tmp_path):
    data = TxtDataParse("train")
    one, two = text(tmp_path, "a 1\n", "one"), text(tmp_path, "b 2\n", "two")
    data.parse(None, one, tmp_path / "absent.txt", two)
    assert data.x.tolist() == ["a", "b"]


def test_what_is_no_text_is_an_error(raises, tmp_path):
    with raises(DatasetError, "not-utf8", golden=False, path=tmp_path / "data.txt"):
        parsed(text(tmp_path, b"\xff\xd8\xff\xe0"))


def test_the_length_is_zero_before_parsing():
    assert len(TxtDataParse("train")) == 0


def test_a_registered_callback_makes_the_function(tmp_path):
    ClassFactory.register_cls(lambda: str.upper, ClassType.CALLBACK, alias="upper")
    assert parsed(text(tmp_path, "a\n"), func="upper").x.tolist() == ["A"]


def test_a_datasource_is_saved_as_json(raises, tmp_path):
    data = parsed(text(tmp_path, "a.jpg 3\n"))
    data.save(str(tmp_path / "saved.json"))
    assert json.loads((tmp_path / "saved.json").read_text()) == {"x": ["a.jpg"], "y": ["3"]}
    with raises(StorageError, "missing-value", name="output"):
        data.save()


TABLE = "width,height,kind\n1.5,2,nut\n3,4,bolt\n"


def test_a_table_is_read_without_pandas_and_without_pycocotools(tmp_path):
    data = CSVDataParse("train")
    data.parse(text(tmp_path, TABLE), label="kind")
    assert data.x.tolist() == [[1.5, 2.0], [3.0, 4.0]]
    assert data.y.tolist() == ["nut", "bolt"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_quoted_value_keeps_its_line_breaks_and_no_other_character_is_one(tmp_path, end):
    table = f'note,kind{end}"two{end}lines, one value",nut{end}page\fbreak\u2028here,bolt{end}'
    path = tmp_path / "notes.csv"
    path.write_bytes(table.encode())
    data = CSVDataParse("train")
    data.parse(path, label="kind")
    assert data.x.tolist() == [[f"two{end}lines, one value"], ["page\fbreak\u2028here"]]
    assert data.y.tolist() == ["nut", "bolt"]


def test_a_table_needs_no_label(tmp_path):
    data = CSVDataParse("train")
    data.parse(text(tmp_path, TABLE), usecols="height, width")
    assert data.x.tolist() == [[2.0, 1.5], [4.0, 3.0]]
    assert data.y is None


def test_a_function_sees_rows_by_column(tmp_path):
    data = CSVDataParse("train", func=lambda rows: [r for r in rows if r["kind"] == "nut"])
    data.parse(text(tmp_path, TABLE), label="kind")
    assert data.y.tolist() == ["nut"]


def test_a_missing_column_and_a_short_row_are_errors(raises, tmp_path):
    with raises(DatasetError, "unknown-name", name="kinds"):
        CSVDataParse("train").parse(text(tmp_path, TABLE), label="kinds")
    with raises(DatasetError, "wrong-length", path=tmp_path / "t.csv", line=3):
        CSVDataParse("train").parse(text(tmp_path, "a,b\n1,2\n3\n", "t.csv"))


COCO = {
    "images": [{"id": 2, "file_name": "b.jpg"}, {"id": 1, "file_name": "a.jpg"}],
    "categories": [{"id": 9, "name": "bolt"}, {"id": 4, "name": "nut"}],
    "annotations": [
        {"image_id": 1, "category_id": 9, "bbox": [1, 2, 3, 4]},
        {"image_id": 1, "category_id": 4, "bbox": [0, 0, 5, 0]},
        {"image_id": 2, "category_id": 4, "bbox": [0, 0, 5, 5], "iscrowd": 1},
    ],
}


def test_coco_annotations_become_boxes(tmp_path):
    data = JSONDataParse("train")
    data.parse(text(tmp_path, json.dumps(COCO)))
    assert data.class_names == ("nut", "bolt")
    assert data.x.tolist() == ["b.jpg", "a.jpg"]
    assert [boxes.tolist() for boxes in data.y] == [[], [[1, 2, 4, 6, 1]]]
    assert data.y[0].shape == (0, 5)


def test_pictures_with_equally_many_boxes_stay_separate(tmp_path):
    coco = {
        **COCO,
        "annotations": [{"image_id": i, "category_id": 9, "bbox": [1, 2, 3, 4]} for i in (1, 2)],
    }
    data = JSONDataParse("train")
    data.parse(text(tmp_path, json.dumps(coco)))
    assert len(data) == len(data.y) == 2
    assert isinstance(data.y[0], np.ndarray)


@pytest.mark.parametrize("content", ["[]", "{}", "no json", '{"images": [{"id": 1}]}'])
def test_other_json_is_refused(raises, tmp_path, content):
    with raises(DatasetError, "unknown-format", golden=False, path=tmp_path / "data.txt"):
        JSONDataParse("train").parse(text(tmp_path, content))
