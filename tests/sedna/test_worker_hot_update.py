import itertools
import json
import os
import shutil
import tempfile
import threading
import time

import pytest

from sedna_tinyms.errors import ConfigurationError
from sedna_tinyms.sedna.backend.base import BackendBase
from sedna_tinyms.sedna.common.file_ops import FileOps
from sedna_tinyms.sedna.core.hot_update import ModelLoadingThread
from sedna_tinyms.testing import OneNumber

DEADLINE = 60.0
GO_TIME = "2026-11-20 10:07:17.828253543 +0000 UTC m=+41.208315876"


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("MODEL_HOT_UPDATE_CONFIG", str(tmp_path / "model_config.json"))
    return tmp_path


def deploy(place, value, version, name="model.ckpt"):
    (place / name).write_text(value if isinstance(value, str) else json.dumps(value))
    entry = {"model_path": str(place / name), "model_update_time": version}
    (place / "model_config.json").write_text(json.dumps({"model_config": entry}))


def watcher(backend=None):
    reports = []
    backend = backend or BackendBase(OneNumber)
    return ModelLoadingThread(backend, lambda **report: reports.append(report)), reports


def report(status):
    return {"task_info": None, "status": status, "kind": "deploy"}


def test_a_new_version_is_loaded_and_reported_once(place):
    thread, reports = watcher()
    deploy(place, 0.9, GO_TIME)
    assert [thread.poll(), thread.poll()] == [True, False]
    assert thread.backend.estimator.value == 0.9
    assert reports == [report("completed")]


def test_the_loader_sees_the_suffix_and_no_file_is_left(place):
    thread, _ = watcher()
    deploy(place, 0.9, GO_TIME)
    thread.poll()
    (_, call) = thread.backend.estimator.calls[-1]
    assert call["model_url"].endswith(".ckpt")
    assert not any((place / "temporary").iterdir())


@pytest.mark.parametrize("version", ["../../../etc/x", "a/b:c?\n", "", 7, None, "x" * 5000])
def test_the_version_may_be_any_text(place, version):
    thread, reports = watcher()
    deploy(place, 0.9, version)
    assert thread.poll()
    assert reports == [report("completed")]


def test_the_model_is_not_copied_while_the_version_is_the_same(place):
    thread, _ = watcher()
    deploy(place, 0.9, "1")
    thread.poll()
    (place / "model.ckpt").unlink()
    assert not thread.poll()
    assert len(thread.backend.estimator.calls) == 1


def test_a_failed_version_is_tried_again_and_reported_once(place):
    thread, reports = watcher()
    deploy(place, 0.2, "1")
    thread.poll()
    deploy(place, "half a mod", "2")
    assert [thread.poll(), thread.poll()] == [False, False]
    assert thread.backend.predict([])[0] == 0.2
    (place / "model.ckpt").write_text("0.9")
    assert thread.poll()
    assert thread.backend.predict([])[0] == 0.9
    assert [r["status"] for r in reports] == ["completed", "failed", "completed"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[1]",
        "null",
        '"x"',
        "{}",
        '{"model_config": null}',
        '{"model_config": {"model_path": "/absent/model.ckpt", "model_update_time": "1"}}',
        '{"model_config": {"model_path": "http://127.0.0.1:9/m", "model_update_time": "1"}}',
        '{"model_config": {"model_path": "nonsense://m", "model_update_time": "1"}}',
        b"\xff\xfe",
    ],
)
def test_a_config_that_cannot_be_used_yet_harms_nothing(place, content):
    thread, reports = watcher()
    data = content if isinstance(content, bytes) else content.encode()
    (place / "model_config.json").write_bytes(data)
    assert not thread.poll()
    deploy(place, 0.9, "1")
    assert thread.poll()
    assert reports == [report("completed")]


def test_an_estimator_that_cannot_load_fails_instead_of_pretending(place):
    class Fixed:
        def predict(self, data):
            return [1.0]

    thread, reports = watcher(BackendBase(Fixed()))
    deploy(place, 0.9, "1")
    assert not thread.poll()
    assert reports == [report("failed")]


@pytest.fixture
def untouched():
    """A backend for which any model is one too many."""

    class Untouched:
        def load(self, model_url):
            raise AssertionError("a model was loaded that may be half of one")

    return Untouched()


def test_a_model_that_grows_while_it_is_copied_is_left_for_the_next_poll(
    place, untouched, monkeypatch
):
    thread, reports = watcher(untouched)
    deploy(place, 0.9, "1")
    copy = FileOps.download

    def copy_what_grows(source, target):
        copy(source, target)
        with (place / "model.ckpt").open("a") as model:
            model.write("1")

    monkeypatch.setattr(FileOps, "download", copy_what_grows)
    assert not thread.poll()
    assert reports == []


def test_a_version_that_is_replaced_meanwhile_is_left_for_the_next_poll(
    place, untouched, monkeypatch
):
    thread, reports = watcher(untouched)
    deploy(place, 0.9, "1")
    copy = FileOps.download

    def copy_slowly(source, target):
        copy(source, target)
        deploy(place, 0.8, "2")

    monkeypatch.setattr(FileOps, "download", copy_slowly)
    assert not thread.poll()
    assert reports == []


