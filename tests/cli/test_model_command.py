import json
import subprocess
import sys
from dataclasses import replace

import pytest
from small_checkpoint import write_checkpoint
from small_onnx import write_classifier

from sedna_tinyms.artifact.store import ModelStore
from sedna_tinyms.artifact.version import describe
from sedna_tinyms.cli import main


def publish(store, weight, **words):
    path = write_checkpoint(
        store.directory.parent / "trained" / "model.ckpt",
        weight=weight,
        class_names=words.pop("class_names", ("dark", "bright")),
    )
    description = replace(describe({"model.ckpt": path}), **words)
    return store.publish({"model.ckpt": path}, description)


@pytest.fixture
def store(tmp_path):
    store = ModelStore(tmp_path / "output" / "models")
    first = publish(store, 0.5, metrics={"accuracy": [0.5]}, origin={"round": 1})
    classes = ("dark", "bright", "red")
    words = {"metrics": {"accuracy": [0.75]}, "origin": {"round": 2}, "class_names": classes}
    publish(store, 0.75, parent=first.digest, **words)
    store.deploy(1)
    store.deploy(2)
    return store


def said(capsys):
    return json.loads(capsys.readouterr().out)


def model(*words):
    return main(["model", *map(str, words)])


def test_list(store, capsys):
    assert model("list", store.directory.parent, "--json") == 0
    versions = said(capsys)["versions"]
    kept = ("version", "round", "classes", "parent", "deployed", "metrics", "error")
    assert [{name: each[name] for name in kept} for each in versions] == [
        dict(zip(kept, (1, 1, 2, None, False, {"accuracy": [0.5]}, None), strict=True)),
        dict(zip(kept, (2, 2, 3, 1, True, {"accuracy": [0.75]}, None), strict=True)),
    ]
    assert model("list", store.directory) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("     2 deployed  round 2  ")
    assert last.endswith("MobileNetV2, 3 classes  from 1  0.0 MB  accuracy 0.75")


def test_verify_tells_which_version_is_bad(store, capsys):
    assert model("verify", store.directory) == 0
    assert capsys.readouterr().out.splitlines() == [
        "version 1: whole",
        "version 2: whole",
        "the deployed version: whole",
    ]
    (store.path(1) / "model.ckpt").write_bytes(b"")
    assert model("verify", store.directory, "--json") == 5
    found = said(capsys)
    assert [each["whole"] for each in found.values()] == [False, True, True]
    assert "has 0 bytes" in found["version 1"]["error"]
    assert model("verify", store.directory, "2") == 0
    assert model("verify", store.path(1)) == 5
    assert model("verify", store.directory, "7") == 5
    assert "has no version 7" in capsys.readouterr().out
    assert model("list", store.directory) == 0
    assert "1           not whole: see sedna-tinyms model verify" in capsys.readouterr().out


def test_verify_for_a_network_and_its_classes(store, capsys):
    network = ("--architecture", "MobileNetV2")
    assert model("verify", store.path(1), *network, "--classes", "dark,bright") == 0
    assert model("verify", store.path(2), *network, "--classes", "dark,bright") == 5
    assert model("verify", store.path(1), "--architecture", "LeNet5") == 5
    capsys.readouterr()


def test_verify_of_a_plain_directory_warns(tmp_path, capsys):
    write_checkpoint(tmp_path / "model.ckpt")
    assert model("verify", tmp_path) == 0
    out = capsys.readouterr().out
    assert ": not checked in full\n  there is no manifest.json" in out
    assert model("verify", tmp_path / "absent") == 2


