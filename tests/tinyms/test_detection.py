import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mindspore.dataset import GeneratorDataset, VOCDataset
from PIL import Image

from sedna_tinyms.errors import ConfigurationError, DatasetError
from sedna_tinyms.tinyms.ssd_boxes import default_boxes
from sedna_tinyms.tinyms.vision import (
    ImageViewer,
    VOCTransform,
    coco_eval,
    shanshui_transform,
    ssd_bboxes_encode,
    ssd_bboxes_filter,
    voc_transform,
)
from sedna_tinyms.tinyms.vision.box_crop import flip, random_crop

CAR, PERSON = 7, 15
FOUND = [
    {"bbox": [80, 30, 160, 120], "score": 0.9, "category_id": "car"},
    {"bbox": [200, 150, 160, 120], "score": 0.71, "category_id": "person"},
]


def network_output():
    """Two cars in nearly the same place, a person, and a box that is too unlikely."""
    output = np.zeros((1, 1917, 4 + 21), np.float32)
    output[0, 0, :4], output[0, 0, 4 + CAR] = (0.1, 0.2, 0.5, 0.6), 0.9
    output[0, 1, :4], output[0, 1, 4 + CAR] = (0.1, 0.2, 0.5, 0.61), 0.8
    output[0, 2, :4], output[0, 2, 4 + PERSON] = (0.5, 0.5, 0.9, 0.9), 0.71
    output[0, 3, :4], output[0, 3, 4 + PERSON] = (0.0, 0.0, 0.2, 0.2), 0.69
    return output


def test_drawn_boxes_are_encoded_as_tinyms_encodes_them():
    with np.load(Path(__file__).with_name("transform_reference.npz")) as reference:
        offsets, labels, matched = ssd_bboxes_encode(reference["drawn"])
        places = reference["matched_at"]
        np.testing.assert_array_equal(np.flatnonzero(labels), places)
        np.testing.assert_array_equal(labels[places], reference["classes"])
        np.testing.assert_array_equal(offsets[places], reference["offsets"])
    assert (offsets.dtype, labels.dtype, matched.dtype) == (np.float32, np.int32, np.int32)
    assert matched.tolist() == [len(places)]
    assert not offsets[labels == 0].any()


@given(
    corner=st.tuples(*[st.floats(0, 0.875, width=32)] * 2),
    size=st.tuples(*[st.floats(1 / 64, 1, width=32)] * 2),
    label=st.integers(0, 19),
)
def test_every_drawn_box_has_a_default_box_and_can_be_decoded(corner, size, label):
    corner = np.array(corner, np.float32)
    end = np.minimum(corner + np.array(size, np.float32), 1)
    offsets, labels, matched = ssd_bboxes_encode(np.array([[*corner, *end, label]]))
    places = np.flatnonzero(labels)
    assert len(places) == matched[0] >= 1
    assert set(labels[places]) == {label + 1}
    anchors = default_boxes()[places]
    centres = anchors[:, :2] + offsets[places, :2] * 0.1 * anchors[:, 2:]
    sizes = np.exp(offsets[places, 2:] * 0.2) * anchors[:, 2:]
    np.testing.assert_allclose(centres, np.tile((corner + end) / 2, (len(places), 1)), atol=1e-5)
    np.testing.assert_allclose(sizes, np.tile(end - corner, (len(places), 1)), atol=1e-5)


def test_a_picture_without_boxes_is_all_background():
    offsets, labels, matched = ssd_bboxes_encode(np.zeros((0, 5)))
    assert not offsets.any()
    assert not labels.any()
    assert matched.tolist() == [0]


@pytest.mark.parametrize(
    ("boxes", "code"),
    [
        (np.zeros((2, 4)), "wrong-shape"),
        (np.zeros(5), "wrong-shape"),
        ([[0.5, 0.5, 0.4, 0.9, 1]], "invalid-value"),
        ([[0, 0, np.nan, 1, 1]], "invalid-value"),
    ],
)
def test_boxes_that_cannot_be_are_refused(raises, boxes, code):
    with raises(DatasetError, code, name="boxes"):
        ssd_bboxes_encode(np.array(boxes))


def test_the_output_becomes_objects_with_names():
    found = voc_transform.postprocess(network_output(), (300, 400))
    assert [thing["category_id"] for thing in found] == ["car", "person"]
    for thing, expected in zip(found, FOUND, strict=True):
        assert thing["bbox"] == pytest.approx(expected["bbox"], abs=1e-4)
        assert thing["score"] == pytest.approx(expected["score"])
    assert voc_transform.postprocess(np.zeros((1, 1917, 25), np.float32), (300, 400)) == []


def test_no_more_boxes_than_a_hundred_a_class():
    scores = np.zeros((1917, 2))
    scores[:, 1] = 0.9
    spread = np.linspace(0, 1, 1917)[:, None] + np.array([[0, 0, 1e-4, 1e-4]])
    boxes, _, labels = ssd_bboxes_filter(spread, scores, (3e5, 3e5))
    assert len(boxes) == 100
    assert set(labels) == {1}


@pytest.mark.parametrize("output", [None, np.zeros((1917, 25)), np.zeros((2, 1917, 25))])
def test_only_one_picture_can_be_put_into_words(output):
    with pytest.raises(TypeError, match="shape"):
        voc_transform.postprocess(output, (300, 400))


def test_words_that_cannot_be_found_are_an_error(raises):
    with raises(ConfigurationError, "class-mismatch", value=21, expected=11):
        shanshui_transform.postprocess(network_output(), (300, 400))
    with raises(ConfigurationError, "unknown-name", name="strategy", value="TOP1_CLAS"):
        voc_transform.postprocess(network_output(), (300, 400), "TOP1_CLAS")
    three = VOCTransform(labels=["nothing", "a", "b"])
    assert three.postprocess(network_output()[:, :, :7], (30, 40)) == []


