"""Pointers of earlier and newer releases."""

import json
from dataclasses import replace

import pytest
from small_checkpoint import write_checkpoint

from sedna_tinyms.artifact.store import ModelStore
from sedna_tinyms.artifact.version import describe
from sedna_tinyms.errors import ModelFileError


@pytest.fixture
def store(tmp_path):
    return ModelStore(tmp_path / "models")


def publish(store):
    files = {"model.ckpt": write_checkpoint(store.directory.parent / "trained" / "model.ckpt")}
    return store.publish(files, replace(describe(files), parent=None))


def test_a_pointer_without_a_version_is_the_first(store):
    version = publish(store)
    path = store.directory / "deployed.json"
    path.write_text(json.dumps({"version": 1, "sha256": version.digest, "before": []}))
    assert store.deployed().version == 1
    publish(store)
    store.deploy(2)
    assert json.loads(path.read_text())["format_version"] == 1
    assert store.deployed().before == (1,)


def test_a_pointer_of_a_newer_release_is_refused_and_not_replaced(store, raises):
    publish(store)
    path = store.directory / "deployed.json"
    path.write_text(text := '{"format_version": 2, "deployed": [1]}')
    for use in (store.deployed, lambda: store.retain(0, 0), lambda: store.deploy(1)):
        with raises(ModelFileError, "wrong-version", path=path, value=2, expected=(1,)):
            use()
    assert path.read_text() == text