def test_verify_of_signatures(tmp_path, store, capsys):
    pytest.importorskip("cryptography")
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    assert model("keys", private, public) == 0
    assert f"SEDNA_TINYMS_PUBLIC_KEY={public}" in capsys.readouterr().out
    publish(ModelStore(store.directory, signing_key=private), 0.9)
    assert model("verify", store.path(3), "--public-key", public) == 0
    assert capsys.readouterr().out.endswith(": whole, signed\n")
    assert model("verify", store.directory, "--public-key", public) == 5
    assert "version 1: " in capsys.readouterr().out
    assert model("keys", private, public) == 13
    assert model("verify", store.path(3), "--public-key", private) == 12


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.onnx", b""),
        ("model.onnx", b"not a model"),
        ("model.onnx", b"half"),
        ("model.ckpt", b""),
        ("model.ckpt", b"half"),
        ("notes.txt", b"half"),
    ],
)
def test_a_file_that_is_no_whole_model(tmp_path, capsys, name, content):
    path = tmp_path / name
    if content == b"half":
        write = write_classifier if name == "model.onnx" else write_checkpoint
        whole = write(path).read_bytes()
        content = whole if name == "notes.txt" else whole[: len(whole) // 2]
    path.write_bytes(content)
    assert model("verify", path) == 5
    assert not capsys.readouterr().out.endswith("whole\n")


def test_a_file_that_is_one(tmp_path, capsys):
    for path in (write_classifier(tmp_path / "m.onnx"), write_checkpoint(tmp_path / "m.ckpt")):
        assert model("verify", path) == 0
        assert capsys.readouterr().out == f"{path}: whole\n"


def test_diff(store, capsys):
    assert model("diff", store.directory, "--json") == 0
    found = said(capsys)
    assert (found["old"], found["new"]) == (1, 2)
    assert found["classes"] == {"added": ["red"], "removed": []}
    assert found["metrics"] == {"accuracy": {"old": [0.5], "new": [0.75]}}
    assert found["words"]["origin"] == {"old": {"round": 1}, "new": {"round": 2}}
    assert found["weights"]["model.ckpt"] == {
        "same": 0,
        "changed": {"head.weight": {"largest_change": 0.25, "relative_change": 0.5}},
    }
    assert not found["files"]["model.ckpt"]["same"]
    assert model("diff", store.directory, 2, 1) == 0
    out = capsys.readouterr().out
    assert "  classes removed: red\n" in out
    assert "    head.weight: largest_change 0.25, relative_change 0.3333\n" in out
    assert model("diff", store.directory, 2) == 2


def test_it_starts_without_mindspore_or_yaml(store):
    code = (
        "import sys; from sedna_tinyms.cli import main\n"
        f"main(['model', 'verify', {str(store.directory)!r}])\n"
        "print(sorted({'mindspore', 'onnx', 'yaml', 'rich'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("words", [["verify"], ["list", "x", "0"], ["diff", "x", "-1"], []])
def test_what_cannot_be_carried_out(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        model(*words)
    assert stopped.value.code == 2
    capsys.readouterr()


@pytest.mark.parametrize("action", ["list", "verify", "diff"])
def test_a_place_that_does_not_exist(action, tmp_path, capsys):
    assert model(action, tmp_path / "absent") == 2
    assert "absent does not exist" in capsys.readouterr().err


def test_a_place_with_no_versions(tmp_path, capsys):
    assert model("list", tmp_path) == 2
    assert f"{tmp_path} holds no model versions" in capsys.readouterr().err
    (tmp_path / "model.ckpt").touch()
    assert model("list", tmp_path / "model.ckpt") == 2
    assert "model.ckpt is no directory" in capsys.readouterr().err


def test_a_version_that_is_no_number(capsys):
    with pytest.raises(SystemExit):
        model("rollback", "job.yaml", "--root", ".", "--to", "x")
    assert "argument --to: 'x' is no whole number of at least 1" in capsys.readouterr().err


def test_a_missing_key_is_not_the_models_fault(store, capsys):
    pytest.importorskip("cryptography")
    absent = store.directory / "absent.pem"
    for place in (store.directory, store.path(1) / "model.ckpt"):
        assert model("verify", place, "--public-key", absent) == 12
        assert f"the key {absent} cannot be read" in capsys.readouterr().err
