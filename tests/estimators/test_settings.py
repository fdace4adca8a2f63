import math

import pytest

from estimators import TinyMSMobileNetV2
from sedna_tinyms.errors import ConfigurationError


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("class_names", "dog", "wrong-type"),
        ("class_names", ["dog"], "wrong-length"),
        ("class_names", ["dog", "dog"], "duplicate"),
        ("class_names", ["dog", ""], "wrong-type"),
        ("input_size", 16, "out-of-range"),
        ("width", 0, "out-of-range"),
        ("epochs", 0, "out-of-range"),
        ("epochs", "3", "not-an-integer"),
        ("learning_rate", math.inf, "not-a-number"),
        ("batch_size", True, "not-an-integer"),
        ("strategy", "heads", "unknown-name"),
        ("replay", "latents", "unknown-name"),
        ("engine", "openvio", "unknown-name"),
        ("quantize", "int9", "unknown-name"),
        ("cache_bytes", -1, "out-of-range"),
        ("replay_bytes", -1, "out-of-range"),
        ("label_smoothing", 1, "out-of-range"),
        ("weight_decay", -0.1, "out-of-range"),
        ("pad_mode", "valid", "unknown-name"),
        ("std", (1, 0, 1), "out-of-range"),
        ("mean", (1, 2), "wrong-shape"),
    ],
)
def test_a_setting_out_of_its_range(name, value, code, raises):
    with raises(ConfigurationError, code) as raised:
        TinyMSMobileNetV2(**{name: value})
    (problem,) = raised.value.problems
    assert (problem.fields["name"], problem.fields["value"]) == (name, value)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"strategy": "full", "replay": "activations"}, "replay"),
        ({"quantize": "int8", "export_onnx": False}, "quantize"),
    ],
)
def test_settings_that_contradict_each_other(settings, name, raises):
    with raises(ConfigurationError, "conflict") as raised:
        TinyMSMobileNetV2(**settings)
    assert [problem.fields["name"] for problem in raised.value.problems] == [name]


def test_everything_that_is_wrong_is_said_at_once(raises):
    with raises(ConfigurationError, "out-of-range") as raised:
        TinyMSMobileNetV2(epochs=0, width=-1)
    assert [problem.fields["name"] for problem in raised.value.problems] == ["epochs", "width"]
