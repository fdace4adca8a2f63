"""Published models: found by name, checked, cached, and never from outside of their place."""

import hashlib
import json
import os
import ssl

import mindspore as ms
import numpy as np
import pytest
import yaml
from mindspore import nn

from sedna_tinyms.errors import ConfigurationError, DownloadError, ForeignModelError
from sedna_tinyms.tinyms import hub
from sedna_tinyms.tinyms.hub.uid import Uid
from sedna_tinyms.tinyms.model import lenet5, mobilenetv2, read_weights, save_weights

SMALL = {"width_mult": 0.1, "last_channel": 16}
UID = "workshop/1.0/lenet5_v1_mnist"
DESCRIPTION = {
    "model-name": "lenet5",
    "backbone-name": "lenet5",
    "module-type": "cv-classification",
    "fine-tunable": True,
    "input-shape": [1, 32, 32],
    "model-version": "v1",
    "train-dataset": "mnist",
    "author": "the workshop",
    "update-time": "2026-01-31",
    "user-id": "workshop",
    "used-for": "inference/transfer-learning",
    "infer-backend": ["CPU"],
    "tinyms-version": 0.3,
    "license": "Apache-2.0",
    "summary": "A small network of the tests.",
}


@pytest.fixture(scope="module")
def network():
    return lenet5(class_num=10)


@pytest.fixture(scope="module")
def checkpoint(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("published") / "small.ckpt"
    save_weights(network, path)
    return path.read_bytes()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Hub:
    """A hub directory."""

    def __init__(self, root):
        self.root = root

    def publish(self, data, uid=UID, link="small.ckpt", digest=None, kind="ckpt", **fields):
        path = self.root / f"{uid}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        if "://" not in link and ".." not in link and data is not None:
            (path.parent / link).write_bytes(data)
        asset = {
            "asset-link": link,
            "asset-sha256": digest or sha256(data or b""),
            "file-format": kind,
        }
        path.write_text(yaml.safe_dump({**DESCRIPTION, "asset": asset, **fields}))
        return path


@pytest.fixture
def published(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYMS_HUB_PATH", f"/nowhere{os.pathsep}{tmp_path / 'hub'}")
    monkeypatch.setenv("TINYMS_HUB_CACHE", str(tmp_path / "cache"))
    return Hub(tmp_path / "hub")


def same(network, other):
    theirs = {p.name: p.asnumpy() for p in other.get_parameters()}
    ours = {p.name: p.asnumpy() for p in network.get_parameters()}
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[n], theirs[n]) for n in ours)


def test_a_network_comes_with_its_weights_from_a_directory(published, checkpoint, network):
    published.publish(checkpoint)
    assert same(hub.load(UID), network)


def test_the_directory_may_be_given_instead(raises, published, checkpoint, network, monkeypatch):
    published.publish(checkpoint)
    monkeypatch.delenv("TINYMS_HUB_PATH")
    assert same(hub.load(UID, assets=[published.root]), network)
    with raises(ConfigurationError, "missing-value", name="TINYMS_HUB_PATH"):
        hub.load(UID)


def test_untrained_it_needs_no_hub(monkeypatch):
    monkeypatch.delenv("TINYMS_HUB_PATH", raising=False)
    network = hub.load("tinyms/0.2/mobilenet_v2_cifar100", pretrained=False, **SMALL)
    assert network.head.head[1].weight.shape == (100, 16)
    network = hub.load("tinyms/0.2/mobilenet_v2_mushroom", False, class_num=3, **SMALL)
    assert network.head.head[1].weight.shape == (3, 16)


def test_a_data_set_of_one_s_own_says_its_number_of_classes(published, tmp_path):
    network = mobilenetv2(class_num=6, **SMALL)
    save_weights(network, tmp_path / "six.ckpt")
    uid = "workshop/1.0/mobilenet_v2_parts"
    published.publish((tmp_path / "six.ckpt").read_bytes(), uid, **{"class-num": 6})
    assert same(hub.load(uid, **SMALL), network)


