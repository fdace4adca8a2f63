import hashlib

import numpy as np
import onnx
import pytest
from small_onnx import write_classifier

from estimators import OnnxClassifier
from sedna_tinyms.errors import ModelFileError


def test_weights_that_are_no_numbers_are_refused(tmp_path, raises):
    path = write_classifier(tmp_path / "model.onnx", weight=float("nan"))
    with raises(ModelFileError, "not-finite"):
        OnnxClassifier(engine="onnxruntime").load(path)


def test_a_prediction_says_which_model_gave_it(tmp_path):
    classifier = OnnxClassifier(engine="onnxruntime")
    assert classifier.version is None
    picture = np.zeros((8, 8, 3), np.uint8)
    seen = []
    for weight in (0.01, 0.02):
        path = write_classifier(tmp_path / "model.onnx", weight=weight)
        classifier.load(path)
        seen.append(classifier.predict(picture).version)
        assert seen[-1] == classifier.version
        assert hashlib.sha256(path.read_bytes()).hexdigest().startswith(seen[-1])
    assert len(set(seen)) == 2


def test_layers_that_do_not_fit_together_are_refused(tmp_path, raises):
    path = write_classifier(tmp_path / "model.onnx")
    model = onnx.load(path)
    for constant in model.graph.initializer:
        if constant.name == "end":  # of a slice: found out only when it is computed
            constant.raw_data = np.array([2], np.int64).tobytes()
    onnx.save(model, path)
    with raises(ModelFileError, "unsupported", golden=False):
        OnnxClassifier(engine="onnxruntime").load(path)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        pytest.param("class_names", "[" * 100_000, id="nested"),
        ("class_names", "null"),
        ("input_size", "Infinity"),
        ("width", "1" + "0" * 400),
        ("mean", "[true, {}]"),
    ],
)
def test_a_description_that_cannot_be_understood_is_refused(tmp_path, word, said, raises):
    path = write_classifier(tmp_path / "model.onnx")
    model = onnx.load(path)
    for entry in model.metadata_props:
        if entry.key == word:
            entry.value = said
    onnx.save(model, path)
    with raises(ModelFileError, "damaged", path=path, golden=False):
        OnnxClassifier(engine="onnxruntime").load(path)
