"""int8 as a setting of an estimator: the file at the edge, and what it costs."""

import builtins

import pytest
from drawn_pictures import samples, write_folder
from small_mobilenetv2 import NAMES, write_model

from estimators import OnnxClassifier, TinyMSMobileNetV2
from estimators.canary import find_pictures, try_model
from sedna_tinyms.backend import ONNXBackend, TinyMSBackend
from sedna_tinyms.engine.onnx_file import read_onnx
from sedna_tinyms.errors import ConfigurationError, MissingExtraError

SMALL = {"input_size": 32, "width": 0.1, "batch_size": 8, "epochs": 4, "strategy": "head"}


@pytest.fixture(scope="module")
def round_one(tmp_path_factory):
    """A backend that has trained and saved as a train worker does, and what it reported."""
    directory = tmp_path_factory.mktemp("round")
    backend = TinyMSBackend(TinyMSMobileNetV2(**SMALL, quantize="int8"))
    backend.model_save_path = str(directory)
    metrics = backend.train(samples(40))
    model = backend.save(model_name="m.ckpt")
    return directory / "m.onnx", metrics, backend.model_info(model, result=metrics)


def test_the_deployed_file_is_int8_and_the_round_says_what_it_costs(round_one):
    file, metrics, infos = round_one
    assert read_onnx(file).metadata["quantization"] == "int8"
    assert [info["format"] for info in infos] == ["ckpt", "onnx"]
    assert 0.9 <= metrics["accuracy_float32"][0] <= 1
    assert metrics["accuracy_int8"][0] >= metrics["accuracy_float32"][0] - 0.1
    assert metrics["agreement_int8"][0] >= 0.9
    assert metrics["seconds"][0] >= metrics["seconds_quantizing"][0] > 0


def test_the_edge_runs_it(round_one, tmp_path):
    file = round_one[0]
    backend = ONNXBackend(OnnxClassifier(engine="onnxruntime"))
    assert backend.evaluate(samples(30, seed=9), model_path=str(file))["accuracy"][0] >= 0.9
    write_folder(tmp_path, 6)
    canary = try_model(file, find_pictures(tmp_path))
    assert (canary.outcome, canary.pictures) == ("passed", 6), canary.reason


def test_the_next_round_goes_on_from_the_checkpoint(round_one, tmp_path):
    estimator = TinyMSMobileNetV2(batch_size=8, strategy="head", quantize="int8")
    estimator.load_weights(round_one[0].with_suffix(".ckpt"))
    metrics = estimator.train(samples(4, seed=5, brightness=0.6))
    assert metrics["replayed"] == [40.0]
    estimator.save(tmp_path / "next.ckpt")
    int8 = OnnxClassifier(engine="onnxruntime")
    int8.load(tmp_path / "next.onnx")
    assert int8.evaluate(samples(30, seed=9))["accuracy"][0] >= 0.9
    assert (tmp_path / "next.onnx").read_bytes() != round_one[0].read_bytes()


def test_remembered_pixels_calibrate_too(tmp_path):
    # All pictures are red, and their labels are not: whatever is learned, some are mistaken.
    red = enumerate(samples(30, colours=["red"]))
    mixed = [(pixels, NAMES[number % 3]) for number, (pixels, _) in red]
    first = write_model(tmp_path / "first.ckpt", remembered=mixed)
    second = TinyMSMobileNetV2(strategy="head", replay="pixels", quantize="int8")
    second.load_weights(first)
    # The new picture alone would be calibrated and measured with; so it is every second of 31.
    metrics = second.train(samples(1, seed=5))
    assert metrics["replayed"] == [30.0]
    right = metrics["accuracy_float32"][0] * 15
    assert right == pytest.approx(round(right))
    assert 0 < right < 15


def test_a_single_picture_is_enough(tmp_path):
    estimator = TinyMSMobileNetV2(class_names=["red", "green"], quantize="int8", **SMALL)
    metrics = estimator.train(samples(1))
    assert metrics["agreement_int8"][0] in (0.0, 1.0)
    estimator.save(tmp_path / "m.ckpt")
    assert read_onnx(tmp_path / "m.onnx").metadata["quantization"] == "int8"


def test_what_was_not_trained_is_not_quantized(round_one, tmp_path, raises):
    estimator = TinyMSMobileNetV2(quantize="int8")
    estimator.load(round_one[0].with_suffix(".ckpt"))
    with raises(ConfigurationError, "missing-value", name="quantize"):
        estimator.save(tmp_path / "m.ckpt")
    assert not (tmp_path / "m.ckpt").exists()


def test_a_missing_quantizer_is_found_before_anything_is_trained(monkeypatch, raises):
    real = builtins.__import__

    def without_quantizer(name, *args, **kwargs):
        if name == "onnxruntime.quantization":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_quantizer)
    with raises(MissingExtraError, "missing-extra", extra="mindspore"):
        TinyMSMobileNetV2(quantize="int8")
