import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mindspore import Tensor
from seeded_weights import CLASSES, LAST, WIDTH, pictures, torchvision_weights

from sedna_tinyms.errors import ConfigurationError
from sedna_tinyms.tinyms.model import MobileNetV2, load_weights, mobilenetv2
from sedna_tinyms.tinyms.model.mobilenetv2 import round_channels

# TinyMS 0.3.2's parameters of mobilenetv2(class_num=10): "name (shape)", a line each, in order.
TINYMS_PARAMETERS = "42e78aad975561d5d6dbe8aa26c7bffd8dc305ddf728c957168eb93c4c8e1b0e"

# What PyTorch 2.13 computes from seeded_weights.pictures() with the same weights.
TORCH_LOGITS = {
    "pad": [
        [-12.642857, -6.616838, 3.6091824, 4.6171217, -6.6226454],
        [-18.214062, -1.4429102, -0.6343063, 3.8893173, -5.3617496],
    ],
    "same": [
        [-14.9884, 3.2291343, 4.368848, 0.117378, -4.685464],
        [-6.010423, -8.659738, 5.834354, 6.463748, -11.713789],
    ],
}


def small(**keywords):
    return MobileNetV2(class_num=3, width_mult=0.1, last_channel=16, **keywords).set_train(False)


def forward(network, values):
    return network(Tensor(values)).asnumpy()


def test_parameters_have_tinyms_names_shapes_and_order():
    network = mobilenetv2(10)
    listed = "\n".join(f"{p.name} {tuple(p.shape)}" for p in network.get_parameters())
    assert hashlib.sha256(listed.encode()).hexdigest() == TINYMS_PARAMETERS
    assert sum(p.size for p in network.get_parameters()) == 2_270_794
    assert len(network.trainable_params()) == 158


@pytest.mark.parametrize("pad_mode", ["pad", "same"])
def test_logits_are_those_of_pytorch_with_the_same_weights(pad_mode, tmp_path):
    np.savez(tmp_path / "weights.npz", **torchvision_weights())
    network = MobileNetV2(CLASSES, WIDTH, last_channel=LAST, pad_mode=pad_mode).set_train(False)
    load_weights(network, tmp_path / "weights.npz")
    np.testing.assert_allclose(
        forward(network, pictures()), TORCH_LOGITS[pad_mode], rtol=0, atol=1e-4
    )


def test_the_head_follows_the_unpooled_backbone():
    network = small()
    values = np.random.RandomState(0).randn(2, 3, 64, 96).astype(np.float32)
    features = network.backbone(Tensor(values))
    assert features.shape == (2, network.backbone.out_channels, 2, 3)
    np.testing.assert_array_equal(network.head(features).asnumpy(), forward(network, values))


def test_without_training_the_output_is_the_softmax_of_the_same_logits():
    np.random.seed(3)
    logits_network = small()
    np.random.seed(3)
    network = small(is_training=False)
    assert [p.name for p in network.get_parameters()] == [
        p.name for p in logits_network.get_parameters()
    ]
    values = np.ones((1, 3, 32, 32), np.float32)
    exponentials = np.exp(forward(logits_network, values))
    np.testing.assert_allclose(
        forward(network, values), exponentials / exponentials.sum(), rtol=1e-5
    )


def test_numpys_seed_fixes_the_weights():
    def drawn(seed):
        np.random.seed(seed)
        return np.concatenate([p.asnumpy().ravel() for p in small().get_parameters()])

    np.testing.assert_array_equal(drawn(1), drawn(1))
    assert not np.array_equal(drawn(1), drawn(2))


def test_weights_are_drawn_from_tinyms_distributions():
    np.random.seed(0)
    parameters = {p.name: p.asnumpy() for p in mobilenetv2(10).get_parameters()}
    last = parameters["backbone.backbone.18.features.0.weight"]
    assert last.std() == pytest.approx(np.sqrt(2 / 1280), rel=0.02)
    depthwise = parameters["backbone.backbone.17.conv.1.features.0.weight"]
    assert depthwise.std() == pytest.approx(np.sqrt(2 / (9 * 960)), rel=0.05)
    assert parameters["head.head.1.weight"].std() == pytest.approx(0.01, rel=0.05)
    assert not parameters["head.head.1.bias"].any()


@given(st.floats(1, 5000), st.sampled_from([1, 4, 8, 16]))
def test_channels_are_multiples_that_keep_nine_tenths(channels, divisor):
    rounded = round_channels(channels, divisor)
    assert rounded % divisor == 0
    assert 0.9 * channels <= rounded <= max(divisor, channels + divisor)


@pytest.mark.parametrize(("width", "last"), [(0.35, 1280), (1.0, 1280), (1.4, 1792)])
def test_the_last_layer_is_widened_but_never_narrowed(width, last):
    assert mobilenetv2(2, width_mult=width).backbone.out_channels == last


def test_an_unknown_keyword_is_refused_with_the_nearest_one(raises):
    for keyword in ("width_mul", "num_classes"):
        with raises(ConfigurationError, "unknown-key") as raised:
            mobilenetv2(**{keyword: 10})
        assert [each.fields["name"] for each in raised.value.problems] == [keyword]


def test_values_out_of_range_are_said_together(raises):
    with raises(ConfigurationError, "configuration") as raised:
        mobilenetv2(0, width_mult=-1, pad_mode="sane", last_channel=1.5)
    found = {each.fields["name"]: each.code for each in raised.value.problems}
    assert found == {
        "class_num": "out-of-range",
        "last_channel": "out-of-range",
        "width_mult": "out-of-range",
        "pad_mode": "unknown-name",
    }
