from functools import cache

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mindspore import Tensor

from sedna_tinyms.engine import open_engine
from sedna_tinyms.engine.mindspore_engine import MindSporeEngine
from sedna_tinyms.errors import ConfigurationError, ForeignModelError, ModelFileError
from sedna_tinyms.tinyms.model import LeNet5, MobileNetV2, export_onnx
from sedna_tinyms.tinyms.model.mobilenetv2_onnx import (
    check_onnx,
    frozen_onnx,
    mobilenetv2_onnx,
    publish_onnx,
)
from sedna_tinyms.tinyms.model.parameters import set_value

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
CLASSES = 3


drawn_from = {}
"""The seed of each network, by width and padding."""


@cache
def built_network(width, pad_mode):
    np.random.seed(0)
    return MobileNetV2(CLASSES, width, last_channel=16, pad_mode=pad_mode).set_train(False)


def network(seed=0, *, width=0.1, pad_mode="pad"):
    """Return a network in prediction mode whose batch normalizations do something."""
    built = built_network(width, pad_mode)
    if drawn_from.get((width, pad_mode)) == seed:
        return built
    drawn_from[width, pad_mode] = seed
    draw = np.random.RandomState(seed)
    for parameter in built.get_parameters():
        low, high = (0.5, 1.5) if parameter.name.endswith(("gamma", "variance")) else (-0.3, 0.3)
        if parameter.name.endswith(("gamma", "beta", "moving_mean", "moving_variance", "bias")):
            set_value(parameter, draw.uniform(low, high, parameter.shape).astype(np.float32))
    return built


def pixels(number, size, seed=1):
    return np.random.RandomState(seed).randint(0, 256, (number, 3, size, size)).astype(np.uint8)


def normalized(values):
    mean, std = (np.array(value, np.float32)[:, None, None] for value in (MEAN, STD))
    return (values.astype(np.float32) - mean) / std


def computed(cell, values):
    return cell(Tensor(values)).asnumpy()


def through(cells, values):
    x = Tensor(values)
    for cell in cells:
        x = cell(x)
    return x.asnumpy()


def computes_what_the_network_does(width, size, pad_mode, takes_pixels, seed):
    built = network(seed, width=width, pad_mode=pad_mode)
    raw = pixels(2, size, seed)
    keywords = {"mean": MEAN, "std": STD} if takes_pixels else {}
    model = mobilenetv2_onnx(built, input_size=size, **keywords)
    values = normalized(raw)
    features = computed(built.backbone, values).mean((2, 3))
    expected = {"logits": computed(built, values), "features": features}
    check_onnx(model, raw if takes_pixels else values, expected, tolerance=1e-4)


