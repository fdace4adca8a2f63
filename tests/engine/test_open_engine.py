import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto
from small_models import CLASSES, FLAT, SHAPE, linear, logits, samples

from sedna_tinyms.engine import available_engines, open_engine
from sedna_tinyms.engine.cpu import bfloat16_is_native
from sedna_tinyms.errors import (
    ConfigurationError,
    ForeignModelError,
    MissingExtraError,
    ModelFileError,
)

ENGINES = available_engines()
WITHOUT_BFLOAT16 = "processor\t: 0\nmodel name\t: Old CPU\nflags\t\t: fpu sse2 avx2\n"
with_openvino = pytest.mark.skipif("openvino" not in ENGINES, reason="OpenVINO is not installed")


@pytest.fixture(scope="module", params=ENGINES)
def engine(request):
    with open_engine(linear(metadata={"class_names": "bolt;nut"}), request.param) as opened:
        yield opened


def test_an_engine_says_what_the_model_takes_and_gives(engine):
    assert engine.input_shape == SHAPE
    assert engine.input_dtype == np.float32
    assert engine.output_names == ("logits", "features")
    assert engine.output_shapes == {"logits": (CLASSES,), "features": (FLAT,)}
    assert engine.metadata == {"class_names": "bolt;nut"}
    assert engine.name in str(engine.choice)


@settings(deadline=None)
@given(number=st.integers(1, 13), seed=st.integers(0, 2**16))
def test_any_number_of_samples_gives_what_numpy_gives(engine, number, seed):
    inputs = samples(number, seed=seed)
    outputs = engine.run(inputs)
    assert list(outputs) == ["logits", "features"]
    assert {array.dtype for array in outputs.values()} == {np.dtype(np.float32)}
    np.testing.assert_allclose(outputs["logits"], logits(inputs), rtol=1e-4, atol=0.1)
    np.testing.assert_array_equal(outputs["features"], inputs.reshape(number, -1))


def test_the_layout_of_the_inputs_in_memory_does_not_matter(engine):
    inputs = samples(6)
    for view in (inputs.transpose(0, 1, 3, 2), inputs[::2], inputs[..., ::-1]):
        np.testing.assert_allclose(
            engine.run(view)["logits"], logits(view.copy()), rtol=1e-4, atol=0.1
        )


def test_outputs_stay_as_they_were_when_the_engine_runs_again(engine):
    first = engine.run(samples(2, seed=1))["features"]
    engine.run(samples(2, seed=2))
    np.testing.assert_array_equal(first, samples(2, seed=1).reshape(2, -1))


def test_threads_may_run_one_engine_at_once(engine):
    def right(seed):
        inputs = samples(3, seed=seed)
        return np.array_equal(engine.run(inputs)["features"], inputs.reshape(3, -1))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(right, range(100)))


@pytest.mark.parametrize("name", ENGINES)
def test_pixels_are_given_as_uint8(name, raises):
    inputs = samples(3, np.uint8)
    with open_engine(linear(dtype=TensorProto.UINT8), name) as engine:
        assert engine.input_dtype == np.uint8
        np.testing.assert_allclose(engine.run(inputs)["logits"], logits(inputs), rtol=1e-4)
        with raises(ConfigurationError, "wrong-type", value="float32", expected="uint8"):
            engine.run(inputs.astype(np.float32))


@pytest.mark.parametrize(
    ("inputs", "code", "value"),
    [
        ([[1.0]], "wrong-type", "list"),
        (samples(2, np.float64), "wrong-type", "float64"),
        (samples(2)[0], "wrong-shape", (3, 4, 4)),
        (samples(2)[..., :3], "wrong-shape", (2, 3, 4, 3)),
        (samples(0), "wrong-shape", (0, 3, 4, 4)),
    ],
    ids=["list", "double", "one", "narrow", "none"],
)
def test_inputs_of_another_kind_are_refused(engine, inputs, code, value, raises):
    expected = SHAPE if code == "wrong-shape" else "float32"
    with raises(ConfigurationError, code, value=value, expected=expected):
        engine.run(inputs)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_not_finite_is_named(engine, value, raises):
    inputs = samples(7)
    inputs[4, 1, 2, 3] = value
    with raises(ConfigurationError, "not-finite", samples=[4]):
        engine.run(inputs)
    inputs[6] = value
    with raises(ConfigurationError, "not-finite", samples=[4, 6]):
        engine.run(inputs)


def test_large_numbers_whose_sum_overflows_are_not_taken_for_infinity(engine):
    inputs = np.full((1, *SHAPE), np.finfo(np.float32).max, np.float32)
    np.testing.assert_array_equal(engine.run(inputs)["features"], inputs.reshape(1, -1))


@pytest.mark.parametrize("name", ENGINES)
def test_a_closed_engine_says_so(name, raises):
    engine = open_engine(linear(), name)
    engine.close()
    engine.close()
    with raises(ConfigurationError, "closed", engine=name):
        engine.run(samples(1))


# --- files ------------------------------------------------------------------------------------


def test_a_missing_file_is_named(tmp_path, raises):
    path = tmp_path / "absent.onnx"
    with raises(ModelFileError, "missing-file", golden=False, path=path):
        open_engine(path)


@settings(deadline=None)
@given(share=st.floats(0, 0.99))
def test_a_truncated_file_is_refused(share):
    content = linear()
    with pytest.raises(ModelFileError) as raised:
        open_engine(content[: int(share * len(content))], "onnxruntime")
    assert raised.value.code == "damaged"


