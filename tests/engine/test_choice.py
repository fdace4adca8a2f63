import json
import os
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto
from small_models import linear, samples

from sedna_tinyms.engine import available_engines, choose_engine, open_engine, usable_cores
from sedna_tinyms.engine.cpu import bfloat16_is_native, processor
from sedna_tinyms.engine.opening import ENGINES
from sedna_tinyms.errors import ModelFileError

pytestmark = pytest.mark.skipif(
    len(available_engines()) < 2, reason="there is nothing to choose with one engine"
)


@pytest.fixture(autouse=True)
def remembered(tmp_path, monkeypatch):
    """Return where measurements are remembered; nothing is at first."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("sedna_tinyms.engine.opening.TURN_SECONDS", 0.01)
    return tmp_path / "cache" / "sedna-tinyms" / "engines"


def choice(content, **keywords):
    with open_engine(content, **keywords) as engine:
        engine.run(samples(2))
        return engine.choice


def test_engines_are_measured_once_for_a_network_whatever_its_weights(remembered):
    first = choice(linear(seed=1, metadata={"round": "1"}))
    assert set(first.milliseconds) == {"onnxruntime f32", "openvino f32"}
    assert first.reason.endswith("measured now")
    later = choice(linear(seed=2, metadata={"round": "2"}))
    assert later.reason.endswith("measured earlier")
    assert (later.engine, later.milliseconds) == (first.engine, first.milliseconds)
    assert f"{min(first.milliseconds.values()):.2f}" in str(later)
    assert len(list(remembered.iterdir())) == 1


@pytest.mark.parametrize(
    "keywords", [{"threads": 1}, {"batch": 3}, {"precision": "auto"}, {"model": linear(classes=9)}]
)
def test_another_question_is_measured_anew(keywords, monkeypatch):
    monkeypatch.setattr("sedna_tinyms.engine.cpu.usable_cores", lambda: 2)
    monkeypatch.setattr("sedna_tinyms.engine.opening.usable_cores", lambda: 2)
    monkeypatch.setattr("sedna_tinyms.engine.opening.bfloat16_is_native", lambda: True)
    choice(linear())
    content = keywords.pop("model", linear())
    assert "measured now" in choice(content, **keywords).reason


@pytest.mark.parametrize(
    ("milliseconds", "engine", "rank"),
    [
        ({"onnxruntime f32": 5.0, "openvino f32": 2.0}, "openvino", "the fastest"),
        ({"onnxruntime f32": 2.0, "openvino f32": 5.0}, "onnxruntime", "the fastest"),
        ({"onnxruntime f32": 5.2, "openvino f32": 5.0}, "onnxruntime", "the lightest as fast"),
    ],
)
def test_the_faster_engine_is_taken_and_the_lighter_of_equals(
    remembered, milliseconds, engine, rank
):
    choice(linear())
    (path,) = remembered.iterdir()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"milliseconds": milliseconds}))
    made = choice(linear())
    assert made.engine == engine
    assert made.reason.startswith(rank)


def test_a_choice_is_what_is_opened_and_measures_only_where_it_may(remembered):
    model = linear()
    unmeasured = choose_engine(model, measure=False)
    assert (unmeasured.engine, unmeasured.milliseconds) == ("onnxruntime", {})
    assert unmeasured.reason == "the lightest, none was measured yet"
    assert not remembered.exists()
    measured = choose_engine(model)
    assert measured.reason.endswith("measured now")
    remembered_one = choose_engine(model, measure=False)
    assert remembered_one.reason.endswith("measured earlier")
    assert remembered_one.milliseconds == measured.milliseconds
    with open_engine(model, measured) as engine:
        assert (engine.name, engine.choice) == (measured.engine, measured)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"milliseconds": 3}',
        '{"milliseconds": {"onnxruntime f32": 1.0}}',
        '{"milliseconds": {"onnxruntime f32": NaN, "openvino f32": 1.0}}',
        '{"milliseconds": {"onnxruntime f32": -1, "openvino f32": 1.0}}',
        '{"milliseconds": {"onnxruntime f32": 1%s, "openvino f32": 1}}' % ("0" * 400),
        "\x00" * 40,
        pytest.param("[" * 100_000, id="nested"),
    ],
)
def test_an_unusable_memory_means_measuring_again(remembered, content):
    choice(linear())
    (path,) = remembered.iterdir()
    path.write_text(content)
    assert choice(linear()).reason.endswith("measured now")
    assert choice(linear()).reason.endswith("measured earlier")


def test_a_memory_that_cannot_be_written_is_done_without(remembered, caplog):
    remembered.parent.mkdir(parents=True)
    remembered.write_text("a file where the directory should be")
    assert choice(linear()).reason.endswith("measured now")
    assert "measured again next time" in caplog.text


def test_a_user_without_a_home_remembers_elsewhere(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    choice(linear())
    assert choice(linear()).reason.endswith("measured earlier")
    assert list(tmp_path.glob("sedna-tinyms/engines/*.json"))


def test_an_engine_that_cannot_load_the_model_is_left_out(monkeypatch, caplog):
    def broken(*_):
        raise ModelFileError("OpenVINO cannot load it")

    monkeypatch.setitem(ENGINES, "openvino", broken)
    made = choice(linear())
    assert made.engine == "onnxruntime"
    assert "openvino f32 is left out" in caplog.text


def test_a_containers_quota_bounds_the_cores(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    quota = tmp_path / "cpu.max"
    monkeypatch.setattr("sedna_tinyms.engine.cpu.CPU_QUOTA", quota)
    for text, cores in (("max 100000", 8), ("250000 100000", 3), ("50000 100000", 1), ("?", 8)):
        quota.write_text(text)
        assert usable_cores() == cores
    quota.unlink()
    assert usable_cores() == 8


@pytest.mark.parametrize(
    ("cpuinfo", "native", "name"),
    [
        ("model name\t: X\nflags\t: fpu avx512_bf16\n\nmodel name\t: Y\n", True, "X (2 inst"),
        ("model name\t: X\nflags\t: fpu avx512f\n", False, "X (2 inst"),
        ("BogoMIPS\t: 50\nFeatures\t: fp asimd bf16\n", True, "(3 inst"),
        ("", False, "(0 inst"),
    ],
)
def test_the_processor_is_read_from_linux(cpuinfo, native, name, tmp_path, monkeypatch):
    path = Path(tmp_path, "cpuinfo")
    monkeypatch.setattr("sedna_tinyms.engine.cpu.CPUINFO", path)
    assert not bfloat16_is_native()
    path.write_text(cpuinfo)
    assert bfloat16_is_native() is native
    assert name in processor()


def test_what_is_measured_with_is_what_the_model_takes():
    with open_engine(linear(dtype=TensorProto.UINT8)) as engine:
        assert len(engine.choice.milliseconds) == 2
        assert engine.input_dtype == np.uint8
