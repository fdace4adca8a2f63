import hashlib
import json

import pytest
from killed import kill_at_every_step
from small_checkpoint import write_checkpoint
from small_onnx import write_classifier

from sedna_tinyms.artifact.lock import exclusively
from sedna_tinyms.cli import main
from sedna_tinyms.errors import ModelFileError, StorageError
from sedna_tinyms.jobs.layout import JobLayout
from sedna_tinyms.jobs.models import ReportedModel
from sedna_tinyms.jobs.paths import HostPaths
from sedna_tinyms.jobs.rollback import roll_back
from sedna_tinyms.jobs.versions import JobVersions

BASE = ReportedModel("ckpt", "/models/initial/model.ckpt")


@pytest.fixture
def notes():
    return []


@pytest.fixture
def versions(toy_job, notes):
    return versions_of(toy_job, notes)


def versions_of(toy_job, notes, **yaml):
    job, paths = toy_job.job(**yaml), HostPaths(toy_job.root)
    return JobVersions(job, paths, JobLayout(job, paths), notes.append)


def trained(toy_job, round_number, weight=0.5, **settings):
    path = toy_job.output / "train" / str(round_number) / "model.ckpt"
    write_checkpoint(path, weight=weight, **settings)
    path.with_name("model.memory.npz").write_text(f"remembered in round {round_number}")
    path.with_name("model.strategy.npz").write_text(f"noted in round {round_number}")
    return [ReportedModel("ckpt", f"/output/train/{round_number}/model.ckpt")]


def play(toy_job, versions, round_number, base=BASE, **settings):
    models = trained(toy_job, round_number, weight=round_number / 8, **settings)
    version = versions.publish(round_number, models, base, metrics={"accuracy": [0.5]})
    with versions.deploying(version):
        replacement = versions.replacement(version)
        replacement.apply()
        replacement.done()
    versions.retain({round_number})
    return models[0]


def test_what_was_in_service_is_the_first_version(toy_job, versions, notes):
    versions.take_up()
    assert versions.store.deployed().version == 1
    first = versions.store.open_deployed()
    assert first.weights(".ckpt").read_text() == "0.2"
    assert first.description.origin == {
        "job": "default/toy",
        "found": "/models/deployed/model.ckpt",
    }
    versions.take_up()
    assert versions.store.numbers() == [1]
    assert notes == []


def test_a_round_becomes_a_version(toy_job, versions):
    versions.take_up()
    models = trained(toy_job, 1)
    version = versions.publish(1, models, BASE, metrics={"accuracy": [0.5]}, samples=8)
    said = version.description
    assert {entry.path for entry in version.manifest.files} == {
        *("model.ckpt", "model.memory.npz", "model.strategy.npz", "model.json")
    }
    assert (said.version, said.class_names, said.metrics) == (
        *(2, ("dark", "bright")),
        {"accuracy": [0.5]},
    )
    assert said.origin["round"] == 1
    assert said.origin["samples"] == 8
    assert said.origin["base"] == "/models/initial/model.ckpt"
    assert said.origin["base_sha256"] == hashlib.sha256(b"0.1").hexdigest()
    assert said.parent is None
    assert versions.store.deployed().version == 1
    assert versions.publish(1, models, BASE, metrics={}) == version  # as after a kill
    second = versions.publish(2, trained(toy_job, 2, 0.7), models[0], metrics={})
    assert second.description.parent == version.digest


def test_the_version_in_service_is_deployed(toy_job, versions):
    versions.take_up()
    model = play(toy_job, versions, 1)
    assert versions.store.deployed().version == 2
    assert versions.base(model) == model
    versions.take_up()
    assert versions.store.deployed().version == 2


def test_a_deployment_that_fails_leaves_the_pointer(toy_job, versions):
    versions.take_up()
    version = versions.publish(1, trained(toy_job, 1), BASE, metrics={})
    with pytest.raises(RuntimeError), versions.deploying(version):
        raise RuntimeError("the worker does not answer")
    assert versions.store.deployed().version == 1


