import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sedna_tinyms.engine import available_engines, open_engine
from sedna_tinyms.engine.quantization import QuantizationReport, quantize
from sedna_tinyms.errors import ConfigurationError, ModelFileError

SIZE, CHANNELS, CLASSES = 8, 16, 4


@pytest.fixture(scope="module")
def convolutional(tmp_path_factory):
    """Return the path of a small network that is large enough for int8 to make it smaller."""
    draw = np.random.RandomState(0)
    shapes = {
        "first": (CHANNELS, 3, 3, 3),
        "second": (CHANNELS, CHANNELS, 3, 3),
        "head": (CHANNELS, CLASSES),
    }
    arrays = {name: draw.randn(*shape).astype(np.float32) * 0.3 for name, shape in shapes.items()}
    nodes = [
        helper.make_node("Conv", ["pixels", "first"], ["a"], pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "second"], ["c"], pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("GlobalAveragePool", ["d"], ["e"]),
        helper.make_node("Flatten", ["e"], ["features"]),
        helper.make_node("MatMul", ["features", "head"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, SIZE, SIZE])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", CLASSES]),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", CHANNELS]),
        ],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])
    helper.set_model_props(model, {"class_names": "a;b;c;d"})
    path = tmp_path_factory.mktemp("model") / "float.onnx"
    onnx.save(model, path)
    return path


def inputs(number, seed=1):
    return np.random.RandomState(seed).rand(number, 3, SIZE, SIZE).astype(np.float32)


@pytest.mark.parametrize("name", available_engines())
@pytest.mark.parametrize("reduce_range", [False, True])
def test_every_engine_runs_the_int8_model_and_it_says_nearly_the_same(
    convolutional, name, reduce_range, tmp_path
):
    path = tmp_path / "new" / "int8.onnx"
    report = quantize(convolutional, inputs(20), path, reduce_range=reduce_range)
    with open_engine(convolutional, name) as before, open_engine(path, name) as after:
        assert after.metadata == {"class_names": "a;b;c;d", "quantization": "int8"}
        assert after.output_shapes == before.output_shapes
        wanted, found = before.run(inputs(30, 2)), after.run(inputs(30, 2))
    assert np.abs(wanted["logits"] - found["logits"]).max() > 0
    np.testing.assert_allclose(
        found["logits"], wanted["logits"], atol=0.1 * np.abs(wanted["logits"]).max()
    )
    assert report.samples == 20
    assert report.bytes_before == convolutional.stat().st_size
    assert report.bytes_after == path.stat().st_size


def test_the_cost_is_measured_on_the_samples_given(convolutional, tmp_path):
    samples = inputs(50, seed=3)
    with open_engine(convolutional, "onnxruntime") as engine:
        labels = engine.run(samples)["logits"].argmax(1)
    labels[:10] = (labels[:10] + 1) % CLASSES
    path = tmp_path / "int8.onnx"
    report = quantize(convolutional, inputs(20), path, samples=samples, labels=labels)
    with open_engine(path, "onnxruntime") as engine:
        found = engine.run(samples)["logits"].argmax(1)
    assert report.samples == 50
    assert report.accuracy_before == 0.8
    assert report.accuracy_after == np.mean(found == labels)
    assert 0 < report.difference < 0.1


def test_a_report_says_what_was_saved_and_what_it_cost(snapshot):
    measured = {"agreement": 0.975, "difference": 0.0123}
    sizes = {"bytes_before": 8_400_000, "bytes_after": 2_300_000}
    assert str(QuantizationReport(40, **sizes, **measured)) == snapshot
    accuracies = {"accuracy_before": 0.8, "accuracy_after": 0.775}
    assert str(QuantizationReport(40, **sizes, **measured, **accuracies)) == snapshot


def test_without_labels_the_report_has_no_accuracy(convolutional, tmp_path):
    report = quantize(convolutional, inputs(5), tmp_path / "int8.onnx")
    assert (report.accuracy_before, report.accuracy_after) == (None, None)
    assert report.samples == 5


@pytest.mark.parametrize(
    ("keywords", "code"),
    [
        ({"calibration": inputs(0)}, "wrong-shape"),
        ({"calibration": inputs(2) * np.nan}, "not-finite"),
        ({"calibration": inputs(2)[..., 1:]}, "wrong-shape"),
        ({"labels": [1, 2, 3]}, "wrong-length"),
        ({"output": "logit"}, "unknown-name"),
    ],
    ids=["none", "NaN", "narrow", "labels", "output"],
)
def test_what_does_not_fit_the_model_is_refused_and_nothing_is_written(
    convolutional, keywords, code, tmp_path, raises
):
    path = tmp_path / "int8.onnx"
    given = {"calibration": inputs(2)} | keywords
    with raises(ConfigurationError, code):
        quantize(convolutional, given.pop("calibration"), path, **given)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_model_is_refused(tmp_path, raises):
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"broken")
    with raises(ModelFileError, "damaged", golden=False, path=path):
        quantize(path, inputs(2), tmp_path / "int8.onnx")
