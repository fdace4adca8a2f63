"""An ONNX file put to use without MindSpore, and the estimator that wrote it as its measure."""

import copy
import subprocess
import sys
import threading

import numpy as np
import pytest
from drawn_pictures import samples, write_folder
from small_mobilenetv2 import NAMES, SIZE, WIDTH, weights

from estimators import MindSporeMobileNetV2, OnnxClassifier
from estimators.model_card import ModelCard
from sedna_tinyms.errors import (
    ConfigurationError,
    DatasetError,
    ForeignModelError,
    ModelFileError,
)
from sedna_tinyms.tinyms.model.mobilenetv2_onnx import mobilenetv2_onnx

CARD = ModelCard(NAMES, width=WIDTH, input_size=SIZE, mean=(100.0, 110.0, 120.0))


def write_onnx(path, card=CARD, scale=1, **options):
    """Write an untrue sibling of the shared model: its head's weights are scaled."""
    options = {"input_size": card.input_size, "metadata": card.metadata()} | options
    arrays = weights()
    arrays["head.head.1.weight"] = scale * arrays["head.head.1.weight"]
    path.write_bytes(mobilenetv2_onnx(arrays, **options))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory, colours):
    """An estimator that has learnt the colours, and the ONNX file of its network."""
    estimator = MindSporeMobileNetV2()
    estimator.load(colours)
    path = tmp_path_factory.mktemp("trained") / "model.onnx"
    network, card = estimator.network, estimator.card
    model = mobilenetv2_onnx(network, input_size=SIZE, metadata=card.metadata())
    path.write_bytes(model)
    return estimator, path


@pytest.fixture
def classifier(trained):
    loaded = OnnxClassifier(engine="onnxruntime")
    loaded.load(trained[1])
    return loaded


def test_it_says_what_the_estimator_says(trained, classifier):
    pictures = [picture for picture, _ in samples(40, seed=1)]
    ours, theirs = classifier.predict(pictures), trained[0].predict(pictures)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert [p.class_name for p in ours] == [p.class_name for p in theirs]
    assert ours[0].logits.shape == (3,)
    assert ours[0].embedding.shape == (1280,)
    single = classifier.predict(pictures[0])
    assert single == pytest.approx(ours[0], abs=1e-5)
    assert classifier.predict([]) == []


def test_an_evaluation_is_the_estimators_and_says_which_were_right(trained, classifier):
    data = samples(40, seed=2)
    found = classifier.evaluate(data)
    expected = trained[0].evaluate(data)
    assert {name: found[name] for name in ("accuracy", "recall", "f1_mean")} == {
        name: expected[name] for name in ("accuracy", "recall", "f1_mean")
    }
    right = [classifier.predict(picture).class_name == label for picture, label in data]
    assert found["correct"] == [float(value) for value in right]


def test_an_image_folder_is_evaluated(classifier, tmp_path):
    assert classifier.evaluate(str(write_folder(tmp_path, 9)))["accuracy"] == [
        pytest.approx(classifier.evaluate(samples(9))["accuracy"][0])
    ]


def test_a_model_that_normalizes_by_itself_says_the_same(trained, classifier, tmp_path):
    card = trained[0].card
    model = mobilenetv2_onnx(
        trained[0].network, input_size=SIZE, mean=card.mean, std=card.std, metadata=card.metadata()
    )
    (tmp_path / "bytes.onnx").write_bytes(model)
    other = OnnxClassifier(engine="onnxruntime")
    other.load(tmp_path / "bytes.onnx")
    pictures = [picture for picture, _ in samples(5, seed=3)]
    np.testing.assert_allclose(other.predict(pictures), classifier.predict(pictures), atol=1e-4)


def test_the_classes_asked_for_must_be_the_models(trained, raises):
    OnnxClassifier(list(NAMES)).load(trained[1])
    other = ("red", "blue", "green")
    with raises(ForeignModelError, "class-mismatch", value=NAMES, expected=other):
        OnnxClassifier(other).load(trained[1])


def test_what_is_no_model_of_ours_is_refused_and_the_old_one_stays(classifier, tmp_path, raises):
    query = samples(1)[0][0]
    before = classifier.predict(query)
    larger = ModelCard(NAMES, width=WIDTH, input_size=64)
    fewer = ModelCard(NAMES[:2], width=WIDTH, input_size=SIZE)
    whole = write_onnx(tmp_path / "whole.onnx").read_bytes()
    (tmp_path / "half.onnx").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.onnx").write_text("no model at all")
    for name, metadata in {
        "anonymous": None,
        "lies": larger.metadata(),
        "few": fewer.metadata(),
        "other": CARD.metadata() | {"architecture": '"ResNet50"'},
    }.items():
        path = write_onnx(tmp_path / f"{name}.onnx", metadata=metadata)
        with raises(ForeignModelError, "foreign-model", path=path):
            classifier.load(path)
    for name, code in {"half": "damaged", "text": "damaged", "gone": "missing-file"}.items():
        path = tmp_path / f"{name}.onnx"
        with raises(ModelFileError, code, path=path, golden=False):
            classifier.load(path)
    assert classifier.predict(query) == before


def test_nothing_loaded_and_nothing_readable(classifier, tmp_path, raises):
    with raises(ModelFileError, "missing-value"):
        OnnxClassifier().predict(np.zeros((8, 8), np.uint8))
    gone = str(tmp_path / "gone.jpg")
    with raises(DatasetError, "missing-file") as raised:
        classifier.predict(gone)
    assert str(raised.value.problems[0].fields["path"]) == gone
    with raises(ConfigurationError, "unknown-name") as raised:
        OnnxClassifier(engine="onxruntime").load(write_onnx(tmp_path / "m.onnx"))
    assert raised.value.problems[0].fields["value"] == "onxruntime"


def test_a_copy_goes_its_own_way(classifier, tmp_path):
    query = samples(1)[0][0]
    copied = copy.deepcopy(classifier)
    assert copied.predict(query) == classifier.predict(query)
    copied.load(write_onnx(tmp_path / "other.onnx", scale=0.5))
    assert copied.predict(query) != classifier.predict(query)


def test_threads_predict_side_by_side_while_models_are_loaded(tmp_path):
    files = [write_onnx(tmp_path / f"{scale}.onnx", scale=scale) for scale in (1, -1)]
    pictures = [picture for picture, _ in samples(3)]
    classifier = OnnxClassifier(engine="onnxruntime", threads=1)
    expected = []
    for path in files:
        classifier.load(path)
        expected.append(np.array(classifier.predict(pictures)))
    assert not np.allclose(*expected, atol=0.1)
    seen, done = [], threading.Event()

    def work():
        while not done.is_set():
            seen.append(np.array(classifier.predict(pictures)))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for turn in range(10):
        classifier.load(files[turn % 2])
    done.set()
    for thread in threads:
        thread.join(60)
    assert seen
    for found in seen:
        assert any(np.allclose(found, answer, atol=1e-5) for answer in expected)


def test_neither_the_estimator_nor_its_backend_imports_mindspore(trained):
    program = (
        "import sys, numpy as np\n"
        "from estimators import OnnxClassifier, Prediction, line_parser\n"
        "from sedna_tinyms.backend import ONNXBackend\n"
        f"backend = ONNXBackend(OnnxClassifier, model_save_path={str(trained[1])!r})\n"
        "backend.predict(np.zeros((8, 8, 3), np.uint8))\n"
        "sys.exit('mindspore' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
