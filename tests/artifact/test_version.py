import json
import os
import shutil
from dataclasses import fields, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_checkpoint import write_checkpoint
from small_onnx import write_classifier

from estimators.model_card import ARCHITECTURE, ModelCard
from sedna_tinyms.artifact.description import ARCHITECTURES, OWN_WORDS, ModelDescription
from sedna_tinyms.artifact.manifest import Manifest
from sedna_tinyms.artifact.version import describe, open_version, write_version
from sedna_tinyms.errors import ForeignModelError, ModelFileError, StorageError


def files_of(directory, **settings):
    memory = directory / "model.memory.npz"
    memory.parent.mkdir(parents=True, exist_ok=True)
    memory.write_bytes(b"remembered")
    return {
        "model.ckpt": write_checkpoint(directory / "model.ckpt", **settings),
        "model.onnx": write_classifier(directory / "model.onnx"),
        "model.memory.npz": memory,
    }


@pytest.fixture
def version(tmp_path):
    files = files_of(tmp_path / "trained")
    described = replace(
        describe(files), version=1, metrics={"accuracy": [0.5]}, origin={"job": "default/toy"}
    )
    return write_version(tmp_path / "000001", files, described)


def refresh_manifest(directory):
    """Make the manifest name what is there, as somebody would who can write anything."""
    import hashlib

    files = [
        {
            "path": path.name,
            "size": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in sorted(directory.iterdir())
        if path.name != "manifest.json"
    ]
    text = json.dumps({"format_version": 1, "files": files})
    (directory / "manifest.json").write_text(text)


def test_a_version_is_whole_and_readable_by_all(tmp_path, version):
    opened = open_version(version.directory)
    assert opened == version
    assert opened.warnings == ()
    assert opened.weights(".onnx").read_bytes() == (tmp_path / "trained/model.onnx").read_bytes()
    assert {path.name for path in version.directory.iterdir()} == {
        *("model.ckpt", "model.onnx", "model.memory.npz", "model.json", "manifest.json")
    }
    modes = {path.stat().st_mode & 0o777 for path in version.directory.iterdir()}
    assert (modes, version.directory.stat().st_mode & 0o777) == ({0o644}, 0o755)
    described = json.loads((version.directory / "model.json").read_text())
    assert described["architecture"] == "MobileNetV2"
    assert described["class_names"] == ["dark", "bright"]
    assert described["metrics"] == {"accuracy": [0.5]}
    manifest = json.loads((version.directory / "manifest.json").read_text())
    assert {entry["path"]: entry["size"] for entry in manifest["files"]}["model.memory.npz"] == 10


def test_the_umask_does_not_matter(tmp_path):
    before = os.umask(0o077)
    try:
        files = files_of(tmp_path / "trained")
        version = write_version(tmp_path / "v", files, describe(files))
    finally:
        os.umask(before)
    assert version.directory.stat().st_mode & 0o777 == 0o755
    assert {path.stat().st_mode & 0o777 for path in version.directory.iterdir()} == {0o644}


def change(directory):
    content = bytearray((directory / "model.ckpt").read_bytes())
    content[40] ^= 1
    (directory / "model.ckpt").write_bytes(content)


def link_symbolically(directory):
    (directory / "model.ckpt").rename(directory.parent / "elsewhere.ckpt")
    (directory / "model.ckpt").symlink_to(directory.parent / "elsewhere.ckpt")


def make_pipe(directory):
    (directory / "model.ckpt").unlink()
    os.mkfifo(directory / "model.ckpt")


def boast(directory):
    path = directory / "model.json"
    path.write_text(path.read_text().replace("0.5", "0.9"))


DAMAGES = {
    "extra file": (lambda d: (d / "more.txt").write_text(""), "unexpected-file", "more.txt"),
    "extra directory": (lambda d: (d / "more").mkdir(), "unexpected-file", "more"),
    "hidden file": (lambda d: (d / ".x").write_text(""), "unexpected-file", ".x"),
    "missing file": (lambda d: (d / "model.onnx").unlink(), "missing-file", "model.onnx"),
    "changed file": (change, "wrong-digest", "model.ckpt"),
    "longer file": (
        lambda d: (d / "model.memory.npz").write_bytes(b"remembered more"),
        "wrong-length",
        "model.memory.npz",
    ),
    "symbolic link": (link_symbolically, "linked-file", "model.ckpt"),
    "hard link": (
        lambda d: os.link(d / "model.ckpt", d.parent / "other"),
        "linked-file",
        "model.ckpt",
    ),
    "pipe": (make_pipe, "not-regular-file", "model.ckpt"),
    "no description": (lambda d: (d / "model.json").unlink(), "missing-file", "model.json"),
    "described anew": (boast, "wrong-digest", "model.json"),
    "no manifest": (lambda d: (d / "manifest.json").unlink(), "missing-file", "manifest.json"),
    "manifest cut short": (
        lambda d: (d / "manifest.json").write_text('{"format'),
        "not-json",
        "manifest.json",
    ),
    "huge manifest": (
        lambda d: (d / "manifest.json").write_text(" " * 2_000_000),
        "too-large",
        "manifest.json",
    ),
}
SAID_BY_OTHERS = ("symbolic link", "manifest cut short")
"""Whose messages hold words of the operating system or of Python."""


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_was_not_published_is_refused(version, damage, raises):
    do, code, name = DAMAGES[damage]
    do(version.directory)
    with raises(ModelFileError, code, golden=damage not in SAID_BY_OTHERS) as raised:
        open_version(version.directory)
    said = raised.value.problems or [raised.value]
    assert [str(each.fields["path"]) for each in said] == [str(version.directory / name)]


def test_a_link_to_a_version_is_none(tmp_path, version, raises):
    link = tmp_path / "link"
    link.symlink_to(version.directory)
    with raises(ModelFileError, "not-a-directory", golden=False, path=link):
        open_version(link)
    with raises(ModelFileError, "missing-file", golden=False, path=tmp_path / "absent"):
        open_version(tmp_path / "absent")


@pytest.mark.parametrize(
    ("settings", "kind", "code", "name"),
    [
        ({"weight": float("nan")}, ModelFileError, "not-finite", "head.weight"),
        (
            {"class_names": ("dark", "red")},
            ForeignModelError,
            "class-mismatch",
            "class_names",
        ),
        ({"architecture": "LeNet5"}, ForeignModelError, "foreign-model", "architecture"),
        ({"architecture": "MobileNetV3"}, ForeignModelError, "unknown-name", "architecture"),
    ],
    ids=["NaN", "classes", "architecture", "unknown architecture"],
)
def test_other_weights_in_a_consistent_manifest(version, settings, kind, code, name, raises):
    path = write_checkpoint(version.directory / "model.ckpt", **settings)
    refresh_manifest(version.directory)
    with raises(kind, code, path=path, name=name):
        open_version(version.directory)


def test_weights_that_cannot_be_read_do_not_hide_behind_others(tmp_path, raises):
    files = files_of(tmp_path / "trained")
    files["model.ckpt"].write_text("0.5")
    with raises(ModelFileError, "unknown-format", golden=False) as raised:
        write_version(tmp_path / "v", files, describe(files))
    assert raised.value.fields["path"].endswith("model.ckpt")


@pytest.mark.parametrize("name", ["model.ckpt", "model.onnx"])
@pytest.mark.parametrize("damage", ["empty", "cut short", "longer", "pickle"])
def test_weights_that_are_not_whole_become_no_version_of_anybodys_network(
    tmp_path, name, damage, snapshot
):
    file = files_of(tmp_path / "trained")[name]
    whole = file.read_bytes()
    file.write_bytes(
        {
            "empty": b"",
            "cut short": whole[: len(whole) // 2],
            "longer": whole + b"\xff",
            "pickle": b"\x80\x04cposix\nsystem\n.",
        }[damage]
    )
    if (name, damage) == ("model.ckpt", "pickle"):  # as other frameworks have them: not looked into
        version = write_version(tmp_path / "v", {name: file}, describe({name: file}))
        assert version.warnings == snapshot
        return
    for use in (
        lambda: describe({name: file}),
        lambda: write_version(tmp_path / "v", {name: file}, ModelDescription()),
    ):
        with pytest.raises(ModelFileError) as raised:
            use()
        assert raised.value.code == ("empty" if damage == "empty" else "damaged")
    assert not (tmp_path / "v").exists()


def test_weights_that_cannot_be_read_do_not_hide_behind_a_description(version, raises):
    path = version.directory / "model.ckpt"
    path.write_text("0.5")
    refresh_manifest(version.directory)
    with raises(ModelFileError, "unknown-format", golden=False, path=path):
        open_version(version.directory)


def test_a_version_for_something_else(version, raises):
    open_version(version.directory, architecture="MobileNetV2", class_names=["dark", "bright"])
    with raises(ForeignModelError, "foreign-model", value="MobileNetV2", expected="LeNet5"):
        open_version(version.directory, architecture="LeNet5")
    with raises(ForeignModelError, "class-mismatch", expected=("bright", "dark")):
        open_version(version.directory, class_names=["bright", "dark"])


@pytest.mark.parametrize(
    ("said", "kind", "code", "name"),
    [
        ({"architecture": "Transformer"}, ForeignModelError, "unknown-name", "architecture"),
        ({"architektur": "LeNet5"}, ModelFileError, "unknown-key", "architektur"),
        ({"class_names": ["a", "a"]}, ModelFileError, "invalid-value", "class_names"),
        ({"width": -1}, ModelFileError, "invalid-value", "width"),
        ({"metrics": 5}, ModelFileError, "invalid-value", "metrics"),
        ({"metrics": {"accuracy": float("nan")}}, ModelFileError, "not-json", None),
        ({"class_names": ["\ud800"]}, ModelFileError, "invalid-value", "class_names"),
        ({"format_version": 2}, ModelFileError, "wrong-version", None),
    ],
    ids=["network", "key", "names", "width", "metrics", "NaN", "surrogate", "format"],
)
def test_a_description_that_is_refused(version, said, kind, code, name, raises):
    path = version.directory / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | said))
    refresh_manifest(version.directory)
    with raises(kind, code, path=path) as raised:
        open_version(version.directory)
    assert raised.value.fields.get("name") == name


