import mindspore
import pytest

from sedna_tinyms.backend import MSBackend, device
from sedna_tinyms.errors import DeviceError


@pytest.mark.parametrize(
    ("environment", "keywords", "target"),
    [
        ({}, {}, "CPU"),
        ({"DEVICE_CATEGORY": "cpu"}, {}, "CPU"),
        ({"DEVICE_CATEGORY": "GPU"}, {}, "GPU"),
        ({"DEVICE_CATEGORY": "NPU"}, {}, "Ascend"),
        ({"DEVICE_CATEGORY": "Ascend"}, {}, "Ascend"),
        ({"DEVICE_CATEGORY": "GPU", "CUDA_VISIBLE_DEVICES": ""}, {}, "CPU"),
        ({"DEVICE_CATEGORY": "GPU", "CUDA_VISIBLE_DEVICES": "-1"}, {}, "CPU"),
        ({"DEVICE_CATEGORY": "GPU", "CUDA_VISIBLE_DEVICES": "0"}, {}, "GPU"),
        ({"CUDA_VISIBLE_DEVICES": ""}, {"use_cuda": True}, "CPU"),
        ({"CUDA_VISIBLE_DEVICES": "0"}, {"use_cuda": True}, "GPU"),
        ({"DEVICE_CATEGORY": "CPU"}, {"use_cuda": True}, "CPU"),
        ({}, {"use_npu": True}, "Ascend"),
        ({"DEVICE_CATEGORY": "GPU"}, {"category": "NPU"}, "Ascend"),
    ],
)
def test_the_device_that_a_job_asks_for(environment, keywords, target):
    assert device.wanted_target(environment=environment, **keywords) == target


def test_an_unknown_category_gets_a_suggestion(raises, monkeypatch):
    monkeypatch.setenv("DEVICE_CATEGORY", "ASCENT")
    with raises(DeviceError, "unknown-name", value="ASCENT"):
        MSBackend(object())


@pytest.mark.skipif(device.available_targets() != ["CPU"], reason="this machine has more")
@pytest.mark.parametrize(("category", "target"), [("GPU", "GPU"), ("NPU", "Ascend")])
def test_an_impossible_wish_lists_what_there_is(raises, category, target, monkeypatch):
    monkeypatch.setenv("DEVICE_CATEGORY", category)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with raises(DeviceError, "unavailable-device", golden=False, value=target, valid=("CPU",)):
        MSBackend(object())
    assert mindspore.get_context("device_target") == "CPU"


@pytest.mark.skipif(device.available_targets() != ["CPU"], reason="this machine has more")
def test_a_gpu_wish_that_comes_from_cuda_visible_devices_says_so(raises, monkeypatch):
    monkeypatch.delenv("DEVICE_CATEGORY", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with raises(DeviceError, "unavailable-device", golden=False, value="GPU") as raised:
        MSBackend(object(), use_cuda=True)
    assert "CUDA_VISIBLE_DEVICES" in str(raised.value)
