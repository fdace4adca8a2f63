import logging
import stat

import mindspore
import numpy as np
import onnxruntime
import pytest
from mindspore import Tensor, nn

from sedna_tinyms.errors import ConfigurationError, ForeignModelError, ModelFileError
from sedna_tinyms.tinyms.context import GRAPH_MODE, PYNATIVE_MODE, set_context
from sedna_tinyms.tinyms.data import NumpySlicesDataset
from sedna_tinyms.tinyms.losses import CrossEntropyWithLabelSmooth, SoftmaxCrossEntropyWithLogits
from sedna_tinyms.tinyms.metrics import Accuracy
from sedna_tinyms.tinyms.model import MobileNetV2, Model, export_onnx, load, mobilenetv2
from sedna_tinyms.tinyms.optimizers import Momentum


class Linear(nn.Cell):
    def __init__(self):
        super().__init__()
        self.flatten = nn.Flatten()
        self.dense = nn.Dense(12, 2)

    def construct(self, x):
        return self.dense(self.flatten(x))


def dark_and_light(batch=8):
    labels = np.arange(32, dtype=np.int32) % 2
    pictures = np.random.RandomState(0).rand(32, 3, 2, 2) * 0.2 + labels[:, None, None, None]
    return NumpySlicesDataset((pictures.astype(np.float32), labels), shuffle=False).batch(batch)


@pytest.fixture
def graph_mode():
    set_context(mode=GRAPH_MODE)
    yield
    set_context(mode=PYNATIVE_MODE)


def small_mobilenet(**keywords):
    return MobileNetV2(3, width_mult=0.1, last_channel=16, **keywords)


def test_the_readme_flow_learns_saves_loads_and_predicts(tmp_path, graph_mode):
    network = Linear()
    model = Model(network)
    model.compile(
        loss_fn=SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean"),
        optimizer=Momentum(network.trainable_params(), 0.1, 0.9),
        metrics={"Accuracy": Accuracy()},
    )
    model.train(8, dark_and_light())
    assert model.eval(dark_and_light()) == {"Accuracy": 1.0}
    model.save_checkpoint(tmp_path / "linear")

    other = Model(Linear())
    loaded = other.load_checkpoint(tmp_path / "linear.ckpt", strict_load=True)
    assert sorted(loaded) == ["dense.bias", "dense.weight"]
    pictures = Tensor(np.ones((2, 3, 2, 2), np.float32))
    np.testing.assert_array_equal(
        other.predict(pictures).asnumpy(), model.predict(pictures).asnumpy()
    )
    assert other.predict(pictures).asnumpy().argmax(1).tolist() == [1, 1]


@pytest.mark.slow
def test_mobilenetv2_takes_training_steps_in_graph_mode(graph_mode):
    np.random.seed(0)
    network = small_mobilenet()
    model = Model(network)
    before = network.head.head[1].weight.asnumpy().copy()
    model.compile(
        CrossEntropyWithLabelSmooth(0.1, 3), Momentum(network.trainable_params(), 0.05, 0.9)
    )
    pictures = np.random.rand(8, 3, 32, 32).astype(np.float32)
    labels = np.arange(8, dtype=np.int32) % 3
    model.train(2, NumpySlicesDataset((pictures, labels), shuffle=False).batch(4))
    after = network.head.head[1].weight.asnumpy()
    assert np.isfinite(after).all()
    assert not np.array_equal(after, before)


def test_compile_may_be_called_again(graph_mode):
    model = Model(Linear())
    for metrics, name in (({"accuracy"}, "accuracy"), ({"Top": Accuracy()}, "Top")):
        model.compile(SoftmaxCrossEntropyWithLogits(sparse=True), metrics=metrics)
        assert list(model.eval(dark_and_light())) == [name]


def test_compile_refuses_unknown_keywords(raises):
    with raises(ConfigurationError, "unknown-key"):
        Model(Linear()).compile(loss_scale_manger=None)


def test_a_model_takes_a_network_only(raises):
    with raises(ConfigurationError, "wrong-type", name="network", value="dict"):
        Model({})


def test_evaluating_without_metrics_is_an_error():
    with pytest.raises(ValueError, match="metrics"):
        Model(Linear()).eval(dark_and_light())


def test_loading_says_what_matched(tmp_path, caplog, snapshot):
    model = Model(Linear())
    model.save_checkpoint(tmp_path / "model.ckpt")
    with caplog.at_level(logging.INFO, "sedna_tinyms"):
        assert len(model.load_checkpoint(tmp_path / "model.ckpt")) == 2
    assert caplog.records[-1].levelno == logging.INFO
    assert caplog.records[-1].getMessage() == snapshot