def test_a_description_that_is_a_list_is_refused(raises):
    with raises(ModelFileError, "wrong-type", path="model.json"):
        ModelDescription.from_json(b"[]", "model.json")


def test_nan_is_not_published(tmp_path, raises):
    files = files_of(tmp_path / "trained", weight=float("nan"))
    with raises(ModelFileError, "not-finite", name="head.weight"):
        write_version(tmp_path / "v", files, ModelDescription())
    assert [path.name for path in tmp_path.iterdir()] == ["trained"]


def test_two_files_that_contradict_each_other(tmp_path, raises):
    with raises(ForeignModelError, "class-mismatch", path=tmp_path / "model.onnx"):
        describe(files_of(tmp_path, class_names=("a", "b")))


def test_a_version_is_never_replaced(tmp_path, version, raises):
    files = files_of(tmp_path / "more", weight=0.7)
    with raises(StorageError, "already-exists", path=version.directory):
        write_version(version.directory, files, describe(files))
    assert open_version(version.directory) == version


@pytest.mark.parametrize("name", ["../x.ckpt", "a/b", ".hidden", "model.json", "manifest.sig", ""])
def test_names_that_a_file_cannot_have(tmp_path, name, raises):
    source = write_checkpoint(tmp_path / "x.ckpt")
    with raises(ModelFileError, "invalid-value", name=name):
        write_version(tmp_path / "v", {name: source}, ModelDescription())


