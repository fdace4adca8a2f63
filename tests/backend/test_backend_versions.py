"""A worker whose MODEL_URL is a model version checks it before it loads it."""

import json
from pathlib import Path

import pytest
from small_onnx import write_classifier

from sedna_tinyms.artifact.version import describe, write_version
from sedna_tinyms.backend import ONNXBackend
from sedna_tinyms.errors import ConfigurationError, ModelFileError
from sedna_tinyms.sedna.core.hot_update import ModelLoadingThread


class Bytes:
    """Answers with the content of its model."""

    def load(self, model_url):
        self.content = Path(model_url).read_bytes()

    def predict(self, data):
        return self.content


@pytest.fixture
def version(tmp_path):
    model = write_classifier(tmp_path / "trained" / "model.onnx")
    return write_version(tmp_path / "000001", {"model.onnx": model}, describe({"x.onnx": model}))


def test_a_version_that_is_whole_is_loaded(version):
    model = version.weights(".onnx")
    for url in (version.directory, model):
        assert ONNXBackend(Bytes, model_save_path=str(url)).predict("x") == model.read_bytes()


def test_a_version_that_is_not_is_refused_and_the_old_model_answers(version, tmp_path):
    backend = ONNXBackend(Bytes, model_save_path=str(version.directory))
    before = backend.predict("x")
    (version.directory / "more.txt").write_text("")
    for url in (version.directory, version.weights(".onnx")):
        with pytest.raises(ModelFileError) as raised:
            backend.load(str(url))
        assert "more.txt" in str(raised.value)
        assert backend.predict("x") == before


def test_what_is_not_signed_is_refused_where_a_key_is_given(raises, version, tmp_path, monkeypatch):
    pytest.importorskip("cryptography")
    monkeypatch.setenv("SEDNA_TINYMS_PUBLIC_KEY", str(tmp_path / "public.pem"))
    with raises(ModelFileError, "unsigned"):
        ONNXBackend(Bytes, model_save_path=str(version.directory)).predict("x")


@pytest.fixture
def keys(tmp_path, monkeypatch):
    pytest.importorskip("cryptography")
    from sedna_tinyms.artifact.signing import make_keys

    make_keys(tmp_path / "private.pem", tmp_path / "public.pem")
    monkeypatch.setenv("SEDNA_TINYMS_PUBLIC_KEY", str(tmp_path / "public.pem"))
    monkeypatch.setenv("SEDNA_TINYMS_REQUIRE_SIGNED", "1")
    return tmp_path / "private.pem"


def test_a_hot_update_takes_only_what_is_signed(tmp_path, monkeypatch, keys):
    """A worker that trains signs what it saves; the file goes its way alone; the edge checks it."""
    from sedna_tinyms.artifact.signed_file import sign_file

    monkeypatch.setenv("MODEL_HOT_UPDATE_CONFIG", str(tmp_path / "model_config.json"))
    served = write_classifier(tmp_path / "deploy.onnx")
    sign_file(served, keys)
    backend = ONNXBackend(Bytes, model_save_path=str(served))
    thread = ModelLoadingThread(backend)

    def update(version):
        config = {"model_path": str(tmp_path / "new.onnx"), "model_update_time": version}
        (tmp_path / "model_config.json").write_text(json.dumps({"model_config": config}))
        return thread.poll()

    assert backend.predict("x") == served.read_bytes()
    write_classifier(tmp_path / "new.onnx", weight=0.02)
    assert not update("1")
    assert thread.reason
    assert thread.refused == {"ModelFileError": 1}
    assert backend.predict("x") == served.read_bytes()
    sign_file(tmp_path / "new.onnx", keys)
    assert update("2")
    assert backend.predict("x") == (tmp_path / "new.onnx").read_bytes()


def test_what_is_saved_where_a_key_is_given_is_signed(tmp_path, monkeypatch, keys):
    from sedna_tinyms.artifact.signed_file import require_signed_file
    from sedna_tinyms.backend.model_files import publish

    monkeypatch.setenv("SEDNA_TINYMS_SIGNING_KEY", str(keys))
    (tmp_path / "saved").mkdir()
    write_classifier(tmp_path / "saved" / "model.onnx")
    publish(tmp_path / "saved", "model.onnx", str(tmp_path / "out" / "model.onnx"))
    require_signed_file(tmp_path / "out" / "model.onnx", tmp_path / "public.pem")


def test_a_signature_cannot_be_asked_for_without_a_key(raises, tmp_path, monkeypatch, keys):
    monkeypatch.delenv("SEDNA_TINYMS_PUBLIC_KEY")
    model = write_classifier(tmp_path / "deploy.onnx")
    with raises(ConfigurationError, "missing-value", name="SEDNA_TINYMS_PUBLIC_KEY"):
        ONNXBackend(Bytes, model_save_path=str(model)).predict("x")


def test_a_signed_version_needs_no_signature_in_its_files(tmp_path, keys):
    model = write_classifier(tmp_path / "trained" / "model.onnx")
    description = describe({"x.onnx": model})
    version = write_version(
        tmp_path / "000002", {"model.onnx": model}, description, signing_key=keys
    )
    for url in (version.directory, version.weights(".onnx")):
        backend = ONNXBackend(Bytes, model_save_path=str(url))
        assert backend.predict("x") == model.read_bytes()
