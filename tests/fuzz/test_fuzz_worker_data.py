"""Whatever a worker is given to read, it takes it or refuses it with an error of ours."""

import io
import json

import numpy as np
import pytest
from fuzzing import PLAIN, at_places, damaged, fuzzed, untouched, with_value
from hypothesis import example
from hypothesis import strategies as st
from PIL import Image

from estimators import line_parser
from estimators.samples import read_samples
from sedna_tinyms.errors import ConfigurationError, DatasetError, SednaTinyMSError
from sedna_tinyms.pictures import load_pixels
from sedna_tinyms.sedna.datasources import CSVDataParse, JSONDataParse, TxtDataParse
from sedna_tinyms.tinyms.serving.catalogue import CATALOGUE, read_catalogue

CLASSES = ("bolt", "gear")
COCO = {
    "images": [{"id": 1, "file_name": "a.png"}],
    "categories": [{"id": 7, "name": "bolt"}],
    "annotations": [{"image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4], "iscrowd": 0}],
}
SERVABLES = [
    {
        "name": "parts",
        "description": "parts",
        "model": {"name": "mobilenetv2", "format": "ckpt", "class_num": 4, "width_mult": 0.5},
    }
]


def picture_file(kind):
    file = io.BytesIO()
    pixels = np.random.RandomState(0).randint(0, 256, (20, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


PICTURES = {kind: picture_file(kind) for kind in ("PNG", "JPEG", "TIFF", "BMP", "PPM")}


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@fuzzed(150, content=st.binary(max_size=120) | st.text(max_size=60).map(str.encode))
@example(b"a" * 60_000 + b" bolt\n")
@example(b"a.png bolt\n\0 bolt\n../../etc/passwd gear\n")
@example("a.png bolt\x0cb.png gear\u2028c.png bolt\n".encode())
def test_the_lines_of_a_data_file(room, content):
    path = room / "data.txt"
    path.write_bytes(content)
    with untouched(room):
        try:
            data = TxtDataParse(data_type="train", func=line_parser(room))
            data.parse(path)
            assert len(data) <= content.count(b"\n") + 1  # the runner counts no more
            samples = read_samples(data, CLASSES)
            load_pixels(samples.pictures, 8)
        except (DatasetError, ConfigurationError):
            return
    assert len(samples.pictures) == len(samples.labels)


@fuzzed(100, content=st.binary(max_size=120) | st.text(max_size=60).map(str.encode))
@example(b"a,b\n" + b"x" * 200_000 + b",1\n")
@example(b'a,b\n"\0,1\n')
def test_a_table(room, content):
    path = room / "data.csv"
    path.write_bytes(content)
    try:
        CSVDataParse(data_type="train").parse(path)
    except DatasetError:
        return


@fuzzed(150, place=st.sampled_from(at_places(COCO)), value=PLAIN)
@example(place=("annotations", 0, "bbox", 0), value=10**400)
@example(place=("annotations", 0, "bbox", 0), value=float("nan"))
def test_an_annotation_file(room, place, value):
    path = room / "data.json"
    path.write_text(json.dumps(with_value(COCO, place, value)))
    try:
        JSONDataParse(data_type="train").parse(path)
    except DatasetError:
        return


@fuzzed(60, content=st.binary(max_size=80))
@example(b"[" * 100_000)
def test_an_annotation_file_of_any_content(room, content):
    path = room / "data.json"
    path.write_bytes(content)
    try:
        JSONDataParse(data_type="train").parse(path)
    except DatasetError:
        return


@fuzzed(150, data=st.data(), kind=st.sampled_from(sorted(PICTURES)))
@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of odd metadata
def test_a_picture_file(room, data, kind):
    path = room / f"picture.{kind.lower()}"
    path.write_bytes(data.draw(damaged(PICTURES[kind])))
    try:
        pixels = load_pixels([path], 8)
    except DatasetError:
        return
    assert (pixels.shape, pixels.dtype) == ((1, 3, 8, 8), np.uint8)


@fuzzed(150, place=st.sampled_from(at_places(SERVABLES)), value=PLAIN)
def test_what_servable_json_says(room, place, value):
    (room / CATALOGUE).write_text(json.dumps(with_value(SERVABLES, place, value)))
    with untouched(room):
        try:
            entries = read_catalogue(room)
        except SednaTinyMSError:
            return
    sound = [entry for entry in entries.values() if not entry.problem]
    assert all((room / entry.checkpoint).is_relative_to(room) for entry in sound)
    assert all(".." not in (room / entry.checkpoint).parts for entry in sound)
