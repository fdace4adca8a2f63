"""Whatever stands in a file, it is taken or refused with an error of ours; nothing else happens."""

import json
import tempfile

import numpy as np
import pytest
from fuzzing import PLAIN, at_places, damaged, fuzzed, snapshot, untouched, with_value
from hypothesis import example
from hypothesis import strategies as st
from small_checkpoint import write_checkpoint
from small_onnx import write_classifier

from estimators import OnnxClassifier
from sedna_tinyms.artifact.version import describe, open_version, write_version
from sedna_tinyms.artifact.weights_content import read_content, require_finite
from sedna_tinyms.backend import ONNXBackend
from sedna_tinyms.errors import DatasetError, ModelFileError, SednaTinyMSError, StorageError
from sedna_tinyms.jobs.dataset import SETTLED_AFTER, DatasetReader
from sedna_tinyms.jobs.journal import Journal
from sedna_tinyms.learning.cache import ActivationCache
from sedna_tinyms.learning.memory import ReplayMemory
from sedna_tinyms.learning.state_file import read_state, write_state
from sedna_tinyms.sedna.core.hot_update import ModelLoadingThread


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """Return a directory, beside which nothing may be touched."""
    return tmp_path_factory.mktemp("root") / "room"


@pytest.fixture(autouse=True)
def _only_the_room(room, monkeypatch):
    (room / "temporary").mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(tempfile, "tempdir", str(room / "temporary"))
    outside = room.parent / "outside.txt"
    outside.write_text("of somebody else")
    yield
    beside = {path for path in snapshot(room.parent) if room not in path.parents}
    assert beside == {outside}
    assert outside.read_text() == "of somebody else"
    assert not any((room / "temporary").iterdir())


# --- datasets and the journal -------------------------------------------------------------------


@fuzzed(
    200, parts=st.lists(st.binary(max_size=60) | st.text(max_size=30).map(str.encode), max_size=6)
)
@example([b"\xef\xbb\xbf\r\n\r\n", b"\n", b"\0\n"])
@example([b"a" * 70_000 + b"\n"])
def test_dataset_lines(room, parts):
    path = room / "samples.txt"
    path.write_bytes(b"")
    reader, samples = DatasetReader(path), []
    for start, part in enumerate(parts):
        with path.open("ab") as file:
            file.write(part)
        try:
            for now in (100.0 * start, 100.0 * start + SETTLED_AFTER):
                samples += reader.read_new(now)
                reader.go_on_from(reader.reading)
        except DatasetError:
            break  # until somebody mends the file
    whole = path.read_bytes().decode("utf-8", "replace").replace("\ufeff", "")
    assert all(sample.replace("\ufeff", "") in whole for sample in samples)
    assert reader.samples == len(samples)


@pytest.fixture(scope="module")
def journal(room):
    room.mkdir(parents=True, exist_ok=True)
    journal = Journal(room / "whole.jsonl")
    for number in range(4):
        journal.append("round_started", round=number, samples=["a.png bolt"] * number)
    return journal.path.read_bytes()


@fuzzed(250, data=st.data())
def test_a_journal(room, journal, data):
    path = room / "journal.jsonl"
    path.write_bytes(data.draw(damaged(journal) | st.binary(max_size=100)))
    whole = Journal(room / "whole.jsonl").entries
    with untouched(room):
        try:
            read = Journal(path)
        except StorageError:
            return
    assert read.entries == whole[: len(read.entries)]  # nothing is guessed, and nothing forged
    read.append("round_started", round=9)
    assert Journal(path).entries[:-1] == read.entries


@fuzzed(100, line=PLAIN, kept=st.booleans())
@example(line="[" * 100_000, kept=False)
def test_a_journal_with_any_line(room, line, kept, journal):
    path = room / "journal.jsonl"
    text = line if isinstance(line, str) else json.dumps(line)
    path.write_bytes((journal if kept else b"") + text.encode("utf-8", "replace") + b"\n{}\n")
    with pytest.raises(StorageError):
        Journal(path)


# --- models -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weights(room):
    return {
        ".ckpt": write_checkpoint(room / "good" / "model.ckpt").read_bytes(),
        ".onnx": write_classifier(room / "good" / "model.onnx").read_bytes(),
    }


@fuzzed(400, data=st.data(), suffix=st.sampled_from([".ckpt", ".onnx"]))
def test_weights_read_by_their_bytes(weights, data, suffix):
    content = data.draw(damaged(weights[suffix]) | st.binary(max_size=200))
    try:
        require_finite(read_content(content, f"m{suffix}").arrays, "m")
    except ModelFileError:
        return


@fuzzed(120, data=st.data())
def test_an_onnx_file_in_an_engine(room, weights, data):
    path = room / "deploy.onnx"
    path.write_bytes(data.draw(damaged(weights[".onnx"])))
    backend = ONNXBackend(OnnxClassifier(("dark", "bright"), "onnxruntime", 1))
    with untouched(room / "good"):
        try:
            backend.load(str(path))
            prediction = backend.predict(np.zeros((8, 8, 3), np.uint8))
        except SednaTinyMSError:
            return
    assert len(prediction) == 2


@pytest.fixture(scope="module")
def version(room, weights):
    files = {path.name: path for path in sorted((room / "good").iterdir())}
    return write_version(room / "version", files, describe(files))