def test_the_pointer_follows_a_file_that_somebody_replaced(toy_job, versions, notes, snapshot):
    versions.take_up()
    play(toy_job, versions, 1)
    toy_job.deployed.write_text("0.2")
    versions.take_up()
    assert versions.store.deployed().version == 1
    write_checkpoint(toy_job.deployed, weight=0.9)
    versions.take_up()
    assert versions.store.deployed().version == 3
    write_checkpoint(toy_job.deployed, weight=float("nan"))
    versions.take_up()
    assert versions.store.deployed().version == 3
    assert (notes[-1].code, notes[-1].fields) == ("not-a-version", {"error": "not-finite"})
    assert notes[-1].message == snapshot


def test_weights_of_nan_become_no_version(toy_job, versions, raises):
    with raises(ModelFileError, "not-finite"):
        versions.publish(1, trained(toy_job, 1, float("nan")), BASE, metrics={})
    assert versions.store.numbers() == []


def test_a_round_that_is_not_deployed_need_not_become_a_version(toy_job, versions, notes, snapshot):
    models = trained(toy_job, 1, float("nan"))
    assert versions.publish(1, models, BASE, metrics={}, needed=False) is None
    (note,) = notes
    assert (note.code, note.fields) == ("no-version", {"round": 1, "error": "not-finite"})
    assert note.message == snapshot


def test_a_network_of_the_users_own_is_noted_once(toy_job, versions, notes, snapshot):
    for number in (1, 2):
        models = trained(toy_job, number)
        (toy_job.output / "train" / str(number) / "model.ckpt").write_text(f"0.{number}")
        versions.publish(number, models, BASE, metrics={})
    (note,) = notes
    assert note.code == "not-checked"
    assert note.message == snapshot
    assert versions.store.numbers() == [1, 2]


def test_after_a_known_network_no_weights_become_a_version_unread(toy_job, versions, raises):
    base = play(toy_job, versions, 1)
    models = trained(toy_job, 2)
    (toy_job.output / "train" / "2" / "model.ckpt").write_bytes(b"\x80\x04cposix\nsystem\n.")
    with raises(ModelFileError, "unknown-format", expected="MobileNetV2"):
        versions.publish(2, models, base, metrics={})
    assert versions.store.numbers() == [1]


def test_the_oldest_versions_go(toy_job, notes):
    versions = versions_of(toy_job, notes, annotations={"keep-versions": "3"})
    versions.take_up()
    for number in range(1, 6):
        play(toy_job, versions, number)
    assert versions.store.numbers() == [4, 5, 6]
    assert saved(toy_job) == ["3", "4", "5"]
    assert notes == []


def saved(toy_job):
    return sorted(path.name for path in (toy_job.output / "train").iterdir())


def test_the_models_of_refused_rounds_go_too_and_those_in_use_stay(toy_job, notes):
    versions = versions_of(toy_job, notes, annotations={"keep-versions": "2"})
    versions.take_up()
    play(toy_job, versions, 1)
    for number in range(2, 6):
        models = trained(toy_job, number, weight=number / 8)
        versions.publish(number, models, BASE, metrics={}, needed=False)
        versions.retain({1, number})
    # The deployed version and the one before it, too; of the others, the newest.
    assert versions.store.numbers() == [1, 2, 6]
    assert saved(toy_job) == ["1", "4", "5"]
    assert notes == []


def test_what_cannot_be_removed_is_noted(toy_job, notes):
    versions = versions_of(toy_job, notes, annotations={"keep-versions": "1"})
    trained(toy_job, 2)
    (toy_job.output / "train" / "1").symlink_to(toy_job.here)
    versions.retain({2})
    (note,) = notes
    assert list(toy_job.here.iterdir())
    path = toy_job.output / "train" / "1"
    assert note.code == "not-removed"
    assert note.fields == {"error": "cannot-write", "path": path}
    assert str(path) in note.message