def test_weights_and_checkpoints_can_be_had_alone(published, checkpoint, network, tmp_path):
    published.publish(checkpoint)
    empty = lenet5(class_num=10)
    assert ms.load_param_into_net(empty, hub.load_weights(UID)) == ([], [])
    assert same(empty, network)
    hub.load_checkpoint(UID, tmp_path / "copy.ckpt")
    assert read_weights(tmp_path / "copy.ckpt").arrays.keys() == hub.load_weights(UID).keys()
    assert hub.asset_file(UID).read_bytes() == checkpoint


@pytest.fixture
def url(httpserver, checkpoint):
    httpserver.expect_request("/small.ckpt").respond_with_data(checkpoint)
    return httpserver.url_for("/small.ckpt")


def test_a_remote_file_is_downloaded_once(
    published, checkpoint, network, tmp_path, httpserver, url
):
    published.publish(checkpoint, link=url)
    before = ssl._create_default_https_context
    for _ in range(2):
        assert same(hub.load(UID), network)
    assert len(httpserver.log) == 1
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [f"{sha256(checkpoint)}.ckpt"]
    assert ssl._create_default_https_context is before


def test_a_damaged_cache_is_repaired(published, checkpoint, httpserver, url):
    published.publish(checkpoint, link=url)
    hub.asset_file(UID).write_bytes(b"rot")
    assert hub.asset_file(UID).read_bytes() == checkpoint
    assert len(httpserver.log) == 2


@pytest.mark.parametrize("remote", [False, True])
def test_a_wrong_digest_is_refused(raises, published, checkpoint, tmp_path, remote, url):
    published.publish(checkpoint, link=url if remote else "small.ckpt", digest="0" * 64)
    # The digest that the file has differs from one MindSpore to the next.
    with raises(DownloadError, "wrong-digest", golden=False) as raised:
        hub.load(UID)
    assert sha256(checkpoint) in str(raised.value)
    assert not remote or list((tmp_path / "cache").iterdir()) == []


def test_plain_http_from_elsewhere_is_refused(raises, published, checkpoint):
    published.publish(checkpoint, link="http://example.com/small.ckpt")
    with raises(DownloadError, "insecure-url"):
        hub.load(UID)


@pytest.mark.parametrize("link", ["../../../secret.ckpt", "/etc/hostname", "out/hostname"])
def test_a_link_does_not_leave_the_hub(raises, published, checkpoint, link):
    path = published.publish(None, link=link)
    (path.parent / "out").symlink_to("/etc")
    with raises(ConfigurationError, "invalid-value", path=path, name="asset-link", value=link):
        hub.load(UID)


def test_a_missing_file_is_named(raises, published):
    path = published.publish(None)
    with raises(DownloadError, "missing-file", golden=False, path=path.parent / "small.ckpt"):
        hub.load(UID)


def test_weights_of_another_network_are_refused(raises, published, checkpoint):
    published.publish(checkpoint)
    with raises(ForeignModelError, "foreign-model"):
        hub.load(UID, class_num=4)


@pytest.mark.parametrize(
    "uid",
    [
        "",
        None,
        "lenet5_v1_mnist",
        "tinyms/0.2/lenet5_mnist",
        "tinyms/0.2/lenet5_v1_",
        "tinyms/0.2/lenet5_v1_mnist/more",
        "../0.2/lenet5_v1_mnist",
        "tinyms/../lenet5_v1_mnist",
        "tinyms/0.2/.._v1_mnist",
        "tinyms/0.2/lenet5_v1_..",
        "tinyms\\0.2/a/lenet5_v1_mnist",
        "tinyms/0.2/lenet5_v1_mnist\n",
        "tinyms/0.2\0/lenet5_v1_mnist",
        "/etc/lenet5_v1_mnist",
    ],
)
def test_a_uid_of_another_form_is_refused(raises, published, uid):
    with raises(ConfigurationError, "invalid-value", golden=uid == "", name="uid", value=uid):
        hub.load(uid)