def test_a_version_has_files_and_they_are_files(tmp_path, raises):
    with raises(ModelFileError, "empty"):
        write_version(tmp_path / "v", {}, ModelDescription())
    with raises(ModelFileError, "not-a-file", path=tmp_path):
        write_version(tmp_path / "v", {"model.bin": tmp_path}, ModelDescription())


def test_a_plain_sedna_job_leaves_one_model(tmp_path, caplog, raises, snapshot):
    write_checkpoint(tmp_path / "model.ckpt", class_names=None)
    (tmp_path / "notes.txt").write_text("whatever")
    found = open_version(tmp_path)
    assert found.weights(".ckpt") == tmp_path / "model.ckpt"
    assert [entry.path for entry in found.manifest.files] == ["model.ckpt"]
    assert found.warnings == snapshot
    assert all(warning in caplog.text for warning in found.warnings)
    with raises(ForeignModelError, "foreign-model", value=None, expected="MobileNetV2"):
        open_version(tmp_path, architecture="MobileNetV2")
    write_checkpoint(tmp_path / "other.ckpt")
    with raises(ModelFileError, "ambiguous", valid=["model.ckpt", "other.ckpt"]):
        open_version(tmp_path)
    (tmp_path / "empty").mkdir()
    with raises(ModelFileError, "missing-file", path=tmp_path / "empty"):
        open_version(tmp_path / "empty")


def test_a_network_of_the_users_own_becomes_a_version(tmp_path):
    (tmp_path / "model.ckpt").write_text("0.5")
    files = {"model.ckpt": tmp_path / "model.ckpt"}
    version = write_version(tmp_path / "v", files, describe(files))
    assert version.description.architecture is None
    assert len(version.warnings) == 1


def test_a_successor_is_not_in_a_format_that_is_not_read(tmp_path, raises):
    path = tmp_path / "model.ckpt"
    path.write_text("0.5")
    parent = ModelDescription(architecture="LeNet5")
    with raises(ModelFileError, "unknown-format", golden=False, path=path, expected="LeNet5"):
        describe({"model.ckpt": path}, successor_of=parent)
    with raises(ModelFileError, "missing-file", golden=False, path=tmp_path / "absent.ckpt"):
        describe({"absent.ckpt": tmp_path / "absent.ckpt"})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