@pytest.mark.parametrize("limit", [{"keep-versions": "1"}, {"keep-bytes": "0"}])
def test_the_tightest_limit_leaves_a_way_back(toy_job, notes, limit, raises):
    """Even where less than one model may be kept, and the base of what is gone back to is gone."""
    versions = versions_of(toy_job, notes, annotations=limit)
    versions.take_up()
    base = BASE
    for number in range(1, 5):
        base = play(toy_job, versions, number, base)
    assert versions.store.numbers() == [4, 5]
    assert versions.store.parent(versions.store.open(4)) is None
    done = roll_back(toy_job.job(), toy_job.root)
    assert (done.version, done.replaced) == (4, 5)
    assert (
        toy_job.deployed.read_bytes()
        == versions.store.open_deployed().weights(".ckpt").read_bytes()
    )
    with raises(ModelFileError, "unknown-name", value=3, valid=[4, 5]):
        roll_back(toy_job.job(), toy_job.root)
    play(toy_job, versions, 6, versions.base(base))
    assert versions.store.numbers() == [4, 6]
    assert versions.store.parent(versions.store.open(6)) == 4
    assert notes == []


def test_a_directory_becomes_no_version(toy_job, versions, notes, snapshot):
    (toy_job.output / "train" / "1" / "model.ckpt").mkdir(parents=True)
    models = [ReportedModel("ckpt", "/output/train/1/model.ckpt")]
    version = versions.publish(1, models, BASE, metrics={})
    assert version is None
    with versions.deploying(version):
        pass
    assert [note.code for note in notes] == ["directories-skipped"]
    assert notes[0].message == snapshot


def test_going_back(toy_job, versions, raises):
    versions.take_up()
    first, second = play(toy_job, versions, 1), play(toy_job, versions, 2)
    before = toy_job.deployed.read_bytes()
    done = roll_back(toy_job.job(), toy_job.root)
    assert (done.version, done.replaced, done.announced, done.runner) == (2, 3, False, None)
    assert toy_job.deployed.read_bytes() == versions.store.open(2).weights(".ckpt").read_bytes()
    assert toy_job.deployed.read_bytes() != before
    assert versions.base(second).url == "/output/models/000002/model.ckpt"
    assert versions.base(first) == first
    assert roll_back(toy_job.job(), toy_job.root).version == 1
    assert toy_job.deployed.read_text() == "0.2"
    assert versions.base(second) == BASE
    with raises(ModelFileError, "missing-value", value=1, valid=[1, 2, 3]):
        roll_back(toy_job.job(), toy_job.root)
    assert roll_back(toy_job.job(), toy_job.root, 3).replaced == 1
    assert toy_job.deployed.read_bytes() == before


def test_going_back_replaces_both_formats(toy_job, notes):
    versions = versions_of(toy_job, notes, two_formats=True)
    before = write_classifier(toy_job.deployed, weight=0.2).read_bytes()
    versions.take_up()
    models = trained(toy_job, 1)
    onnx = write_classifier(toy_job.output / "train" / "1" / "model.onnx")
    models.append(ReportedModel("onnx", "/output/train/1/model.onnx"))
    version = versions.publish(1, models, BASE, metrics={})
    with versions.deploying(version):
        versions.replacement(version).apply()
    assert toy_job.deployed.read_bytes() == onnx.read_bytes()
    roll_back(toy_job.job(two_formats=True), toy_job.root)
    assert toy_job.deployed.read_bytes() == before
    assert toy_job.compared.read_text() == "0.3"


def test_a_damaged_version_is_not_gone_back_to(toy_job, versions, raises):
    versions.take_up()
    play(toy_job, versions, 1)
    before = toy_job.deployed.read_bytes()
    (versions.store.path(1) / "model.ckpt").write_text("0.9")
    with raises(ModelFileError, "wrong-digest"):
        roll_back(toy_job.job(), toy_job.root)
    assert toy_job.deployed.read_bytes() == before
    assert versions.store.deployed().version == 2


