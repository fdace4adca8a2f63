import logging
from functools import cache

import numpy as np
import pytest
from mindspore import Tensor

from estimators import TinyMSMobileNetV2
from sedna_tinyms.engine import available_engines
from sedna_tinyms.engine.cpu import bfloat16_is_native
from sedna_tinyms.learning.activations import activations
from sedna_tinyms.learning.cache import ActivationCache
from sedna_tinyms.learning.frozen import FrozenBackbone
from sedna_tinyms.pictures import load_pixels
from sedna_tinyms.tinyms.context import PYNATIVE_MODE, temporary_mode
from sedna_tinyms.tinyms.model import MobileNetV2
from sedna_tinyms.tinyms.model.parameters import set_value

SIZE, CUT = 32, 19
MEAN, STD = (120.0, 110.0, 100.0), (60.0, 58.0, 56.0)
WITHOUT_BFLOAT16 = "processor\t: 0\nmodel name\t: Old CPU\nflags\t\t: fpu sse2 avx2\n"
with_openvino = pytest.mark.skipif(
    "openvino" not in available_engines(), reason="OpenVINO is not installed"
)
with_bfloat16 = pytest.mark.skipif(
    "openvino" not in available_engines() or not bfloat16_is_native(),
    reason="needs OpenVINO, and a processor that multiplies bfloat16",
)


@cache
def network():
    """Return a network whose batch normalizations keep activations from fading."""
    np.random.seed(0)
    built = MobileNetV2(3, 0.1, last_channel=16).set_train(False)
    draw = np.random.RandomState(0)
    for parameter in built.get_parameters():
        if parameter.name.endswith(("gamma", "beta")):
            set_value(parameter, draw.uniform(0.5, 1.5, parameter.shape).astype(np.float32))
    return built


def frozen(**keywords):
    return FrozenBackbone(network(), CUT, input_size=SIZE, mean=MEAN, std=STD, **keywords)


def pictures(count=5):
    return list(np.random.RandomState(1).randint(0, 256, (count, 40, 40, 3)).astype(np.uint8))


@cache
def computed_by_mindspore():
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (MEAN, STD))
    x = Tensor((load_pixels(pictures(), SIZE) - mean) / std)
    with temporary_mode(PYNATIVE_MODE):  # otherwise each cell is compiled
        for cell in network().backbone.backbone:
            x = cell(x)
    return x.asnumpy().mean((2, 3), keepdims=True)


@pytest.mark.parametrize("engine", [*available_engines(), "mindspore", "auto"])
def test_every_engine_gives_what_the_network_does(engine):
    backbone = frozen(engine=engine, precision="f32")
    assert backbone.choice.engine == engine or engine == "auto"
    assert backbone.choice.precision == "f32"
    found = backbone.run(load_pixels(pictures(), SIZE))
    expected = computed_by_mindspore()
    assert (found.dtype, found.shape) == (np.float16, expected.shape)
    np.testing.assert_allclose(found, expected, atol=2e-3 * expected.max())
    assert backbone.computed == len(found)


def test_no_engine_is_opened_where_all_is_cached(tmp_path, caplog):
    caplog.set_level(logging.INFO, "sedna_tinyms.engine")
    some = pictures()
    rows = activations(some, frozen(engine="onnxruntime"), ActivationCache(tmp_path), SIZE)
    (opened,) = caplog.records
    assert opened.args[1].engine == "onnxruntime"
    caplog.clear()
    again = frozen(engine="onnxruntime")
    np.testing.assert_array_equal(activations(some, again, ActivationCache(tmp_path), SIZE), rows)
    assert (again.computed, caplog.text) == (0, "")


def test_activations_belong_to_weights_pixels_and_cut():
    spaces = {
        FrozenBackbone.space_of(network(), CUT, SIZE, MEAN, STD),
        FrozenBackbone.space_of(network(), CUT - 1, SIZE, MEAN, STD),
        FrozenBackbone.space_of(network(), CUT, SIZE + 1, MEAN, STD),
        FrozenBackbone.space_of(network(), CUT, SIZE, STD, STD),
        FrozenBackbone.space_of(MobileNetV2(3, 0.1, last_channel=16), CUT, SIZE, MEAN, STD),
    }
    assert len(spaces) == 5


# --- precision ----------------------------------------------------------------------------------


@with_bfloat16
def test_the_cache_keeps_precisions_apart(tmp_path):
    some, rows = pictures(), {}
    for precision in ("f32", "bf16"):
        backbone = frozen(engine="openvino", precision=precision)
        rows[precision] = activations(some, backbone, ActivationCache(tmp_path), SIZE)
        assert backbone.computed == len(some)
        assert backbone.cached_as == f"{backbone.space}-{precision}"
    assert (rows["f32"] != rows["bf16"]).any()
    scale = np.abs(rows["f32"]).max()
    np.testing.assert_allclose(rows["bf16"], rows["f32"], atol=0.05 * scale)


@with_bfloat16
def test_a_memory_that_was_filled_in_another_precision_is_gone_on_with(tmp_path):
    colours = {"red": (200, 30, 30), "green": (30, 200, 30)}
    draw = np.random.RandomState(0)
    pictures = [
        (np.clip(draw.normal(colours[name], 20, (40, 40, 3)), 0, 255).astype(np.uint8), name)
        for name in ("red", "green") * 16
    ]
    data, others = pictures[:16], pictures[16:]
    common = {"strategy": "head", "engine": "openvino"}
    first = TinyMSMobileNetV2(None, SIZE, 0.1, **common, precision="f32")
    first.train(data)
    first.save(tmp_path / "model.ckpt")
    second = TinyMSMobileNetV2(**common, precision="bf16")
    second.load_weights(tmp_path / "model.ckpt")
    metrics = second.train(others)
    assert metrics["replayed"] == [16.0]
    assert metrics["computed"] == [16.0]
    again = second.train(data)
    assert again["replayed"] == [16.0], "the others; what comes again is learned anew"
    assert again["computed"] == [16.0]  # those in the cache are float32's
    assert metrics["accuracy"][0] >= 0.9


@with_openvino
@pytest.mark.parametrize("precision", ["bf16", "auto"])
def test_a_processor_without_bfloat16_computes_and_caches_f32(precision, tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text(WITHOUT_BFLOAT16)
    monkeypatch.setattr("sedna_tinyms.engine.cpu.CPUINFO", tmp_path / "cpuinfo")
    backbone = frozen(engine="openvino", precision=precision)
    assert backbone.choice.precision == "f32"
    assert backbone.cached_as.endswith("-f32")
    np.testing.assert_array_equal(
        backbone.run(load_pixels(pictures(), SIZE)),
        frozen(engine="openvino", precision="f32").run(load_pixels(pictures(), SIZE)),
    )
