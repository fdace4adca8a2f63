import json

import numpy as np
import pytest
from servables import Servables, entry
from serving_http import start

from sedna_tinyms.tinyms.model import lenet5, save_weights, ssd300_infer
from sedna_tinyms.tinyms.model.parameters import set_value
from sedna_tinyms.tinyms.serving import Client
from sedna_tinyms.tinyms.serving.catalogue import Entry
from sedna_tinyms.tinyms.serving.servable import Servable
from sedna_tinyms.tinyms.vision import voc_transform


def loud(class_num):
    """A LeNet5 that makes more of large inputs than a float32 can hold."""
    network = lenet5(class_num)
    set_value(network.fc3.weight, np.full(network.fc3.weight.shape, 1e30))
    return network


NETWORKS = {
    "lenet5_mnist": (lenet5, 10),
    "lenet5_loud_mnist": (loud, 10),
    "ssd300_voc": (ssd300_infer, 21),
}


def serving(directory, *names):
    """Serve networks under TinyMS's names; yields a client."""
    servables = Servables(directory)
    np.random.seed(0)
    for name in names:
        build, classes = NETWORKS[name]
        model = name.partition("_")[0]
        save_weights(build(classes), directory / name / f"{model}.ckpt")
        described = entry(name, range(classes))
        described["model"]["name"] = model
        servables.entries.append(described)
    servables.write()
    return start(servables)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("zoo"), "lenet5_mnist", "lenet5_loud_mnist") as http:
        yield http


def test_digits_are_served_by_their_name(zoo, picture):
    client = Client(port=zoo.server.port)
    assert [servable["dataset"] for servable in client.list_servables()] == ["mnist", "mnist"]
    assert zoo.get("/v2/models/lenet5_mnist").json()["inputs"][0]["shape"] == [-1, 1, 32, 32]
    digits = client.predict(picture, "lenet5_mnist", "mnist", "TOP3_CLASS")
    assert (
        digits == zoo.picture(picture, "lenet5_mnist", "TOP3_CLASS").json()["instance"]["res_msg"]
    )
    assert client.predict(picture, "lenet5_mnist", strategy="TOP3_CLASS") == digits


def test_the_boxes_of_a_picture_have_its_size_and_the_datasets_names():
    detecting = Entry("ssd300_voc", model="ssd300", class_num=21, dataset="voc")
    servable = Servable.resolve(detecting, {}, "1")
    assert (servable.detects, servable.input_shape) == (True, (3, 300, 300))
    output = np.zeros((1, 1917, 25), np.float32)  # four numbers of a box, and its scores
    output[0, 7, 4 + voc_transform.labels.index("cat")] = 1
    output[0, 7, :4] = [0.1, 0.2, 0.5, 0.6]  # its upper left and lower right corner: y, x, y, x
    [box] = json.loads(servable.words(output, (100, 1000), "TOP1_CLASS"))
    assert box["category_id"] == "cat"
    np.testing.assert_allclose(box["bbox"], [200, 10, 400, 40], atol=0.1)
    said = {"label": "cat", "score": box["score"], "bbox": box["bbox"]}
    assert servable.predictions(output, (100, 1000)) == [said]


@pytest.mark.slow
def test_boxes_are_served_by_their_name(tmp_path, picture):
    with serving(tmp_path / "boxes", "ssd300_voc") as http:
        assert_boxes_are_served(http, picture)


def assert_boxes_are_served(zoo, picture):
    client = Client(port=zoo.server.port)
    [listed] = client.list_servables()
    assert listed["dataset"] == "voc"
    assert zoo.get("/v2/models/ssd300_voc").json()["outputs"][0]["shape"] == [-1, -1, 25]
    boxes = client.predict(picture, "ssd300_voc", "voc")
    assert client.predict(picture, "ssd300_voc") == boxes
    said = zoo.picture(picture, "ssd300_voc").json()["instance"]["predictions"]
    assert [(p["label"], p["bbox"]) for p in said] == [(b["category_id"], b["bbox"]) for b in boxes]
    assert boxes
    assert {box["category_id"] for box in boxes} <= set(voc_transform.labels)


@pytest.mark.parametrize(
    "route", ["/servables/lenet5_loud_mnist", "/v2/models/lenet5_loud_mnist/infer"]
)
def test_an_output_that_is_no_number_is_not_handed_out(zoo, picture, route):
    shape = [1, 32, 32]
    data = np.full(shape, 1e30).tolist()
    described = {"shape": shape, "dtype": "float32", "data": json.dumps(data)}
    tensor = {"name": "image", "shape": [1, *shape], "datatype": "FP32", "data": [data]}
    answer = zoo.post(route, {"instance": described, "inputs": [tensor]})
    assert answer.status_code == 500
    content = answer.json()
    assert content["code"] == "not-finite"
    assert not {"instance", "outputs"} & set(content)
    assert zoo.picture(picture, "lenet5_loud_mnist").status_code == 200
