import json
import subprocess
import sys
from dataclasses import replace

import pytest
from small_checkpoint import write_checkpoint
from small_onnx import write_classifier

from sedna_tinyms.artifact.store import ModelStore
from sedna_tinyms.artifact.version import describe
from sedna_tinyms.errors import ConfigurationError, StorageError, UsageError


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


@pytest.fixture
def model(cli):
    """Return a function that runs an action of the command, and returns its exit code."""

    def run(*words):
        run.answer = cli("model", *words)
        return run.answer.exit_code

    run.said = lambda: json.loads(run.answer.out)
    return run


def test_list(store, model, snapshot):
    assert model("list", store.directory.parent, "--json") == 0
    versions = model.said()["versions"]
    kept = ("version", "round", "classes", "parent", "deployed", "metrics", "error")
    assert [{name: each[name] for name in kept} for each in versions] == [
        dict(zip(kept, (1, 1, 2, None, False, {"accuracy": [0.5]}, None), strict=True)),
        dict(zip(kept, (2, 2, 3, 1, True, {"accuracy": [0.75]}, None), strict=True)),
    ]
    assert model("list", store.directory) == 0
    shown = model.answer.out
    for version in versions:
        shown = shown.replace(version["created"], "<created>")
    assert shown == snapshot


def test_verify_tells_which_version_is_bad(store, model, snapshot):
    assert model("verify", store.directory) == 0
    assert model.answer.out == snapshot
    (store.path(1) / "model.ckpt").write_bytes(b"")
    assert model("verify", store.directory, "--json") == 5
    found = model.said()
    assert [each["whole"] for each in found.values()] == [False, True, True]
    assert [each["code"] for each in found.values()] == ["wrong-length", None, None]
    assert found["version 1"]["error"] == snapshot
    assert model("verify", store.directory, "2") == 0
    assert model("verify", store.path(1)) == 5
    assert model("verify", store.directory, "7") == 5
    assert model.answer.out == snapshot
    assert model("list", store.directory, "--json") == 0
    assert [each["code"] for each in model.said()["versions"]] == ["wrong-length", None]
    assert model("list", store.directory) == 0
    assert model.answer.out.splitlines()[1] == snapshot


def test_verify_for_a_network_and_its_classes(store, model):
    network = ("--architecture", "MobileNetV2")
    assert model("verify", store.path(1), *network, "--classes", "dark,bright") == 0
    assert model("verify", store.path(2), *network, "--classes", "dark,bright") == 5
    assert model("verify", store.path(1), "--architecture", "LeNet5") == 5


def test_verify_of_a_plain_directory_warns(tmp_path, model, snapshot):
    write_checkpoint(tmp_path / "model.ckpt")
    assert model("verify", tmp_path) == 0
    assert model.answer.out == snapshot
    assert model("verify", tmp_path, "--json") == 0
    [said] = model.said().values()
    assert said["whole"]
    assert len(said["warnings"]) == 1
    assert model("verify", tmp_path / "absent") == 2


def test_verify_of_signatures(tmp_path, store, model, refused):
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    assert model("keys", private, public) == 0
    assert f"SEDNA_TINYMS_PUBLIC_KEY={public}" in model.answer.out
    publish(ModelStore(store.directory, signing_key=private), 0.9)
    assert model("verify", store.path(3), "--public-key", public) == 0
    assert model("verify", store.path(3), "--public-key", public, "--json") == 0
    [said] = model.said().values()
    assert (said["whole"], said["signed"]) == (True, True)
    assert model("verify", store.directory, "--public-key", public, "--json") == 5
    assert model.said()["version 1"]["code"] == "unsigned"
    assert model.said()["version 3"]["code"] is None
    refused(StorageError, "already-exists", "model", "keys", private, public)
    verify = ("model", "verify", store.path(3), "--public-key", private)
    refused(ConfigurationError, "invalid-key", *verify, golden=False)  # cryptography's words


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
def test_a_file_that_is_no_whole_model(tmp_path, model, name, content):
    path = tmp_path / name
    if content == b"half":
        write = write_classifier if name == "model.onnx" else write_checkpoint
        whole = write(path).read_bytes()
        content = whole if name == "notes.txt" else whole[: len(whole) // 2]
    path.write_bytes(content)
    assert model("verify", path, "--json") == 5
    [said] = model.said().values()
    assert (said["whole"], bool(said["code"])) == (False, True)


def test_a_file_that_is_one(tmp_path, model):
    for path in (write_classifier(tmp_path / "m.onnx"), write_checkpoint(tmp_path / "m.ckpt")):
        assert model("verify", path, "--json") == 0
        assert model.said()[str(path)]["whole"]


def test_diff(store, model, snapshot):
    assert model("diff", store.directory, "--json") == 0
    found = model.said()
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
    assert model.answer.out == snapshot
    assert model("diff", store.directory, 2) == 2
    assert model.answer.error.code == "missing-value"


def test_it_starts_without_mindspore_or_yaml(store):
    code = (
        "import sys; from sedna_tinyms.cli import main\n"
        f"main(['model', 'verify', {str(store.directory)!r}])\n"
        "print(sorted({'mindspore', 'onnx', 'yaml', 'rich'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("words", [["verify"], ["list", "x", "0"], ["diff", "x", "-1"], []])
def test_what_cannot_be_carried_out(words, model):
    assert model(*words) == 2


@pytest.mark.parametrize("action", ["list", "verify", "diff"])
def test_a_place_that_does_not_exist(action, tmp_path, refused):
    absent = tmp_path / "absent"
    refused(UsageError, "not-a-directory", "model", action, absent, path=absent)


def test_a_place_with_no_versions(tmp_path, refused):
    refused(UsageError, "empty", "model", "list", tmp_path, path=tmp_path)
    file = tmp_path / "model.ckpt"
    file.touch()
    refused(UsageError, "not-a-directory", "model", "list", file, path=file)


def test_a_version_that_is_no_number(model, snapshot):
    assert model("rollback", "job.yaml", "--root", ".", "--to", "x") == 2
    assert model.answer.err.rpartition("argument --to: ")[2] == snapshot


def test_a_missing_key_is_not_the_models_fault(store, refused):
    absent = store.directory / "absent.pem"
    for place in (store.directory, store.path(1) / "model.ckpt"):
        words = ("model", "verify", place, "--public-key", absent)
        refused(ConfigurationError, "missing-file", *words, path=absent)
