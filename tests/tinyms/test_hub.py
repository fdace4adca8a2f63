"""Published models: found by name, checked, cached, and never from outside of their place."""

import hashlib
import json
import os
import ssl
import subprocess
import sys
from pathlib import Path

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
UID = "workshop/1.0/mobilenet_v2_cifar10"
DESCRIPTION = {
    "model-name": "mobilenetv2",
    "backbone-name": "mobilenetv2",
    "module-type": "cv-classification",
    "fine-tunable": True,
    "input-shape": [3, 224, 224],
    "model-version": "v2",
    "train-dataset": "cifar10",
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
    return mobilenetv2(class_num=10, **SMALL)


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
    assert same(hub.load(UID, **SMALL), network)


def test_the_directory_may_be_given_instead(published, checkpoint, network, monkeypatch):
    published.publish(checkpoint)
    monkeypatch.delenv("TINYMS_HUB_PATH")
    assert same(hub.load(UID, assets=[published.root], **SMALL), network)
    with pytest.raises(ConfigurationError, match="TINYMS_HUB_PATH"):
        hub.load(UID, **SMALL)


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
    empty = mobilenetv2(class_num=10, **SMALL)
    assert ms.load_param_into_net(empty, hub.load_weights(UID)) == ([], [])
    assert same(empty, network)
    hub.load_checkpoint(UID, tmp_path / "copy.ckpt", **SMALL)
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
        assert same(hub.load(UID, **SMALL), network)
    assert len(httpserver.log) == 1
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [f"{sha256(checkpoint)}.ckpt"]
    assert ssl._create_default_https_context is before


def test_a_damaged_cache_is_repaired(published, checkpoint, httpserver, url):
    published.publish(checkpoint, link=url)
    hub.asset_file(UID).write_bytes(b"rot")
    assert hub.asset_file(UID).read_bytes() == checkpoint
    assert len(httpserver.log) == 2


@pytest.mark.parametrize("remote", [False, True])
def test_a_wrong_digest_is_refused(published, checkpoint, tmp_path, remote, url):
    published.publish(checkpoint, link=url if remote else "small.ckpt", digest="0" * 64)
    with pytest.raises(DownloadError, match="SHA-256"):
        hub.load(UID, **SMALL)
    assert not remote or list((tmp_path / "cache").iterdir()) == []


def test_plain_http_from_elsewhere_is_refused(published, checkpoint):
    published.publish(checkpoint, link="http://example.com/small.ckpt")
    with pytest.raises(DownloadError, match="only https is"):
        hub.load(UID, **SMALL)


@pytest.mark.parametrize("link", ["../../../secret.ckpt", "/etc/hostname", "out/hostname"])
def test_a_link_does_not_leave_the_hub(published, checkpoint, link):
    path = published.publish(None, link=link)
    (path.parent / "out").symlink_to("/etc")
    with pytest.raises(ConfigurationError, match="leads out of"):
        hub.load(UID, **SMALL)


def test_a_missing_file_is_named(published):
    published.publish(None)
    with pytest.raises(DownloadError, match=r"cannot be read.*small\.ckpt"):
        hub.load(UID, **SMALL)


def test_weights_of_another_network_are_refused(published, checkpoint):
    published.publish(checkpoint)
    with pytest.raises(ForeignModelError):
        hub.load(UID, class_num=4, **SMALL)


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
def test_a_uid_of_another_form_is_refused(published, uid):
    with pytest.raises(ConfigurationError, match="names no published model"):
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


def test_the_nearest_published_name_is_offered(published, checkpoint):
    published.publish(checkpoint)
    with pytest.raises(ConfigurationError, match=f"did you mean '{UID}'"):
        hub.load("workshop/1.0/mobilenet_v1_cifar10")


def test_an_unknown_network_is_an_error_with_the_nearest_one():
    pytest.importorskip("mindcv")
    with pytest.raises(ConfigurationError, match=r"'lenet' .did you mean 'lenet5'"):
        hub.load("tinyms/0.2/lenet_v1_mnist", pretrained=False)


def test_any_network_that_can_be_created_may_be_published(published, tmp_path):
    network = lenet5(class_num=3)
    save_weights(network, tmp_path / "lenet.ckpt")
    uid = "workshop/1.0/lenet5_v7_digits"
    published.publish((tmp_path / "lenet.ckpt").read_bytes(), uid, **{"class-num": 3})
    assert same(hub.load(uid), network)


def test_a_description_is_checked_as_a_whole(published, checkpoint):
    path = published.publish(checkpoint, kind="pickle", digest="abc", licence="MIT")
    described = yaml.safe_load(path.read_text())
    del described["author"]
    described["module-type"] = "vision"
    described["fine-tunable"] = "yes"
    described["input-shape"] = "3x224x224"
    path.write_text(yaml.safe_dump(described))
    with pytest.raises(ConfigurationError) as error:
        hub.load(UID)
    for words in (
        f"{UID}.yaml does not describe a model",
        "unknown field licence (did you mean 'license'?)",
        "author is missing",
        "module-type is 'vision'; it must be audio, cv",
        "fine-tunable is 'yes'; it must be true or false",
        "input-shape is '3x224x224'",
        "asset.asset-sha256 is 'abc'; it must be 64 hexadecimal digits",
        "asset.file-format is 'pickle'; it must be one of ckpt, mindir, onnx",
    ):
        assert words in str(error.value)


@pytest.mark.parametrize("text", ["", "- a list", "{", "!!python/object/apply:os.getcwd []"])
def test_a_file_that_is_no_description_is_an_error(published, checkpoint, text):
    published.publish(checkpoint).write_text(text)
    with pytest.raises(ConfigurationError, match=r"cannot be read|does not"):
        hub.load(UID)


def test_a_description_without_a_file_has_nothing_to_load(published, checkpoint):
    path = published.publish(checkpoint)
    path.write_text(yaml.safe_dump(DESCRIPTION))
    with pytest.raises(ConfigurationError, match="links no model file"):
        hub.load(UID, **SMALL)


def test_a_graph_is_loaded_whole_and_has_no_weights_to_give(published, tmp_path):
    dense = nn.Dense(3, 2)
    x = ms.Tensor(np.ones((1, 3), np.float32))
    ms.export(dense, x, file_name=str(tmp_path / "dense"), file_format="MINDIR")
    data = (tmp_path / "dense.mindir").read_bytes()
    published.publish(data, link="dense.mindir", kind="mindir")
    assert np.array_equal(hub.load(UID)(x).asnumpy(), dense(x).asnumpy())
    with pytest.raises(ConfigurationError, match="asset_file"):
        hub.load_weights(UID)


def test_the_hub_brings_no_network_library(tmp_path):
    code = (
        "import sys, json; import sedna_tinyms.tinyms.hub; "
        "print(json.dumps([n for n in ('requests', 'flask', 'cv2') if n in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert json.loads(done.stdout) == [], done.stderr
    assert not Path(tmp_path, "temp.json").exists()