@pytest.mark.parametrize(
    "uid",
    [
        "tinyms/0.2/alexnet_v1_cifar10",
        "tinyms/0.2/lenet5_v1_mnist",
        "tinyms/0.2/mobilenet_v2_cifar10",
        "tinyms/0.2/resnet50_v1_mushroom",
        "tinyms/0.2/ssd300_v1_voc2007",
        "a/b/my_own_net_v1_parts",
    ],
)
def test_a_uid_is_taken_apart_and_put_together(uid):
    assert str(Uid.parse(uid)) == uid


def test_the_nearest_published_name_is_offered(raises, published, checkpoint):
    published.publish(checkpoint)
    with raises(ConfigurationError, "unknown-name", name="uid", valid=(UID,)):
        hub.load("workshop/1.0/lenet5_v2_mnist")


def test_an_unknown_network_is_an_error_with_the_nearest_one(raises):
    pytest.importorskip("mindcv")
    with raises(ConfigurationError, "unknown-name", name="name", value="lenet"):
        hub.load("tinyms/0.2/lenet_v1_mnist", pretrained=False)


def test_any_network_that_can_be_created_may_be_published(published, tmp_path):
    network = lenet5(class_num=3)
    save_weights(network, tmp_path / "lenet.ckpt")
    uid = "workshop/1.0/lenet5_v7_digits"
    published.publish((tmp_path / "lenet.ckpt").read_bytes(), uid, **{"class-num": 3})
    assert same(hub.load(uid), network)


def test_a_description_is_checked_as_a_whole(raises, published, checkpoint):
    path = published.publish(checkpoint, kind="pickle", digest="abc", licence="MIT")
    described = yaml.safe_load(path.read_text())
    del described["author"]
    described["module-type"] = "vision"
    described["fine-tunable"] = "yes"
    described["input-shape"] = "3x224x224"
    path.write_text(yaml.safe_dump(described))
    with raises(ConfigurationError, "configuration", path=path) as raised:
        hub.load(UID)
    found = {each.fields["name"]: each.code for each in raised.value.problems}
    assert found == {
        "licence": "unknown-key",
        "author": "missing-key",
        "module-type": "invalid-value",
        "fine-tunable": "invalid-value",
        "input-shape": "invalid-value",
        "asset.asset-sha256": "invalid-value",
        "asset.file-format": "invalid-value",
    }


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "wrong-type"),
        (b"- a list", "wrong-type"),
        (b"{", "not-yaml"),
        (b"!!python/object/apply:os.getcwd []", "not-yaml"),
        (b"author: \xff", "not-utf8"),
    ],
    ids=["nothing", "a list", "no YAML", "code", "no text"],
)
def test_a_file_that_is_no_description_is_an_error(raises, published, checkpoint, content, code):
    path = published.publish(checkpoint)
    path.write_bytes(content)
    with raises(ConfigurationError, code, golden=code == "wrong-type", path=path):
        hub.load(UID)


def test_a_description_without_a_file_has_nothing_to_load(raises, published, checkpoint):
    path = published.publish(checkpoint)
    path.write_text(yaml.safe_dump(DESCRIPTION))
    with raises(ConfigurationError, "missing-key", path=path, name="asset"):
        hub.load(UID)


def test_a_graph_is_loaded_whole_and_has_no_weights_to_give(raises, published, tmp_path):
    dense = nn.Dense(3, 2)
    x = ms.Tensor(np.ones((1, 3), np.float32))
    ms.export(dense, x, file_name=str(tmp_path / "dense"), file_format="MINDIR")
    data = (tmp_path / "dense.mindir").read_bytes()
    published.publish(data, link="dense.mindir", kind="mindir")
    assert np.array_equal(hub.load(UID)(x).asnumpy(), dense(x).asnumpy())
    with raises(ConfigurationError, "unsupported", value="mindir"):
        hub.load_weights(UID)


def test_the_hub_brings_no_network_library(forking, tmp_path):
    code = (
        "import sys, json; import sedna_tinyms.tinyms.hub; "
        "print(json.dumps([n for n in ('requests', 'flask', 'cv2') if n in sys.modules]))"
    )
    done = forking.run("-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
    assert list(tmp_path.iterdir()) == []