def test_a_partly_matching_file_is_refused_or_warned_about_if_told_to_load_it(
    tmp_path, caplog, raises, snapshot
):
    class Deeper(Linear):
        def __init__(self):
            super().__init__()
            self.more = nn.Dense(2, 2)

    path = tmp_path / "linear.ckpt"
    Model(Linear()).save_checkpoint(path)
    loaded = Model(Deeper()).load_checkpoint(path, strict_load=False)
    assert len(loaded) == 2
    assert caplog.records[-1].levelno == logging.WARNING
    assert caplog.records[-1].getMessage() == snapshot
    missing = ("more.weight", "more.bias")
    with raises(ForeignModelError, "foreign-model", path=path, missing=missing):
        Model(Deeper()).load_checkpoint(path)


def test_another_networks_file_is_refused(tmp_path, raises):
    path = tmp_path / "linear.ckpt"
    Model(Linear()).save_checkpoint(path)
    with raises(ForeignModelError, "foreign-model", path=path):
        Model(nn.Conv2d(3, 4, 3)).load_checkpoint(path)


class Small(nn.Cell):
    """What a MobileNetV2 is made of, in two layers."""

    def __init__(self, pad_mode):
        super().__init__()
        padding = 1 if pad_mode == "pad" else 0
        convolution = nn.Conv2d(3, 4, 3, 2, pad_mode, padding)
        self.backbone = nn.SequentialCell([convolution, nn.BatchNorm2d(4), nn.ReLU6()])
        self.head = nn.SequentialCell([nn.Dense(4, 3)])

    def construct(self, x):
        return self.head(self.backbone(x).mean((2, 3)))


def exports_alike(network, path):
    """Export a network twice, and compare what the file gives with what the network gives."""
    network.set_train()
    network.backbone.set_train(False)
    names = [p.name for p in network.get_parameters()]
    for _ in range(2):
        export_onnx(network, (3, 32, 32), path, {"class_names": "bolt;nut", "input_size": 32})
    assert (network.head.training, network.backbone.training) == (True, False)
    assert [p.name for p in network.get_parameters()] == names
    assert stat.S_IMODE(path.stat().st_mode) == 0o644

    session = onnxruntime.InferenceSession(path)
    assert session.get_modelmeta().custom_metadata_map == {
        "class_names": "bolt;nut",
        "input_size": "32",
    }
    network.set_train(False)
    for batch in (1, 3):
        values = np.random.rand(batch, 3, 32, 32).astype(np.float32)
        (result,) = session.run(None, {session.get_inputs()[0].name: values})
        np.testing.assert_allclose(result, network(Tensor(values)).asnumpy(), atol=1e-5)


@pytest.mark.parametrize("pad_mode", ["pad", "same"])
def test_onnx_takes_any_batch_and_says_the_same(pad_mode, tmp_path):
    np.random.seed(1)
    exports_alike(Small(pad_mode), tmp_path / "new" / "network.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("pad_mode", ["pad", "same"])
def test_a_mobilenetv2_is_exported_by_mindspore_and_says_the_same(pad_mode, tmp_path):
    np.random.seed(1)
    exports_alike(small_mobilenet(pad_mode=pad_mode), tmp_path / "network.onnx")


@pytest.mark.parametrize("name", ["network", "network.mindir"])
def test_mindir_comes_back_as_the_same_network(name, tmp_path):
    tmp_path.chmod(0o755)
    model = Model(Linear())
    values = Tensor(np.random.rand(1, 3, 2, 2).astype(np.float32))
    for _ in range(2):
        model.export(values, tmp_path / name)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    np.testing.assert_array_equal(
        load(tmp_path / "network.mindir")(values).asnumpy(), model.predict(values).asnumpy()
    )


def test_a_model_exports_onnx_again_and_again(tmp_path):
    model = Model(Linear())
    values = Tensor(np.random.rand(1, 3, 2, 2).astype(np.float32))
    for _ in range(2):
        model.export(values, tmp_path / "network", "ONNX")
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx")
    (result,) = session.run(None, {session.get_inputs()[0].name: values.asnumpy()})
    np.testing.assert_allclose(result, model.predict(values).asnumpy(), atol=1e-6)


def test_an_unknown_export_format_is_refused(tmp_path, raises):
    with raises(ConfigurationError, "unknown-format", value="ONYX"):
        Model(Linear()).export(Tensor(np.zeros((1, 12), np.float32)), tmp_path / "x", "ONYX")


def test_loading_a_mindir_that_is_none_says_so(tmp_path, raises):
    garbage, nothing = tmp_path / "garbage.mindir", tmp_path / "none.mindir"
    garbage.write_bytes(b"garbage")
    with raises(ModelFileError, "damaged", golden=False, path=garbage) as raised:
        load(garbage)
    assert f"{garbage} (7 bytes)" in str(raised.value)
    with raises(ModelFileError, "missing-file", path=nothing):
        load(nothing)


def test_the_core_is_what_mindspore_users_know():
    model = Model(mobilenetv2(2, width_mult=0.1, last_channel=16))
    assert isinstance(model, mindspore.Model)
    assert model.predict(Tensor(np.zeros((1, 3, 32, 32), np.float32))).shape == (1, 2)
