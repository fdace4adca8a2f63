import numpy as np
import pytest
from servables import entry

from sedna_tinyms.tinyms.model import lenet5, save_weights, ssd300_infer
from sedna_tinyms.tinyms.serving import Client
from sedna_tinyms.tinyms.vision import voc_transform


@pytest.fixture
def zoo(own_servables, served):
    """Return a client of LeNet5 and SSD300 under TinyMS's names."""
    np.random.seed(0)
    for name, network, classes in (
        ("lenet5_mnist", lenet5(10), 10),
        ("ssd300_voc", ssd300_infer(21), 21),
    ):
        model = name.partition("_")[0]
        save_weights(network, own_servables.directory / name / f"{model}.ckpt")
        described = entry(name, range(classes))
        described["model"]["name"] = model
        own_servables.entries.append(described)
    own_servables.write()
    return served(own_servables)


def test_digits_and_boxes_are_served_by_their_names(zoo, picture):
    client = Client(port=zoo.server.port)
    listed = {servable["name"]: servable for servable in client.list_servables()}
    assert [listed[name]["dataset"] for name in ("lenet5_mnist", "ssd300_voc")] == ["mnist", "voc"]
    assert zoo.get("/v2/models/lenet5_mnist").json()["inputs"][0]["shape"] == [-1, 1, 32, 32]
    assert zoo.get("/v2/models/ssd300_voc").json()["outputs"][0]["shape"] == [-1, -1, 25]

    digits = client.predict(picture, "lenet5_mnist", "mnist", "TOP3_CLASS")
    assert (
        digits == zoo.picture(picture, "lenet5_mnist", "TOP3_CLASS").json()["instance"]["res_msg"]
    )

    boxes = client.predict(picture, "ssd300_voc", "voc")
    said = zoo.picture(picture, "ssd300_voc").json()["instance"]["predictions"]
    assert [(p["label"], p["bbox"]) for p in said] == [(b["category_id"], b["bbox"]) for b in boxes]
    assert boxes
    assert {box["category_id"] for box in boxes} <= set(voc_transform.labels)
