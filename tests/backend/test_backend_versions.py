"""A worker whose MODEL_URL is a model version checks it before it loads it."""

from pathlib import Path

import pytest
from small_onnx import write_classifier

from sedna_tinyms.artifact.version import describe, write_version
from sedna_tinyms.backend import ONNXBackend
from sedna_tinyms.errors import ModelFileError


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
        with pytest.raises(ModelFileError, match=r"'more\.txt' is there and not in the manifest"):
            backend.load(str(url))
        assert backend.predict("x") == before


def test_what_is_not_signed_is_refused_where_a_key_is_given(version, tmp_path, monkeypatch):
    pytest.importorskip("cryptography")
    monkeypatch.setenv("SEDNA_TINYMS_PUBLIC_KEY", str(tmp_path / "public.pem"))
    with pytest.raises(ModelFileError, match="is not signed"):
        ONNXBackend(Bytes, model_save_path=str(version.directory)).predict("x")
