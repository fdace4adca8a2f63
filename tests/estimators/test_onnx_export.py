"""The ONNX file beside a model: what it is compared with, and when."""

import numpy as np
import onnx
from drawn_pictures import samples
from small_mobilenetv2 import copied

from estimators import MindSporeMobileNetV2, OnnxClassifier, onnx_export
from sedna_tinyms.errors import ModelFileError

SETTINGS = {"batch_size": 8, "strategy": "head"}


def next_round(model, **settings):
    estimator = MindSporeMobileNetV2(**SETTINGS, **settings)
    estimator.load_weights(model)
    estimator.train(samples(6, seed=3))
    return estimator


def test_mindspore_computes_a_backbone_once(colours, tmp_path, monkeypatch):
    def computed(*_):
        raise AssertionError("MindSpore computed the backbone once more")

    monkeypatch.setattr(onnx_export, "_computed_by_mindspore", computed)
    next_round(colours).save(tmp_path / "next.ckpt")
    classifier = OnnxClassifier(engine="onnxruntime")
    classifier.load(tmp_path / "next.onnx")
    assert classifier.evaluate(samples(20, seed=9))["accuracy"][0] >= 0.9


def test_a_file_that_is_written_otherwise_is_compared_again(colours, tmp_path, monkeypatch, raises):
    write = onnx_export.mobilenetv2_onnx

    def faulty(*arguments, **named):
        content = onnx.load_from_string(write(*arguments, **named))
        array = next(each for each in content.graph.initializer if len(each.dims) == 4)
        zeros = np.zeros_like(onnx.numpy_helper.to_array(array))
        array.CopyFrom(onnx.numpy_helper.from_array(zeros, array.name))
        return content.SerializeToString()

    estimator = next_round(colours)
    monkeypatch.setattr(onnx_export, "mobilenetv2_onnx", faulty)
    with raises(ModelFileError, "damaged", golden=False):
        estimator.save(tmp_path / "next.ckpt")
    assert list(tmp_path.iterdir()) == []


def test_an_older_models_file_does_not_stay(colours, tmp_path):
    path = copied(colours, tmp_path)
    assert path.with_suffix(".onnx").exists()
    next_round(colours, export_onnx=False).save(path)
    assert not path.with_suffix(".onnx").exists()