def drawn_scene(seed):
    draw = np.random.RandomState(seed)
    picture = draw.randint(0, 256, (60, 80, 3), dtype=np.uint8)
    boxes = np.array([[5, 6, 40, 30], [50, 20, 20, 35]], np.float32)[: seed + 1]
    return picture, boxes, np.arange(len(boxes), dtype=np.uint32)[:, None]


def scenes(count=2):
    names = ["image", "bbox", "label"]
    return GeneratorDataset([drawn_scene(i) for i in range(count)], names, shuffle=False)


def one_row(dataset):
    (row,) = dataset.create_dict_iterator(num_epochs=1, output_numpy=True)
    return row


def test_a_dataset_for_training_has_what_ssd_learns_from():
    np.random.seed(0)
    row = one_row(voc_transform.apply_ds(scenes(), batch_size=2))
    assert {name: values.shape for name, values in row.items()} == {
        "image": (2, 3, 300, 300),
        "bbox": (2, 1917, 4),
        "label": (2, 1917),
        "num_match": (2, 1),
    }
    assert [np.count_nonzero(labels) for labels in row["label"]] == row["num_match"][:, 0].tolist()
    assert row["num_match"].min() >= 1
    assert set(row["label"][0]) == {0, 1}


def test_a_dataset_for_evaluation_keeps_its_pictures():
    row = one_row(voc_transform.apply_ds(scenes(), batch_size=2, is_training=False))
    np.testing.assert_array_equal(row["image"][0], voc_transform(drawn_scene(0)[0]))
    assert row["image_shape"].tolist() == [[60, 80], [60, 80]]
    assert row["label"][..., 0].tolist() == [[0, -1], [0, 1]]


def test_voc_on_disk_is_read(tmp_path):
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (tmp_path / folder).mkdir(parents=True)
    Image.fromarray(drawn_scene(0)[0]).save(tmp_path / "JPEGImages" / "a.jpg")
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("a\n")
    (tmp_path / "Annotations" / "a.xml").write_text(
        "<annotation><size><width>80</width><height>60</height><depth>3</depth></size><object>"
        "<name>dog</name><difficult>0</difficult><truncated>0</truncated><bndbox><xmin>5</xmin>"
        "<ymin>6</ymin><xmax>45</xmax><ymax>36</ymax></bndbox></object></annotation>"
    )
    dataset = VOCDataset(
        str(tmp_path), "Detection", "train", decode=True, class_indexing={"dog": 11}
    )
    row = one_row(voc_transform.apply_ds(dataset, batch_size=1))
    assert set(row["label"][0]) == {0, 12}


def test_crops_keep_boxes_inside_and_flips_go_back():
    np.random.seed(1)
    picture = np.arange(60 * 80, dtype=np.int32).reshape(60, 80, 1)
    boxes = np.array([[10, 10, 40, 60, 0], [30, 50, 55, 75, 1]], np.float32)
    sizes = set()
    for _ in range(60):
        crop, kept = random_crop(picture, boxes)
        height, width = crop.shape[:2]
        sizes.add((height, width))
        assert 1 <= len(kept) <= 2
        assert (kept[:, :2] >= 0).all()
        assert (kept[:, :2] < kept[:, 2:4]).all()
        assert (kept[:, 2:4] <= (height, width)).all()
        turned, turned_boxes = flip(*flip(crop, kept))
        np.testing.assert_array_equal(turned, crop)
        np.testing.assert_array_equal(turned_boxes, kept)
    assert len(sizes) > 10


def annotations(tmp_path):
    path = tmp_path / "annotations.json"
    content = {
        "images": [{"id": 1, "width": 400, "height": 300}],
        "categories": [{"id": CAR, "name": "car"}, {"id": PERSON, "name": "person"}],
        "annotations": [
            {
                "id": label,
                "image_id": 1,
                "category_id": label,
                "bbox": thing["bbox"],
                "area": 19200,
                "iscrowd": 0,
            }
            for label, thing in zip((CAR, PERSON), FOUND, strict=True)
        ],
    }
    path.write_text(json.dumps(content))
    return path


def test_mean_average_precision_is_coco_s(raises, tmp_path, capsys):
    pytest.importorskip("pycocotools")
    output = network_output()[0]
    picture = {"boxes": output[:, :4], "box_scores": output[:, 4:]}
    picture |= {"img_id": 1, "image_shape": (300, 400)}
    path = annotations(tmp_path)
    assert coco_eval([picture], path) == pytest.approx(1.0)
    assert coco_eval([picture | {"box_scores": output[:, 4:] * 0}], path) == 0.0
    assert capsys.readouterr().out == ""
    with raises(DatasetError, "missing-file", path=tmp_path / "none.json"):
        coco_eval([picture], tmp_path / "none.json")
    path.write_text("no annotations")
    with raises(DatasetError, "damaged", golden=False, path=path):
        coco_eval([picture], path)


def test_the_viewer_shows_picture_label_and_frames(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    viewer = ImageViewer(drawn_scene(0)[0], "two things")
    assert viewer.label == "two things"
    assert viewer.image.shape == (60, 80, 3)
    viewer.draw(FOUND, voc_transform.labels)
    axes = plt.gcf().axes[0]
    assert axes.get_title() == "two things"
    assert [text.get_text() for text in axes.texts] == ["car 0.90", "person 0.71"]
    assert [frame.get_width() for frame in axes.patches] == [160, 160]
    ImageViewer(Image.new("L", (5, 5))).show()
    assert not plt.gcf().axes[0].patches
    plt.close("all")