@fuzzed(200, data=st.data())
def test_a_model_version(version, data):
    names = sorted(path.name for path in version.directory.iterdir())
    changed = version.directory / data.draw(st.sampled_from(names))
    whole = changed.read_bytes()
    content = data.draw(damaged(whole) | st.binary(max_size=100))
    changed.write_bytes(content)
    try:
        opened = open_version(version.directory)
        assert content == whole or opened.manifest == version.manifest  # other spaces in its JSON
    except ModelFileError:
        assert content != whole
    finally:
        changed.write_bytes(whole)


@fuzzed(200, data=st.data(), name=st.sampled_from(["model.json", "manifest.json"]))
def test_a_model_version_that_says_anything(version, data, name):
    changed = version.directory / name
    whole = changed.read_bytes()
    said = json.loads(whole)
    place = data.draw(st.sampled_from(at_places(said)))
    text = json.dumps(with_value(said, place, data.draw(PLAIN)))
    changed.write_bytes(text.encode())
    try:
        with untouched(version.directory):
            opened = open_version(version.directory)
        assert opened.manifest == version.manifest
    except ModelFileError:
        assert json.loads(text) != said or name == "model.json"
    finally:
        changed.write_bytes(whole)


# --- what training keeps ------------------------------------------------------------------------


@fuzzed(250, data=st.data())
def test_a_replay_memory(room, data):
    whole = room / "whole.memory.npz"
    if not whole.exists():
        memory = ReplayMemory(10_000)
        memory.update(np.zeros((6, 4, 3), np.uint8), ["a", "b", "a", "b", "a", "b"], "day")
        memory.save(whole)
    path = room / "model.memory.npz"
    path.write_bytes(data.draw(damaged(whole.read_bytes()) | st.binary(max_size=100)))
    try:
        memory = ReplayMemory.load(path, 10_000)
    except ModelFileError:
        return
    assert len(memory) == 6


@fuzzed(150, data=st.data())
def test_a_state_file(room, data):
    path = room / "model.state.npz"
    write_state(path, "ewc", {"weights": np.ones((3, 2), np.float32)})
    path.write_bytes(data.draw(damaged(path.read_bytes()) | st.binary(max_size=100)))
    try:
        state = read_state(path, "ewc")
    except ModelFileError:
        return
    assert all(np.isfinite(array).all() for array in state.values())


@fuzzed(250, data=st.data())
def test_a_segment_of_activations(room, data):
    directory = room / "activations"
    digests = [f"{number:064x}" for number in range(1, 5)]
    rows = np.arange(24, dtype=np.float16).reshape(4, 6)
    for path in directory.rglob("*"):
        if path.is_file():
            path.unlink()
    ActivationCache(directory).write("space", digests, rows)
    (segment,) = (path for path in directory.rglob("*") if path.is_file())
    segment.write_bytes(data.draw(damaged(segment.read_bytes()) | st.binary(max_size=100)))
    cache = ActivationCache(directory)
    found, read = cache.read("space", digests)
    assert not found.any() or np.array_equal(read, rows[found])
    cache.write("space", digests, rows)  # what was not found is computed again
    assert ActivationCache(directory).read("space", digests)[0].all()


# --- hot update ---------------------------------------------------------------------------------


class Recorder:
    """Takes any model."""

    def __init__(self):
        self.models = []

    def load(self, model_url):
        self.models.append(model_url)


@pytest.fixture
def thread(room, monkeypatch):
    monkeypatch.setenv("MODEL_HOT_UPDATE_CONFIG", str(room / "model_config.json"))
    return ModelLoadingThread(Recorder())


NO_NETWORK = st.text(max_size=30).filter(lambda text: "://" not in text and "::" not in text)
PATHS = NO_NETWORK | st.sampled_from(["/", ".", "..", "\0", "\ud800", "/dev/zero", "file:///", "~"])
CONFIG = {"model_config": {"model_path": "m.onnx", "model_update_time": "1"}}


@fuzzed(250, content=st.binary(max_size=100) | damaged(json.dumps(CONFIG).encode()))
@example(b"[" * 100_000)
@example(b'{"model_config": {"model_path": "/", "model_update_time": ' + b"9" * 5000 + b"}}")
def test_any_config_of_a_hot_update(room, thread, content):
    (room / "model_config.json").write_bytes(content)
    with untouched(room):
        thread.poll()
    assert thread.backend.models == []


@fuzzed(150, path=PATHS | PLAIN.filter(lambda value: "://" not in str(value)), version=PLAIN)
def test_any_model_path_of_a_hot_update(room, thread, path, version):
    config = {"model_config": {"model_path": path, "model_update_time": version}}
    (room / "model_config.json").write_text(json.dumps(config))
    with untouched(room):
        thread.poll()
    assert thread.backend.models == []


def is_json(value):
    """Tell whether JSON can say it: NaN and infinity it cannot, wherever they stand."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


@fuzzed(200, version=st.text(max_size=300) | PLAIN)
@example(float("inf"))
@example("../../../../etc/cron.d/x")
@example("a" * 5000)
def test_any_update_time_is_safe_as_a_name(room, thread, version):
    (room / "m.onnx").write_bytes(b"model")
    config = {"model_path": str(room / "m.onnx"), "model_update_time": version}
    (room / "model_config.json").write_text(json.dumps({"model_config": config}))
    with untouched(room):
        assert thread.poll() is (str(version) != "latest" and is_json(version))
    assert all(model.startswith(str(room / "temporary")) for model in thread.backend.models)
    assert all(model.endswith("/model.onnx") for model in thread.backend.models)
    thread.version = "latest"
