import os
import sys
from pathlib import Path

import pytest
from small_checkpoint import write_checkpoint

from sedna_tinyms.artifact.signing import check_signature, make_keys, sign
from sedna_tinyms.artifact.store import ModelStore
from sedna_tinyms.artifact.version import describe, open_version
from sedna_tinyms.errors import (
    ConfigurationError,
    MissingExtraError,
    ModelFileError,
    StorageError,
)


@pytest.fixture
def keys(tmp_path):
    pytest.importorskip("cryptography")
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    make_keys(private, public)
    return private, public


def publish(store, **settings):
    path = write_checkpoint(store.directory.parent / "trained" / "model.ckpt", **settings)
    return store.publish({"model.ckpt": path}, describe({"model.ckpt": path}))


def test_what_the_owner_of_the_key_signed_is_taken(tmp_path, keys):
    private, public = keys
    version = publish(ModelStore(tmp_path / "models", signing_key=private))
    assert (version.directory / "manifest.sig").stat().st_size == 64
    store = ModelStore(tmp_path / "models", public_key=public)
    store.deploy(1)
    assert store.open_deployed().signed
    assert not open_version(version.directory).signed


def test_what_is_not_signed_is_refused(tmp_path, keys, raises):
    _, public = keys
    version = publish(ModelStore(tmp_path / "models"))
    store = ModelStore(tmp_path / "models", public_key=public)
    with raises(ModelFileError, "unsigned", path=version.directory, key=public):
        store.deploy(1)
    assert store.deployed() is None
    (version.directory / "manifest.json").unlink()
    with raises(ModelFileError, "unsigned", path=version.directory, key=public):
        open_version(version.directory, public_key=public)


def test_another_key_or_another_manifest_is_refused(tmp_path, keys, raises):
    private, public = keys
    make_keys(tmp_path / "theirs.pem", tmp_path / "theirs.pub")
    version = publish(ModelStore(tmp_path / "models", signing_key=tmp_path / "theirs.pem"))
    with raises(ModelFileError, "wrong-signature", path=version.directory, key=public):
        open_version(version.directory, public_key=public)
    own = ModelStore(tmp_path / "own", signing_key=private)
    signed, other = publish(own), publish(own, weight=0.7)
    signature = (signed.directory / "manifest.sig").read_bytes()
    (other.directory / "manifest.sig").write_bytes(signature)
    with raises(ModelFileError, "wrong-signature", path=other.directory, key=public):
        open_version(other.directory, public_key=public)


@pytest.mark.parametrize(
    "signature", [b"", b"x" * 63, b"x" * 64, b"x" * 5000], ids=["none", "short", "wrong", "long"]
)
def test_any_other_signature_is_refused(tmp_path, keys, signature, raises):
    private, public = keys
    version = publish(ModelStore(tmp_path / "models", signing_key=private))
    (version.directory / "manifest.sig").write_bytes(signature)
    with raises(ModelFileError, "wrong-signature", path=version.directory, key=public):
        open_version(version.directory, public_key=public)


def test_keys_are_kept(keys, raises):
    private, public = keys
    assert private.stat().st_mode & 0o777 == 0o600
    before = private.read_bytes()
    with raises(StorageError, "already-exists", path=private):
        make_keys(private, public)
    assert private.read_bytes() == before


def test_the_private_key_is_on_the_disk_before_the_public_one(tmp_path, monkeypatch):
    pytest.importorskip("cryptography")
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    flushed, fsync = [], os.fsync

    def note(handle):
        path = Path(f"/proc/self/fd/{handle}").readlink()
        flushed.append((path, public.exists(), path.read_bytes() if path.is_file() else b""))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", note)
    make_keys(private, public)
    assert flushed[0] == (private, False, private.read_bytes())


def test_files_that_are_no_keys(tmp_path, keys, raises):
    private, public = keys
    with raises(ConfigurationError, "invalid-key", golden=False, path=public):
        publish(ModelStore(tmp_path / "a", signing_key=public))
    assert ModelStore(tmp_path / "a").numbers() == []
    version = publish(ModelStore(tmp_path / "b", signing_key=private))
    with raises(ConfigurationError, "invalid-key", golden=False, path=private):
        open_version(version.directory, public_key=private)
    absent = tmp_path / "absent.pem"
    with raises(ConfigurationError, "missing-file", golden=False, path=absent):
        open_version(version.directory, public_key=absent)


def test_keys_of_another_kind_sign_nothing(tmp_path, raises):
    ed448 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed448")
    from cryptography.hazmat.primitives import serialization

    key, pem = ed448.Ed448PrivateKey.generate(), serialization.Encoding.PEM
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    pkcs8, clear = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private.write_bytes(key.private_bytes(pem, pkcs8, clear))
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(key.public_key().public_bytes(pem, spki))
    with raises(ConfigurationError, "invalid-key", path=private):
        sign(b"", private)
    with raises(ConfigurationError, "invalid-key", path=public):
        check_signature(b"", b"", public, "x")


def test_without_cryptography_the_extra_is_named(tmp_path, monkeypatch, raises):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    for name in [name for name in sys.modules if name.startswith("cryptography.")]:
        monkeypatch.setitem(sys.modules, name, None)
    with raises(MissingExtraError, "missing-extra", golden=False, extra="signing"):
        make_keys(tmp_path / "a", tmp_path / "b")
    version = publish(ModelStore(tmp_path / "models"))
    (version.directory / "manifest.sig").write_bytes(b"x" * 64)
    with raises(MissingExtraError, "missing-extra", golden=False, extra="signing"):
        open_version(version.directory, public_key=tmp_path / "b")


@pytest.mark.parametrize("public", ["keys.pem", "../here/keys.pem", "link.pem"])
def test_the_public_key_never_takes_the_place_of_the_private_one(tmp_path, public, raises):
    pytest.importorskip("cryptography")
    here = tmp_path / "here"
    here.mkdir()
    (here / "link.pem").symlink_to("keys.pem")
    with raises(ConfigurationError, "conflict", path=here / "keys.pem"):
        make_keys(here / "keys.pem", here / public)
    assert not (here / "keys.pem").exists()