@pytest.mark.parametrize(
    ("width", "size", "pad_mode", "takes_pixels"),
    [(0.1, 32, "pad", True), (0.1, 47, "same", False), (0.35, 64, "pad", False)],
)
def test_the_onnx_model_computes_what_the_network_does(width, size, pad_mode, takes_pixels):
    computes_what_the_network_does(width, size, pad_mode, takes_pixels, 0)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(
    width=st.sampled_from([0.1, 0.35, 1.4]),
    size=st.integers(32, 81),
    pad_mode=st.sampled_from(["pad", "same"]),
    takes_pixels=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_an_onnx_model_of_any_size_computes_what_the_network_does(
    width, size, pad_mode, takes_pixels, seed
):
    computes_what_the_network_does(width, size, pad_mode, takes_pixels, seed)


@pytest.mark.parametrize(
    ("cut", "pad_mode"),
    [
        (1, "pad"),
        (14, "same"),
        (19, "pad"),
        pytest.param(1, "same", marks=pytest.mark.slow),
        pytest.param(2, "pad", marks=pytest.mark.slow),
        pytest.param(2, "same", marks=pytest.mark.slow),
        pytest.param(14, "pad", marks=pytest.mark.slow),
        pytest.param(19, "same", marks=pytest.mark.slow),
    ],
)
def test_the_frozen_part_ends_where_the_trained_part_begins(cut, pad_mode):
    built, raw = network(pad_mode=pad_mode), pixels(3, 47)
    values = normalized(raw)
    model = frozen_onnx(built, cut, MEAN, STD, input_size=47)
    cells = list(built.backbone.backbone)
    expected = through(cells[:cut], values)
    if cut == len(cells):
        expected = expected.mean((2, 3), keepdims=True)
    with open_engine(model, outputs={"activations": expected.shape[1:]}) as engine:
        assert engine.input_dtype == np.uint8
        activations = engine.run(raw)["activations"]
    np.testing.assert_allclose(activations, expected, atol=1e-4 * np.abs(expected).max())
    logits = through([*cells[cut:], built.head], activations)
    np.testing.assert_allclose(logits, computed(built, values), atol=1e-4)


def test_weights_by_name_do_as_well_as_a_network():
    built = network(pad_mode="same")
    weights = {p.name: p.asnumpy() for p in built.get_parameters()}
    made = mobilenetv2_onnx(weights, input_size=32, pad_mode="same")
    assert made == mobilenetv2_onnx(built, input_size=32)
    assert made != mobilenetv2_onnx(weights, input_size=32)


def test_the_file_describes_itself_and_holds_no_batch_normalization():
    content = mobilenetv2_onnx(
        network(), input_size=32, metadata={"class_names": "ä", "width": 0.1}
    )
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    assert {node.op_type for node in model.graph.node} == {
        "Conv", "Clip", "Add", "GlobalAveragePool", "Flatten", "Gemm",
    }  # fmt: skip
    with open_engine(content) as engine:
        assert engine.metadata == {"class_names": "ä", "width": "0.1"}
        assert engine.input_shape == (3, 32, 32)
        assert engine.output_shapes == {"logits": (CLASSES,), "features": (16,)}


def test_the_largest_common_network_is_written_whole():
    made = mobilenetv2_onnx(MobileNetV2(1000).set_train(False), input_size=224)
    assert len(made) == pytest.approx(4 * 3_504_872, rel=0.02)


# --- publishing -------------------------------------------------------------------------------


def test_a_model_is_published_once_it_was_checked(tmp_path):
    built, values = network(), normalized(pixels(2, 32))
    path = tmp_path / "new" / "model.onnx"
    expected = {"logits": computed(built, values)}
    model = mobilenetv2_onnx(built, input_size=32)
    assert publish_onnx(model, path, values, expected) < 1e-5
    with open_engine(path) as engine:
        np.testing.assert_allclose(engine.run(values)["logits"], expected["logits"], atol=1e-5)


@pytest.mark.parametrize(
    ("output", "change", "code"),
    [
        ("logits", lambda array: array + 0.01 * np.abs(array).max(), "damaged"),
        ("logits", lambda array: array * np.nan, "damaged"),
        ("logits", lambda array: array[:, :2], "wrong-shape"),
        ("logit", lambda array: array, "wrong-shape"),
    ],
    ids=["other", "nan", "shape", "missing"],
)
def test_a_model_that_differs_from_its_network_is_not_published(
    output, change, code, tmp_path, raises
):
    built, values = network(), normalized(pixels(2, 32))
    model, logits = mobilenetv2_onnx(built, input_size=32), computed(built, values)
    # The largest logit differs in its last digit between processors.
    with raises(ModelFileError, code, name=output, golden=code != "damaged") as raised:
        publish_onnx(model, tmp_path / "model.onnx", values, {output: change(logits)})
    if code == "damaged":
        assert not raised.value.fields["value"] < 0.009  # NaN is not either
    assert list(tmp_path.iterdir()) == []


def test_the_wrong_padding_is_found_by_the_check(raises):
    built, values = network(pad_mode="same"), normalized(pixels(2, 64))
    weights = {p.name: p.asnumpy() for p in built.get_parameters()}
    model = mobilenetv2_onnx(weights, input_size=64, pad_mode="pad")
    with raises(ModelFileError, "damaged", golden=False, name="logits"):
        check_onnx(model, values, {"logits": computed(built, values)})


def test_any_network_is_exported_once_its_file_agrees_with_it(tmp_path, raises):
    lenet, path = LeNet5().set_train(False), tmp_path / "lenet.onnx"
    samples = np.random.RandomState(0).rand(2, 1, 32, 32).astype(np.float32)
    export_onnx(lenet, (1, 32, 32), path, samples=samples)
    with open_engine(path) as engine:
        (logits,) = engine.run(samples).values()
    np.testing.assert_allclose(logits, computed(lenet, samples), atol=1e-5)
    with raises(ConfigurationError, "not-finite"):
        export_onnx(lenet, (1, 32, 32), tmp_path / "other.onnx", samples=samples * np.nan)
    assert not (tmp_path / "other.onnx").exists()


@pytest.mark.parametrize(
    ("keywords", "code", "name"),
    [
        ({"input_size": 31}, "out-of-range", "input_size"),
        ({"pad_mode": "same"}, "conflict", "pad_mode"),
        ({"mean": MEAN}, "missing-value", "std"),
        ({"mean": MEAN[:2], "std": STD}, "wrong-length", "mean"),
    ],
)
def test_what_cannot_be_written_is_refused(raises, keywords, code, name):
    with raises(ConfigurationError, code, name=name):
        mobilenetv2_onnx(network(), **{"input_size": 32} | keywords)


@pytest.mark.parametrize("cut", [0, 20])
def test_a_cut_outside_the_backbone_is_refused(raises, cut):
    with raises(ConfigurationError, "out-of-range", name="cut", value=cut):
        frozen_onnx(network(), cut, MEAN, STD, input_size=32)


def test_another_networks_weights_are_refused(raises):
    weights = {p.name: p.asnumpy() for p in LeNet5().get_parameters()}
    with raises(ForeignModelError, "foreign-model", name="backbone.backbone.0.features.0.weight"):
        mobilenetv2_onnx(weights, input_size=32)


def test_the_mindspore_engine_says_what_the_onnx_engines_say(raises):
    built, values = network(), normalized(pixels(19, 32))
    model = mobilenetv2_onnx(built, input_size=32)
    handed = MindSporeEngine(built, (3, 32, 32), {"logits": (CLASSES,)}, {"round": "1"})
    with handed as engine, open_engine(model, "onnxruntime") as other:
        assert (engine.name, engine.metadata) == ("mindspore", {"round": "1"})
        for number in (1, 3, 19):
            found = engine.run(values[:number])["logits"]
            np.testing.assert_allclose(found, other.run(values[:number])["logits"], atol=1e-4)
    with raises(ConfigurationError, "closed"):
        handed.run(values)
