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


def test_it_is_signed_once_whatever_the_key(tmp_path, signed, keys, raises):
    before = signed.read_bytes()
    sign_file(signed, keys[0])
    assert signed.read_bytes() == before
    make_keys(tmp_path / "other.pem", tmp_path / "others.pem")
    sign_file(signed, tmp_path / "other.pem")
    assert len(signed.read_bytes()) == len(before)
    require_signed_file(signed, tmp_path / "others.pem")
    with raises(ModelFileError, "wrong-signature", path=signed, key=keys[1]):
        require_signed_file(signed, keys[1])


def flip(content):
    changed = bytearray(content)
    changed[len(content) // 3] ^= 1
    return bytes(changed)


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (flip, "wrong-signature"),
        (lambda content: content[10:], "wrong-signature"),
        (lambda content: b"\x40\x01" + content, "wrong-signature"),
        (lambda content: content[:-88] + b"A" * 88, "wrong-signature"),
        (lambda content: content[:-88] + b"?" * 88, "unsigned"),
        (lambda content: content[:-1], "unsigned"),
        (lambda content: content + b"\x40\x01", "unsigned"),
        (lambda content: content[:-114], "unsigned"),
        (lambda content: b"", "unsigned"),
    ],
)
def test_whatever_is_changed_is_refused(signed, keys, damage, code, raises):
    signed.write_bytes(damage(signed.read_bytes()))
    with raises(ModelFileError, code, golden=False, path=signed, key=keys[1]):
        require_signed_file(signed, keys[1])


def test_what_has_no_signature_says_how_to_get_one(tmp_path, keys, raises):
    path = write_classifier(tmp_path / "model.onnx")
    with raises(ModelFileError, "unsigned", path=path, key=keys[1]):
        require_signed_file(path, keys[1])


def test_the_signature_of_another_file_is_refused(tmp_path, signed, keys, raises):
    other = write_classifier(tmp_path / "other.onnx", weight=0.02)
    end = len(write_classifier(tmp_path / "plain.onnx").read_bytes())
    other.write_bytes(other.read_bytes() + signed.read_bytes()[end:])
    with raises(ModelFileError, "wrong-signature", path=other, key=keys[1]):
        require_signed_file(other, keys[1])


def test_a_checkpoint_and_a_missing_file_cannot_be_signed(tmp_path, keys, raises):
    checkpoint = write_checkpoint(tmp_path / "model.ckpt")
    with raises(ConfigurationError, "unknown-format", path=checkpoint):
        sign_file(checkpoint, keys[0])
    absent = tmp_path / "absent.onnx"
    with raises(ModelFileError, "missing-file", golden=False, path=absent):
        sign_file(absent, keys[0])


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda _: b"", "empty"),
        (lambda _: b"text", "damaged"),
        (lambda content: content[: len(content) // 2], "damaged"),
    ],
)
def test_what_is_no_model_is_not_signed(tmp_path, keys, damage, code, raises):
    path = write_classifier(tmp_path / "model.onnx")
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    with raises(ModelFileError, code, golden=False, path=path):
        sign_file(path, keys[0])
    assert path.read_bytes() == damaged


def test_the_commands(tmp_path, keys, capsys, snapshot):
    model = write_classifier(tmp_path / "model.onnx")
    verify = ["model", "verify", str(model), "--public-key", str(keys[1])]
    assert main(verify) == 5
    assert capsys.readouterr().out == snapshot
    assert main(["model", "sign", str(model), str(keys[0])]) == 0
    assert capsys.readouterr().out == snapshot
    assert main([*verify, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out).values()
    assert (found["whole"], found["signed"], found["error"]) == (True, True, None)
    assert found["warnings"] == []
    assert main([*verify, "--classes", "a,b"]) == 5
    write_classifier(model, weight=float("nan"))
    assert main(["model", "verify", str(model)]) == 5
    assert capsys.readouterr().out == snapshot