ENTRIES = st.fixed_dictionaries(
    {
        "path": st.sampled_from(["model.ckpt", "../../secret", "/etc/passwd", "model.json", "a\0b"])
        | JSON,
        "size": st.integers(-1, 1 << 70) | JSON,
        "sha256": st.just("0" * 64) | JSON,
    }
)
MANIFESTS = (
    st.fixed_dictionaries(
        {"format_version": st.just(1) | JSON, "files": st.lists(ENTRIES, max_size=3) | JSON}
    ).map(json.dumps)
    | JSON.map(json.dumps)
    | st.text(max_size=60)
    | st.just("[" * 100_000)
).map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=60)


def at_most(examples):
    """Give a test so many examples, however long one takes on a busy machine."""
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=examples, deadline=None, suppress_health_check=checks)


@at_most(50)
@given(manifest=MANIFESTS)
def test_any_manifest_is_refused_and_nothing_outside_is_read(version, manifest, opened_files):
    refuse(version, manifest, opened_files)


@pytest.mark.slow
@at_most(400)
@given(manifest=MANIFESTS)
def test_many_manifests_are_refused_and_nothing_outside_is_read(version, manifest, opened_files):
    refuse(version, manifest, opened_files)


def refuse(version, manifest, opened_files):
    (version.directory / "manifest.json").write_bytes(manifest)
    opened_files.clear()
    with pytest.raises(ModelFileError):
        open_version(version.directory)
    inside = {str(version.directory), "manifest.json", "model.json", "model.ckpt", "model.onnx"}
    assert set(opened_files) <= inside | {"model.memory.npz"}


DESCRIPTIONS = st.dictionaries(st.sampled_from([*ModelDescription.__annotations__, "x"]), JSON)


@at_most(50)
@given(said=DESCRIPTIONS)
def test_any_description_is_taken_or_refused(said):
    take_or_refuse(said)


@pytest.mark.slow
@at_most(400)
@given(said=DESCRIPTIONS)
def test_many_descriptions_are_taken_or_refused(said):
    take_or_refuse(said)


def take_or_refuse(said):
    text = json.dumps({"format_version": 1} | said).encode()
    try:
        described = ModelDescription.from_json(text, "model.json")
    except ModelFileError as error:
        str(error).encode()
    else:
        assert ModelDescription.from_json(described.as_json().encode(), "again") == described


@pytest.fixture
def opened_files(monkeypatch):
    """Record the names of all files that are opened by name."""
    names = []
    opening = os.open

    def record(path, *arguments, **named):
        names.append(os.fspath(path))
        return opening(path, *arguments, **named)

    monkeypatch.setattr(os, "open", record)
    return names


def test_a_manifest_reads_itself(version, raises):
    text = (version.directory / "manifest.json").read_bytes()
    assert Manifest.from_json(text, "x") == version.manifest
    with raises(ModelFileError, "missing-file", name="model.pb"):
        version.manifest.entry("model.pb")
    with raises(ModelFileError, "missing-file", path=version.directory, suffix=".pb"):
        version.weights(".pb")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda said: said.update(format_version=2), "wrong-version"),
        (lambda said: said.update(format_version=2, more=1), "wrong-version"),
        (lambda said: said.update(more=1), "invalid-value"),
        (lambda said: said.update(files=[]), "invalid-value"),
        (lambda said: said.update(files=[said["files"][0]] * 2), "invalid-value"),
        (lambda said: said.update(files=[{"path": "a"}]), "invalid-value"),
        (lambda said: said["files"][0].update(path="../x"), "invalid-value"),
        (lambda said: said["files"][0].update(path="manifest.json"), "invalid-value"),
        (lambda said: said["files"][0].update(size=-1), "invalid-value"),
        (lambda said: said["files"][0].update(sha256="0"), "invalid-value"),
    ],
    ids=[
        "version",
        "version and key",
        "key",
        "none",
        "twice",
        "entry",
        "path",
        "itself",
        "size",
        "digest",
    ],
)
def test_a_manifest_that_is_refused_says_why(version, change, code, raises):
    said = json.loads((version.directory / "manifest.json").read_text())
    change(said)
    with raises(ModelFileError, code, path="manifest.json"):
        Manifest.from_json(json.dumps(said).encode(), "manifest.json")


def test_a_copied_version_is_the_same(tmp_path, version):
    shutil.copytree(version.directory, tmp_path / "copy")
    assert open_version(tmp_path / "copy").digest == version.digest


def test_the_estimators_words_are_ours():
    card = {field.name for field in fields(ModelCard)} - {"learned"}  # no model is told apart by it
    assert set(OWN_WORDS) == card | {"architecture"}
    assert ARCHITECTURE in ARCHITECTURES
