import pytest

from estimators import TinyMSMobileNetV2
from sedna_tinyms.errors import ConfigurationError


@pytest.mark.parametrize(
    ("keywords", "complaint"),
    [
        ({"class_names": "dog"}, "class_names is the text 'dog'; it must be a list"),
        ({"class_names": ["dog"]}, "at least two classes"),
        ({"class_names": ["dog", "dog"]}, "dog more than once"),
        ({"class_names": ["dog", ""]}, "each must be a name"),
        ({"input_size": 16}, "input_size is 16"),
        ({"width": 0}, "width is 0"),
        ({"epochs": 0}, "epochs is 0"),
        ({"epochs": "3"}, "epochs is '3'"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"batch_size": True}, "batch_size is True"),
        ({"strategy": "heads"}, r"'heads' \(did you mean 'head'\?\)"),
        ({"strategy": "full", "replay": "activations"}, "set replay to 'pixels'"),
        ({"replay": "latents"}, "replay is 'latents'"),
        ({"engine": "openvio"}, r"did you mean 'openvino'\?"),
        ({"cache_bytes": -1}, "cache_bytes is -1"),
        ({"replay_bytes": -1}, "replay_bytes is -1"),
        ({"label_smoothing": 1}, "label_smoothing is 1"),
        ({"pad_mode": "valid"}, "pad_mode is 'valid'"),
        ({"std": (1, 0, 1)}, "std is"),
        ({"mean": (1, 2)}, "three numbers"),
    ],
)
def test_a_setting_out_of_its_range(keywords, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        TinyMSMobileNetV2(**keywords)


def test_everything_that_is_wrong_is_said_at_once():
    with pytest.raises(ConfigurationError, match=r"epochs is 0.*\n.*width is -1"):
        TinyMSMobileNetV2(epochs=0, width=-1)
