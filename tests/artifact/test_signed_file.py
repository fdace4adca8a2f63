"""A signature that travels inside the one file that is deployed."""

import json

import numpy as np
import onnx
import pytest
from small_checkpoint import write_checkpoint
from small_onnx import write_classifier

pytest.importorskip("cryptography")

from estimators import OnnxClassifier
from sedna_tinyms.artifact.signed_file import require_signed_file, sign_file
from sedna_tinyms.artifact.signing import make_keys
from sedna_tinyms.cli import main
from sedna_tinyms.errors import ConfigurationError, ModelFileError


@pytest.fixture
def keys(tmp_path):
    make_keys(tmp_path / "private.pem", tmp_path / "public.pem")
    return tmp_path / "private.pem", tmp_path / "public.pem"


@pytest.fixture
def signed(tmp_path, keys):
    path = write_classifier(tmp_path / "model.onnx")
    sign_file(path, keys[0])
    return path


def test_a_signed_file_is_the_same_model(tmp_path, signed, keys):
    require_signed_file(signed, keys[1])
    plain = write_classifier(tmp_path / "plain.onnx")
    picture = np.full((8, 8, 3), 200, np.uint8)
    answers = []
    for path in (signed, plain):
        classifier = OnnxClassifier(engine="onnxruntime")
        classifier.load(path)
        answers.append(list(classifier.predict(picture)))
    assert answers[0] == answers[1]
    onnx.checker.check_model(onnx.load(signed))
    assert signed.read_bytes().startswith(plain.read_bytes())


def test_it_is_signed_once_whatever_the_key(tmp_path, signed, keys):
    before = signed.read_bytes()
    sign_file(signed, keys[0])
    assert signed.read_bytes() == before
    make_keys(tmp_path / "other.pem", tmp_path / "others.pem")
    sign_file(signed, tmp_path / "other.pem")
    assert len(signed.read_bytes()) == len(before)
    require_signed_file(signed, tmp_path / "others.pem")
    with pytest.raises(ModelFileError, match="was not signed with the key"):
        require_signed_file(signed, keys[1])


def flip(content):
    changed = bytearray(content)
    changed[len(content) // 3] ^= 1
    return bytes(changed)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (flip, "or was changed since"),
        (lambda content: content[10:], "or was changed since"),
        (lambda content: b"\x40\x01" + content, "or was changed since"),
        (lambda content: content[:-88] + b"A" * 88, "or was changed since"),
        (lambda content: content[:-88] + b"?" * 88, "has no signature"),
        (lambda content: content[:-1], "has no signature"),
        (lambda content: content + b"\x40\x01", "has no signature"),
        (lambda content: content[:-114], "has no signature"),
        (lambda content: b"", "has no signature"),
    ],
)
def test_whatever_is_changed_is_refused(signed, keys, damage, words):
    signed.write_bytes(damage(signed.read_bytes()))
    with pytest.raises(ModelFileError, match=words):
        require_signed_file(signed, keys[1])


def test_the_signature_of_another_file_is_refused(tmp_path, signed, keys):
    other = write_classifier(tmp_path / "other.onnx", weight=0.02)
    end = len(write_classifier(tmp_path / "plain.onnx").read_bytes())
    other.write_bytes(other.read_bytes() + signed.read_bytes()[end:])
    with pytest.raises(ModelFileError, match="or was changed since"):
        require_signed_file(other, keys[1])


def test_a_checkpoint_and_a_missing_file_cannot_be_signed(tmp_path, keys):
    with pytest.raises(ConfigurationError, match="signed as part of a version"):
        sign_file(write_checkpoint(tmp_path / "model.ckpt"), keys[0])
    with pytest.raises(ModelFileError, match="cannot be read"):
        sign_file(tmp_path / "absent.onnx", keys[0])


@pytest.mark.parametrize("damage", [lambda _: b"", lambda _: b"text", lambda c: c[: len(c) // 2]])
def test_what_is_no_model_is_not_signed(tmp_path, keys, damage):
    path = write_classifier(tmp_path / "model.onnx")
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    with pytest.raises(ModelFileError, match=r"model\.onnx .*\d+ bytes"):
        sign_file(path, keys[0])
    assert path.read_bytes() == damaged


def test_the_commands(tmp_path, keys, capsys):
    model = write_classifier(tmp_path / "model.onnx")
    verify = ["model", "verify", str(model), "--public-key", str(keys[1])]
    assert main(verify) == 5
    assert "has no signature" in capsys.readouterr().out
    assert main(["model", "sign", str(model), str(keys[0])]) == 0
    assert capsys.readouterr().out == f"{model} is signed\n"
    assert main([*verify, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out).values()
    assert found == {"whole": True, "signed": True, "error": None, "warnings": []}
    assert main([*verify, "--classes", "a,b"]) == 5
    write_classifier(model, weight=float("nan"))
    assert main(["model", "verify", str(model)]) == 5
    assert "holds NaN" in capsys.readouterr().out
