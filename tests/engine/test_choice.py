import importlib
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
    monkeypatch.setattr("sedna_tinyms.engine.opening.TURN_SECONDS", 0)  # one run a turn
    return tmp_path / "cache" / "sedna-tinyms" / "engines"


def choice(content, **keywords):
    with open_engine(content, **keywords) as engine:
        engine.run(samples(2))
        return engine.choice


def test_engines_are_measured_once_for_a_network_whatever_its_weights(remembered):
    first = choice(linear(seed=1, metadata={"round": "1"}))
    assert set(first.milliseconds) == {"onnxruntime f32", "openvino f32"}
    assert first.measured == "now"
    later = choice(linear(seed=2, metadata={"round": "2"}))
    assert later.measured == "earlier"
    assert (later.engine, later.milliseconds) == (first.engine, first.milliseconds)
    assert f"{min(first.milliseconds.values()):.2f}" in str(later)
    assert len(list(remembered.iterdir())) == 1


@pytest.mark.parametrize(
    "keywords",
    [{"threads": 1}, {"batch": 3}, {"precision": "auto"}, {"model": linear(classes=9)}],
    ids=["threads", "batch", "precision", "network"],
)
def test_another_question_is_measured_anew(remembered, keywords, monkeypatch):
    monkeypatch.setattr("sedna_tinyms.engine.cpu.usable_cores", lambda: 2)
    monkeypatch.setattr("sedna_tinyms.engine.opening.usable_cores", lambda: 2)
    monkeypatch.setattr("sedna_tinyms.engine.opening.bfloat16_is_native", lambda: True)
    other = {"content": keywords.get("model", linear())}
    other |= {name: value for name, value in keywords.items() if name != "model"}
    assert choice(linear()).measured == "now"
    assert choice(linear()).measured == "earlier"
    assert choice(**other).measured == "now"
    assert choice(**other).measured == "earlier"
    assert choice(linear()).measured == "earlier"
    assert len(list(remembered.iterdir())) == 2


@pytest.mark.parametrize(
    ("milliseconds", "engine"),
    [
        ({"onnxruntime f32": 5.0, "openvino f32": 2.0}, "openvino"),
        ({"onnxruntime f32": 2.0, "openvino f32": 5.0}, "onnxruntime"),
        ({"onnxruntime f32": 5.2, "openvino f32": 5.0}, "onnxruntime"),
    ],
    ids=["heavier", "lighter", "equal"],
)
def test_the_faster_engine_is_taken_and_the_lighter_of_equals(
    remembered, milliseconds, engine, monkeypatch, snapshot
):
    monkeypatch.setattr("sedna_tinyms.engine.opening.usable_cores", lambda: 2)
    choice(linear())
    (path,) = remembered.iterdir()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"milliseconds": milliseconds}))
    made = choice(linear())
    assert (made.engine, made.milliseconds) == (engine, milliseconds)
    assert str(made) == snapshot


def test_a_choice_is_what_is_opened_and_measures_only_where_it_may(remembered, snapshot):
    model = linear()
    unmeasured = choose_engine(model, measure=False)
    assert (unmeasured.engine, unmeasured.milliseconds) == ("onnxruntime", {})
    assert (unmeasured.measured, unmeasured.reason) == (None, snapshot)
    assert not remembered.exists()
    measured = choose_engine(model)
    assert measured.measured == "now"
    remembered_one = choose_engine(model, measure=False)
    assert remembered_one.measured == "earlier"
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
        "[" * 100_000,
    ],
    ids=[
        *("nothing", "half", "list", "empty", "number", "one", "NaN", "negative"),
        *("beyond a float", "zeros", "nested"),
    ],
)
def test_an_unusable_memory_means_measuring_again(remembered, content):
    choice(linear())
    (path,) = remembered.iterdir()
    path.write_text(content)
    assert choice(linear()).measured == "now"
    assert choice(linear()).measured == "earlier"


def test_a_memory_that_cannot_be_written_is_done_without(remembered, caplog):
    remembered.parent.mkdir(parents=True)
    remembered.write_text("a file where the directory should be")
    assert [choice(linear()).measured for _ in range(2)] == ["now", "now"]
    assert str(remembered) in caplog.text


def test_a_user_without_a_home_remembers_elsewhere(tmp_path, monkeypatch):
    def unknown(user):
        raise KeyError(user)

    importlib.import_module("openvino")  # whose telemetry wants a home, but only on import
    for name in ("XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert [choice(linear()).measured for _ in range(2)] == ["now", "earlier"]
    assert list(tmp_path.glob("sedna-tinyms/engines/*.json"))


def test_an_engine_that_cannot_load_the_model_is_left_out(monkeypatch, caplog):
    def broken(*_):
        raise ModelFileError("it cannot load this", code="unsupported", engine="openvino")

    monkeypatch.setitem(ENGINES, "openvino", broken)
    made = choice(linear())
    assert (made.engine, set(made.milliseconds)) == ("onnxruntime", {"onnxruntime f32"})
    (record,) = (each for each in caplog.records if each.levelname == "WARNING")
    assert "openvino f32" in record.getMessage()
    assert "it cannot load this" in record.getMessage()
    assert choice(linear()).measured == "now"  # another time, it may load


def test_where_no_engine_can_load_the_model_each_reason_is_said(monkeypatch, raises):
    def broken(_, choice):
        raise ModelFileError(f"{choice.engine} is broken", code="unsupported", engine=choice.engine)

    for name in ENGINES:
        monkeypatch.setitem(ENGINES, name, broken)
    with raises(ModelFileError, "unsupported", golden=False) as raised:
        choice(linear())
    assert {each.fields["engine"] for each in raised.value.problems} == set(ENGINES)


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
