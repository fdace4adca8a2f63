import json

import numpy as np
import pytest
from servables import entry

from sedna_tinyms.tinyms.model import lenet5, save_weights, ssd300_infer
from sedna_tinyms.tinyms.model.parameters import set_value
from sedna_tinyms.tinyms.serving import Client
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


@pytest.fixture
def serve(own_servables, served):
    """Return a function that serves networks under TinyMS's names, and returns a client."""

    def start(*names):
        np.random.seed(0)
        for name in names:
            build, classes = NETWORKS[name]
            model = name.partition("_")[0]
            save_weights(build(classes), own_servables.directory / name / f"{model}.ckpt")
            described = entry(name, range(classes))
            described["model"]["name"] = model
            own_servables.entries.append(described)
        own_servables.write()
        return served(own_servables)

    return start


def test_digits_and_boxes_are_served_by_their_names(serve, picture):
    zoo = serve("lenet5_mnist", "ssd300_voc")
    client = Client(port=zoo.server.port)
    listed = {servable["name"]: servable for servable in client.list_servables()}
    assert [listed[name]["dataset"] for name in ("lenet5_mnist", "ssd300_voc")] == ["mnist", "voc"]
    assert zoo.get("/v2/models/lenet5_mnist").json()["inputs"][0]["shape"] == [-1, 1, 32, 32]
    assert zoo.get("/v2/models/ssd300_voc").json()["outputs"][0]["shape"] == [-1, -1, 25]

    digits = client.predict(picture, "lenet5_mnist", "mnist", "TOP3_CLASS")
    assert (
        digits == zoo.picture(picture, "lenet5_mnist", "TOP3_CLASS").json()["instance"]["res_msg"]
    )

    assert client.predict(picture, "lenet5_mnist", strategy="TOP3_CLASS") == digits

    boxes = client.predict(picture, "ssd300_voc", "voc")
    assert client.predict(picture, "ssd300_voc") == boxes
    said = zoo.picture(picture, "ssd300_voc").json()["instance"]["predictions"]
    assert [(p["label"], p["bbox"]) for p in said] == [(b["category_id"], b["bbox"]) for b in boxes]
    assert boxes
    assert {box["category_id"] for box in boxes} <= set(voc_transform.labels)


@pytest.mark.parametrize(
    "route", ["/servables/lenet5_loud_mnist", "/v2/models/lenet5_loud_mnist/infer"]
)
def test_an_output_that_is_no_number_is_not_handed_out(serve, picture, route):
    http = serve("lenet5_loud_mnist")
    shape = [1, 32, 32]
    data = np.full(shape, 1e30).tolist()
    described = {"shape": shape, "dtype": "float32", "data": json.dumps(data)}
    tensor = {"name": "image", "shape": [1, *shape], "datatype": "FP32", "data": [data]}
    answer = http.post(route, {"instance": described, "inputs": [tensor]})
    assert answer.status_code == 500
    content = answer.json()
    assert "NaN" in content.get("error", content.get("err_msg"))
    assert not {"instance", "outputs"} & set(content)
    assert http.picture(picture, "lenet5_loud_mnist").status_code == 200