@pytest.mark.parametrize("name", ENGINES)
def test_a_graph_that_an_engine_cannot_load_is_refused_with_its_reason(name, tmp_path, raises):
    path = tmp_path / "model.onnx"
    path.write_bytes(linear().replace(b"MatMul", b"MatMal"))
    for asked in (name, "auto"):
        with raises(ModelFileError, "unsupported", golden=False) as raised:
            open_engine(path, asked)
        assert str(path) in str(raised.value)
        assert "MatMal" in str(raised.value)


def test_a_graph_is_refused_also_where_the_reason_has_no_words(raises):
    # ONNX Runtime 1.20 raises an error without a text here, because the name is no UTF-8.
    content = linear().replace(b"pixels", b"\xf0ixels", 1)
    with raises(ModelFileError, "unsupported", golden=False, engine="onnxruntime"):
        open_engine(content, "onnxruntime")


@pytest.mark.parametrize(
    ("keywords", "code"),
    [
        ({"inputs": ("left", "right")}, "unsupported"),
        ({"batch": 1}, "wrong-shape"),
        ({"shape": (3, "height", 4)}, "wrong-shape"),
        ({"dtype": TensorProto.INT64}, "wrong-type"),
    ],
    ids=["inputs", "batch", "height", "type"],
)
def test_a_model_that_takes_something_else_is_refused(keywords, code, tmp_path, raises):
    path = tmp_path / "model.onnx"
    path.write_bytes(linear(**keywords))
    with raises(ForeignModelError, code):
        open_engine(path)


def test_a_model_that_the_caller_does_not_expect_is_refused_with_all_differences(tmp_path, raises):
    path = tmp_path / "model.onnx"
    path.write_bytes(linear())
    with raises(ForeignModelError, "foreign-model") as raised:
        open_engine(
            path,
            input_shape=(3, 8, 8),
            outputs={"logits": (3,), "feature": (FLAT,), "features": (FLAT,)},
        )
    found = [(each.code, each.fields["value"]) for each in raised.value.problems]
    shapes = [("wrong-shape", (3, 4, 4)), ("wrong-shape", (5,))]
    assert found == [*shapes, ("unknown-name", "feature")]
    expected = {"logits": (CLASSES,), "features": (FLAT,)}
    open_engine(linear(), "onnxruntime", input_shape=list(SHAPE), outputs=expected).close()


# --- arguments and what is installed ------------------------------------------------------------


def test_arguments_out_of_their_range_are_said_together(raises):
    with raises(ConfigurationError, "configuration") as raised:
        open_engine(linear(), "onxruntime", threads=0, precision="f16", batch=True)
    assert [(each.code, each.fields["name"]) for each in raised.value.problems] == [
        ("unknown-name", "engine"),
        ("unknown-name", "precision"),
        ("out-of-range", "threads"),
        ("out-of-range", "batch"),
    ]
    with raises(ConfigurationError, "unsupported"):
        open_engine(linear(), "mindspore")


def test_an_engine_that_is_not_installed_is_named_with_its_extra(monkeypatch, raises, snapshot):
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert "openvino" not in available_engines()
    with raises(MissingExtraError, "missing-extra", extra="openvino"):
        open_engine(linear(), "openvino")
    with open_engine(linear(), precision="auto") as engine:
        assert engine.choice.reason == snapshot
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with raises(MissingExtraError, "missing-extra", extra="edge"):
        open_engine(linear(), "onnxruntime")
    with raises(MissingExtraError, "missing-extra", extra="edge"):
        open_engine(linear())


def test_threads_default_to_the_cores_of_this_process(monkeypatch, snapshot):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    with open_engine(linear(), "onnxruntime") as engine:
        assert engine.choice.threads == 1
        assert str(engine.choice) == snapshot


@with_openvino
@pytest.mark.parametrize("precision", ["bf16", "auto"])
def test_a_processor_without_bfloat16_computes_f32_and_says_so(
    precision, tmp_path, monkeypatch, snapshot
):
    (tmp_path / "cpuinfo").write_text(WITHOUT_BFLOAT16)
    monkeypatch.setattr("sedna_tinyms.engine.cpu.CPUINFO", tmp_path / "cpuinfo")
    with open_engine(linear(), "openvino", precision=precision) as engine:
        assert engine.choice.precision == "f32"
        assert engine.choice.reason == snapshot
    monkeypatch.setattr("sedna_tinyms.engine.opening.TURN_SECONDS", 0)
    with open_engine(linear(), precision=precision) as engine:
        assert set(engine.choice.milliseconds) == {"onnxruntime f32", "openvino f32"}
        assert engine.choice.reason.count("; ") == 1  # the same remark


def test_onnx_runtime_computes_f32_and_says_so(snapshot):
    with open_engine(linear(), "onnxruntime", precision="bf16") as engine:
        assert engine.choice.precision == "f32"
        assert engine.choice.reason == snapshot


IN_A_LIMITED_PROCESS = """
import os, sys
import numpy as np
from sedna_tinyms.engine import open_engine
for precision in ("f32", "bf16"):
    with open_engine(sys.argv[1], "openvino", precision=precision) as engine:
        engine.run(np.ones((5, *engine.input_shape), np.float32))
        print(engine.choice.precision)
assert os.environ["ONEDNN_MAX_CPU_ISA"] == "AVX2"
assert not {"mindspore", "onnx", "onnxruntime"} & set(sys.modules)
"""


@with_openvino
def test_the_limit_for_mindspore_does_not_bind_openvino(tmp_path):
    # Limited to AVX2, OpenVINO's oneDNN fails on bfloat16 convolutions.
    path = tmp_path / "model.onnx"
    path.write_bytes(linear())
    result = subprocess.run(
        [sys.executable, "-c", IN_A_LIMITED_PROCESS, path],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["f32", "bf16" if bfloat16_is_native() else "f32"]