def test_a_config_that_would_block_or_never_end_is_not_read(place, untouched):
    thread, reports = watcher(untouched)
    config = place / "model_config.json"
    os.mkfifo(config)
    assert not thread.poll()
    config.unlink()
    config.symlink_to("/dev/zero")
    assert not thread.poll()
    config.unlink()
    config.write_bytes(b" " * (1 << 21))
    assert not thread.poll()
    assert reports == []


def test_the_thread_survives_everything_and_ends_with_the_process(place):
    loaded = threading.Event()

    class Backend:
        calls = 0

        def load(self, model_url):
            self.calls += 1
            if self.calls < 3:
                raise MemoryError("no room")
            loaded.set()

    def complain(**_):
        raise OSError("nobody listens")

    deploy(place, 0.9, "1")
    thread = ModelLoadingThread(Backend(), complain, period=0.01)
    assert thread.daemon
    thread.start()
    assert loaded.wait(DEADLINE)
    assert thread.is_alive()
    thread.stop()
    thread.join(DEADLINE)
    assert not thread.is_alive()


def test_without_a_config_file_to_watch_the_thread_ends(monkeypatch):
    monkeypatch.delenv("MODEL_HOT_UPDATE_CONFIG", raising=False)
    thread, _ = watcher()
    thread.start()
    thread.join(DEADLINE)
    assert not thread.is_alive()


@pytest.mark.parametrize(("given", "period"), [("7", 7), ("0", 60), ("-3", 60), ("", 60)])
def test_the_period_comes_from_the_environment(monkeypatch, given, period):
    monkeypatch.setenv("MODEL_POLL_PERIOD_SECONDS", given)
    assert watcher()[0].period == period


def test_a_period_that_is_no_number_is_an_error(raises, monkeypatch):
    monkeypatch.setenv("MODEL_POLL_PERIOD_SECONDS", "often")
    with raises(ConfigurationError, "not-an-integer", value="often"):
        watcher()


def test_no_prediction_mixes_two_models(place):
    class TwoParts(OneNumber):
        """Its model has two halves that are read one after the other."""

        def __init__(self):
            super().__init__()
            self.halves = (0.0, 0.0)

        def load(self, model_url):
            super().load(model_url)
            first = self.value
            self.halves = (first, self.halves[1])
            time.sleep(0.001)
            self.halves = (first, first)

        def predict(self, data):
            return self.halves

    backend = BackendBase(TwoParts())
    thread, reports = watcher(backend)
    seen = set()
    done = threading.Event()

    def predict():
        while not done.is_set():
            seen.add(backend.predict([]))

    predicting = threading.Thread(target=predict)
    predicting.start()
    for i in range(1, 21):
        deploy(place, i, str(i))
        assert thread.poll()
    done.set()
    predicting.join(DEADLINE)
    assert not predicting.is_alive()
    assert len(reports) == 20
    assert seen
    assert all(first == second for first, second in seen)


@pytest.mark.parametrize("path", ["/", ".", "", "a\0b", "\ud800.onnx", "/dev/zero", "file:///"])
def test_a_model_path_that_names_no_file_is_not_copied(place, untouched, path):
    thread, reports = watcher(untouched)
    entry = {"model_path": path, "model_update_time": "1"}
    (place / "model_config.json").write_text(json.dumps({"model_config": entry}))
    assert not thread.poll()
    assert reports == []
    assert not any((place / "temporary").iterdir())


def test_a_config_nested_without_end_harms_nothing(place):
    thread, _ = watcher()
    (place / "model_config.json").write_text('{"model_config": ' + "[" * 100_000)
    assert not thread.poll()


def test_models_are_counted_and_refused_ones_by_kind_and_once(place):
    thread, _ = watcher()
    deploy(place, 0.2, "1")
    thread.poll()
    deploy(place, "half a mod", "2")
    for _ in range(3):
        thread.poll()
    assert thread.loaded == 1
    assert sum(thread.refused.values()) == 1
    assert thread.reason
    deploy(place, 0.9, "3")
    thread.poll()
    assert (thread.loaded, thread.reason) == (2, "")


@pytest.mark.parametrize(
    ("owner", "function", "of"),
    [
        (os, "open", "model_config.json"),
        (os, "stat", "model.ckpt"),
        (os, "mkdir", "sedna-hot-update-"),
        (shutil, "copyfile", "model.ckpt"),
    ],
)
@pytest.mark.parametrize("count", [50, pytest.param(1000, marks=pytest.mark.slow)])
def test_errors_of_the_disk_do_not_stop_the_thread(place, monkeypatch, owner, function, of, count):
    real, errors = getattr(owner, function), itertools.count(1)

    def broken(path, *arguments, **keywords):
        if of in str(path) and next(errors) <= count:
            raise OSError(5, "Input/output error")
        return real(path, *arguments, **keywords)

    loaded = threading.Event()
    thread = ModelLoadingThread(BackendBase(OneNumber), lambda **_: loaded.set(), period=0.0)
    monkeypatch.setattr(owner, function, broken)
    deploy(place, 0.9, "1")
    thread.start()
    assert loaded.wait(DEADLINE)
    thread.stop()
    thread.join(DEADLINE)
    assert next(errors) > count
    assert thread.backend.estimator.value == 0.9
    assert (thread.loaded, thread.refused) == (1, {})
