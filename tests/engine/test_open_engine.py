import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
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
def test_pixels_are_given_as_uint8(name):
    inputs = samples(3, np.uint8)
    with open_engine(linear(dtype=TensorProto.UINT8), name) as engine:
        assert engine.input_dtype == np.uint8
        np.testing.assert_allclose(engine.run(inputs)["logits"], logits(inputs), rtol=1e-4)
        with pytest.raises(ConfigurationError, match="inputs are float32; this model takes uint8"):
            engine.run(inputs.astype(np.float32))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([[1.0]], "are a list; they must be a numpy array of float32"),
        (samples(2, np.float64), "inputs are float64; this model takes float32"),
        (samples(2)[0], r"shape \(3, 4, 4\); this model takes \(N, 3, 4, 4\)"),
        (samples(2)[..., :3], r"shape \(2, 3, 4, 3\); this model takes"),
        (samples(0), "N of 1 or more"),
    ],
)
def test_inputs_of_another_kind_are_refused(engine, inputs, message):
    with pytest.raises(ConfigurationError, match=message):
        engine.run(inputs)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_not_finite_is_named(engine, value):
    inputs = samples(7)
    inputs[4, 1, 2, 3] = value
    with pytest.raises(ConfigurationError, match=r"sample 4 of 7 holds NaN or infinity$"):
        engine.run(inputs)
    inputs[6] = value
    with pytest.raises(ConfigurationError, match="and so do 1 more"):
        engine.run(inputs)


def test_large_numbers_whose_sum_overflows_are_not_taken_for_infinity(engine):
    inputs = np.full((1, *SHAPE), np.finfo(np.float32).max, np.float32)
    np.testing.assert_array_equal(engine.run(inputs)["features"], inputs.reshape(1, -1))


@pytest.mark.parametrize("name", ENGINES)
def test_a_closed_engine_says_so(name):
    engine = open_engine(linear(), name)
    engine.close()
    engine.close()
    with pytest.raises(ConfigurationError, match=f"this {name} engine is closed"):
        engine.run(samples(1))


# --- files ------------------------------------------------------------------------------------


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelFileError, match=r"absent\.onnx cannot be read: .*No such file"):
        open_engine(tmp_path / "absent.onnx")


@given(share=st.floats(0, 0.99))
def test_a_truncated_file_is_refused(share):
    content = linear()
    with pytest.raises(ModelFileError, match="the ONNX model in memory"):
        open_engine(content[: int(share * len(content))], "onnxruntime")


@pytest.mark.parametrize("name", ENGINES)
def test_a_graph_that_an_engine_cannot_load_is_refused_with_its_reason(name, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(linear().replace(b"MatMul", b"MatMal"))
    with pytest.raises(ModelFileError, match=r"cannot load the model file .*model\.onnx: .*MatMal"):
        open_engine(path, name)
    with pytest.raises(ModelFileError, match="MatMal"):
        open_engine(path, "auto")


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"inputs": ("left", "right")}, "has the inputs left, right; an engine runs models with"),
        ({"batch": 1}, r"'pixels' of shape \(1, 3, 4, 4\); its first axis must be free"),
        ({"shape": (3, "height", 4)}, r"shape \(any, 3, any, 4\)"),
        ({"dtype": TensorProto.INT64}, "of ONNX's element type 7"),
    ],
)
def test_a_model_that_takes_something_else_is_refused(keywords, message):
    with pytest.raises(ForeignModelError, match=message):
        open_engine(linear(**keywords))


def test_a_model_that_the_caller_does_not_expect_is_refused_with_all_differences():
    with pytest.raises(ForeignModelError) as caught:
        open_engine(
            linear(),
            input_shape=(3, 8, 8),
            outputs={"logits": (3,), "feature": (FLAT,), "features": (FLAT,)},
        )
    for part in (
        "it takes samples of shape (3, 4, 4), not (3, 8, 8)",
        "its output 'logits' has the shape (5,), not (3,)",
        "it has no output 'feature' (did you mean 'features'?)",
    ):
        assert part in str(caught.value)
    expected = {"logits": (CLASSES,), "features": (FLAT,)}
    open_engine(linear(), "onnxruntime", input_shape=list(SHAPE), outputs=expected).close()


# --- arguments and what is installed ------------------------------------------------------------


def test_arguments_out_of_their_range_are_said_together():
    with pytest.raises(ConfigurationError) as caught:
        open_engine(linear(), "onxruntime", threads=0, precision="f16", batch=True)
    for part in ("did you mean 'onnxruntime'?", "threads is 0", "precision is 'f16'", "batch is T"):
        assert part in str(caught.value)
    with pytest.raises(ConfigurationError, match=r"MindSporeEngine\(network"):
        open_engine(linear(), "mindspore")


def test_an_engine_that_is_not_installed_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert "openvino" not in available_engines()
    with pytest.raises(MissingExtraError, match=r"pip install 'sedna-tinyms\[openvino\]'"):
        open_engine(linear(), "openvino")
    with open_engine(linear(), precision="auto") as engine:
        assert engine.choice.reason.startswith("the only engine installed")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'sedna-tinyms\[edge\]'"):
        open_engine(linear(), "onnxruntime")
    with pytest.raises(MissingExtraError, match="none is installed"):
        open_engine(linear())


def test_threads_default_to_the_cores_of_this_process(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    with open_engine(linear(), "onnxruntime") as engine:
        assert engine.choice.threads == 1
        assert "on 1 thread:" in str(engine.choice)


@with_openvino
@pytest.mark.parametrize("precision", ["bf16", "auto"])
def test_a_processor_without_bfloat16_computes_f32_and_says_so(precision, tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text(WITHOUT_BFLOAT16)
    monkeypatch.setattr("sedna_tinyms.engine.cpu.CPUINFO", tmp_path / "cpuinfo")
    with open_engine(linear(), "openvino", precision=precision) as engine:
        assert engine.choice.precision == "f32"
        assert engine.choice.reason == "asked for; this processor has no bf16"
    with open_engine(linear(), precision=precision) as engine:
        assert re.search(r"of 2, measured \w+; .* has no bf16", engine.choice.reason)


def test_onnx_runtime_computes_f32_and_says_so():
    with open_engine(linear(), "onnxruntime", precision="bf16") as engine:
        assert engine.choice.precision == "f32"
        assert "onnxruntime has no bf16" in engine.choice.reason


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
