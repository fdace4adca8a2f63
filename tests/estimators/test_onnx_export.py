"""The ONNX file beside a model: what it is compared with, and when."""

import numpy as np
import onnx
import pytest
from drawn_pictures import samples

from estimators import OnnxClassifier, TinyMSMobileNetV2, onnx_export
from sedna_tinyms.errors import ModelFileError

SETTINGS = {"batch_size": 8, "strategy": "head"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model of one round, with its ONNX file."""
    path = tmp_path_factory.mktemp("model") / "m.ckpt"
    estimator = TinyMSMobileNetV2(input_size=32, width=0.1, **SETTINGS)
    estimator.train(samples(20))
    estimator.save(path)
    return path


def next_round(model, **settings):
    estimator = TinyMSMobileNetV2(**SETTINGS, **settings)
    estimator.load_weights(model)
    estimator.train(samples(6, seed=3))
    return estimator


def test_mindspore_computes_a_backbone_once(model, tmp_path, monkeypatch):
    def computed(*_):
        raise AssertionError("MindSpore computed the backbone once more")

    monkeypatch.setattr(onnx_export, "_computed_by_mindspore", computed)
    next_round(model).save(tmp_path / "next.ckpt")
    classifier = OnnxClassifier(engine="onnxruntime")
    classifier.load(tmp_path / "next.onnx")
    assert classifier.evaluate(samples(20, seed=9))["accuracy"][0] >= 0.9


def test_a_file_that_is_written_otherwise_is_compared_again(model, tmp_path, monkeypatch):
    write = onnx_export.mobilenetv2_onnx

    def faulty(*arguments, **named):
        content = onnx.load_from_string(write(*arguments, **named))
        array = next(each for each in content.graph.initializer if len(each.dims) == 4)
        zeros = np.zeros_like(onnx.numpy_helper.to_array(array))
        array.CopyFrom(onnx.numpy_helper.from_array(zeros, array.name))
        return content.SerializeToString()

    estimator = next_round(model)
    monkeypatch.setattr(onnx_export, "mobilenetv2_onnx", faulty)
    with pytest.raises(ModelFileError, match="not published"):
        estimator.save(tmp_path / "next.ckpt")
    assert list(tmp_path.iterdir()) == []


def test_an_older_models_file_does_not_stay(model, tmp_path):
    path = tmp_path / "m.ckpt"
    path.with_suffix(".onnx").write_bytes(model.with_suffix(".onnx").read_bytes())
    next_round(model, export_onnx=False).save(path)
    assert not path.with_suffix(".onnx").exists()