def test_a_file_that_cannot_be_replaced_leaves_all_as_it_was(toy_job, versions, raises):
    versions.take_up()
    play(toy_job, versions, 1)
    before = toy_job.deployed.read_bytes()
    toy_job.deployed.unlink()
    toy_job.deployed.mkdir()
    with raises(StorageError, "cannot-write", golden=False):
        roll_back(toy_job.job(), toy_job.root)
    assert versions.store.deployed().version == 2
    toy_job.deployed.rmdir()
    toy_job.deployed.write_bytes(before)
    assert roll_back(toy_job.job(), toy_job.root).version == 1


def test_signed_versions(toy_job, notes, monkeypatch, tmp_path, raises):
    pytest.importorskip("cryptography")
    from sedna_tinyms.artifact.signing import make_keys

    make_keys(tmp_path / "private.pem", tmp_path / "public.pem")
    unsigned = versions_of(toy_job, notes)
    unsigned.take_up()
    monkeypatch.setenv("SEDNA_TINYMS_PUBLIC_KEY", str(tmp_path / "public.pem"))
    version = versions_of(toy_job, notes).publish(1, trained(toy_job, 1), BASE, metrics={})
    with raises(ModelFileError, "unsigned", key=tmp_path / "public.pem"):
        versions_of(toy_job, notes).store.deploy(version.description.version)
    monkeypatch.setenv("SEDNA_TINYMS_SIGNING_KEY", str(tmp_path / "private.pem"))
    signed = versions_of(toy_job, notes)
    play(toy_job, signed, 2)
    assert signed.store.open_deployed().signed


def test_the_command(toy_job, versions, capsys, snapshot):
    versions.take_up()
    play(toy_job, versions, 1)
    words = ["model", "rollback", str(toy_job.yaml()), "--root", str(toy_job.root)]
    assert main([*words, "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert done == {"version": 1, "replaced": 2, "announced": False, "runner": None}
    assert main([*words, "--to", "2"]) == 0
    assert capsys.readouterr().out == snapshot
    assert main([*words, "--to", "9"]) == 5
    assert capsys.readouterr().err == snapshot


def test_versions_that_another_process_keeps_to_itself_are_noted(
    toy_job, versions, notes, monkeypatch, snapshot
):
    monkeypatch.setattr("sedna_tinyms.artifact.store.LONGEST_WAIT_SECONDS", 0.1)
    lock = toy_job.output / "models" / ".lock"
    with exclusively(lock):
        versions.take_up()
    (note,) = notes
    assert (note.code, note.fields) == ("not-a-version", {"error": "in-use"})
    assert note.message == snapshot


GONE_BACK = """
from sedna_tinyms.jobs import load_job
from sedna_tinyms.jobs.rollback import roll_back

def work(root):
    roll_back(load_job(root.parent.parent / "job" / "job.yaml"), root)
"""


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_a_kill_on_the_way_back_leaves_one_of_both_models(
    tmp_path, toy_job, versions, notes, every
):
    versions.take_up()
    play(toy_job, versions, 1)
    new = toy_job.deployed.read_bytes()
    toy_job.yaml()
    copies = kill_at_every_step(GONE_BACK, toy_job.root, tmp_path / "after", every)
    print(len(copies), "copies")
    assert len(copies) > 20 / every
    served = []
    for root in copies:
        model = (root / "models" / "deployed" / "model.ckpt").read_bytes()
        assert model in (b"0.2", new)
        served.append(model)
        job, paths = toy_job.job(), HostPaths(root)
        after = JobVersions(job, paths, JobLayout(job, paths), notes.append)
        assert after.store.open_deployed().description.version in (1, 2)
        after.take_up()  # as the next run does
        assert after.store.deployed().version == (1 if model == b"0.2" else 2)
    assert served == [new] * served.count(new) + [b"0.2"] * served.count(b"0.2")
    assert set(served) == {new, b"0.2"}
    assert notes == []
