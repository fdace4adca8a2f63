import json
import pickle
import tarfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import fsspec
import pytest

from sedna_tinyms.errors import ConfigurationError, MissingExtraError, StorageError
from sedna_tinyms.sedna.common.file_ops import FileOps


@pytest.fixture
def bucket():
    """Fsspec's own file system in memory, in the place of an object store."""
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


@pytest.fixture
def web(tmp_path):
    """A web server for what is in `tmp_path / "web"`."""
    root = tmp_path / "web"
    root.mkdir()
    handler = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=root))
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield root, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "prefix", "rest"),
    [
        ("/home/data/out/m.ckpt", "/home/data", "/out/m.ckpt"),
        ("/home/data/out/m.ckpt", "/home/data/", "/out/m.ckpt"),
        ("/home/data2/m.ckpt", "/home/data", "/home/data2/m.ckpt"),
        ("/home/data", "/home/data", ""),
        ("/out/m.ckpt", "", "/out/m.ckpt"),
        ("/out/m.ckpt", "/", "/out/m.ckpt"),
    ],
)
def test_a_prefix_is_a_directory_and_not_a_beginning(path, prefix, rest):
    assert FileOps.remove_path_prefix(path, prefix) == rest


def test_parts_are_joined_below_the_first():
    assert FileOps.join_path("/a", "/b", "c") == "/a/b/c"
    assert FileOps.join_path("s3://bucket/a/", "/b") == "s3://bucket/a/b"
    assert FileOps.join_path("C") == "C"
    assert FileOps.join_path("/log/12:30", "m") == "/log/12:30/m"


def test_local_and_remote_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    FileOps.clean_folder(["s3://bucket/out", "out", None], clean=False)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert FileOps.is_local(tmp_path)
    assert FileOps.is_local("file:///anything")
    assert not FileOps.is_local("s3://bucket/out")
    assert FileOps.is_remote("http://host/file")
    assert not FileOps.is_remote("file:///anything")


def test_clean_folder_empties_what_is_there(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").touch()
    FileOps.clean_folder(tmp_path / "out", clean=False)
    assert (tmp_path / "out" / "old").exists()
    FileOps.clean_folder(tmp_path / "out")
    assert not any((tmp_path / "out").iterdir())


def test_a_missing_source_is_an_error_and_leaves_nothing(raises, tmp_path):
    with raises(StorageError, "missing-file", path=tmp_path / "absent"):
        FileOps.download(tmp_path / "absent", tmp_path / "copy")
    with raises(StorageError, "missing-file", path=tmp_path / "absent"):
        FileOps.upload(tmp_path / "absent", tmp_path / "copy")
    assert not any(tmp_path.iterdir())


def test_upload_removes_the_source_only_if_it_is_another_file(tmp_path):
    source = tmp_path / "m.ckpt"
    source.write_text("model")
    assert FileOps.upload(source, source) == str(source)
    assert FileOps.upload(source, tmp_path / "kept", clean=False) == str(tmp_path / "kept")
    assert source.exists()
    FileOps.upload(source, tmp_path / "sub" / "moved")
    assert not source.exists()
    assert (tmp_path / "sub" / "moved").read_text() == "model"


def test_a_failed_upload_keeps_the_source(tmp_path):
    source = tmp_path / "m.ckpt"
    source.write_text("model")
    with pytest.raises((StorageError, MissingExtraError)):
        FileOps.upload(source, "gs://no-such-bucket-anywhere/m.ckpt")
    with pytest.raises(StorageError):
        FileOps.upload(source, "http://127.0.0.1:9/m.ckpt")
    with pytest.raises(StorageError):
        FileOps.upload(source, "nonsense://host/m.ckpt")
    assert source.read_text() == "model"


def test_a_copy_is_readable_by_the_container_s_other_user(tmp_path):
    source = tmp_path / "m.ckpt"
    source.write_text("model")
    source.chmod(0o400)
    FileOps.copy_file(source, tmp_path / "copy")
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o644


def test_object_storage_takes_files_and_directories(raises, bucket, tmp_path):
    (tmp_path / "run" / "train").mkdir(parents=True)
    (tmp_path / "run" / "train" / "m.ckpt").write_text("model")
    FileOps.upload(tmp_path / "run", "memory://bucket/job", clean=False)
    assert bucket.cat("/bucket/job/train/m.ckpt") == b"model"
    FileOps.download("memory://bucket/job/train/m.ckpt", tmp_path / "one.ckpt")
    FileOps.download("memory://bucket/job", tmp_path / "all")
    assert (tmp_path / "one.ckpt").read_text() == "model"
    assert (tmp_path / "all" / "train" / "m.ckpt").read_text() == "model"
    FileOps.upload("memory://bucket/job/train/m.ckpt", "memory://bucket/copy.ckpt")
    assert bucket.cat("/bucket/copy.ckpt") == b"model"
    with raises(StorageError, "missing-file", path="memory://bucket/absent"):
        FileOps.download("memory://bucket/absent", tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


def test_files_come_over_http(raises, web, tmp_path):
    root, url = web
    (root / "m.ckpt").write_text("model")
    FileOps.download(f"{url}/m.ckpt", tmp_path / "m.ckpt")
    assert (tmp_path / "m.ckpt").read_text() == "model"
    with raises(StorageError, "missing-file", path=f"{url}/absent"):
        FileOps.download(f"{url}/absent", tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


def test_the_missing_package_is_named(raises, monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    with raises(MissingExtraError, "missing-extra", golden=False, extra="remote"):
        FileOps.download("s3://bucket/m.ckpt", tmp_path / "m.ckpt")


def test_archives_are_packed_and_unpacked_without_leaving_the_directory(raises, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_text("a")
    FileOps.upload(tmp_path / "data", tmp_path / "data.packed.tar.gz", tar=True)
    FileOps.download(tmp_path / "data.packed.tar.gz", tmp_path / "unpacked", unzip=True)
    assert (tmp_path / "unpacked" / "a.txt").read_text() == "a"
    with tarfile.open(tmp_path / "evil.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "unpacked" / "a.txt", arcname="../escaped.txt")
    with raises(StorageError, "unsafe-archive", golden=False, path=tmp_path / "evil.tar.gz"):
        FileOps.download(tmp_path / "evil.tar.gz", tmp_path / "evil", unzip=True)
    assert not (tmp_path / "escaped.txt").exists()


def test_an_archive_that_is_refused_leaves_what_was_there(raises, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_text("much" * 1000)
    FileOps.upload(tmp_path / "data", tmp_path / "data.packed.tar.gz", tar=True, clean=False)
    (tmp_path / "unpacked").mkdir()
    (tmp_path / "unpacked" / "old.txt").write_text("old")
    monkeypatch.setattr("sedna_tinyms.sedna.common.file_ops.MOST_UNPACKED_BYTES", 3999)
    with raises(StorageError, "too-large", golden=False, path=tmp_path / "data.packed.tar.gz"):
        FileOps.download(tmp_path / "data.packed.tar.gz", tmp_path / "unpacked", unzip=True)
    assert [path.name for path in (tmp_path / "unpacked").iterdir()] == ["old.txt"]
    monkeypatch.undo()
    FileOps.download(tmp_path / "data.packed.tar.gz", tmp_path / "unpacked", unzip=True)
    assert [path.name for path in (tmp_path / "unpacked").iterdir()] == ["a.txt"]
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"data", "data.packed.tar.gz", "unpacked"}


def test_plain_data_is_dumped_and_loaded(bucket, tmp_path):
    for place in (str(tmp_path / "d.json"), "memory://bucket/d.json"):
        FileOps.dump({"a": [1, 2]}, place)
        assert FileOps.load(place) == {"a": [1, 2]}


class Exploit:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


def test_json_nested_without_end_is_refused(raises, tmp_path):
    (tmp_path / "deep").write_text("[" * 100_000)
    with raises(ConfigurationError, "not-json", golden=False, path=tmp_path / "deep"):
        FileOps.load(tmp_path / "deep")


def test_nothing_is_unpickled(raises, tmp_path):
    (tmp_path / "evil").write_bytes(pickle.dumps(Exploit()))
    with raises(ConfigurationError, "not-json", golden=False, path=tmp_path / "evil"):
        FileOps.load(tmp_path / "evil")
    with raises(ConfigurationError, "unsupported"):
        FileOps.load_pickle(tmp_path / "evil")
    with raises(ConfigurationError, "unsupported"):
        FileOps.dump_pickle({}, tmp_path / "new")


def test_equal_files_have_equal_hashes(tmp_path):
    (tmp_path / "a").write_text(json.dumps({}))
    FileOps.copy_file(tmp_path / "a", tmp_path / "b")
    assert FileOps.get_file_hash(tmp_path / "a") == FileOps.get_file_hash(tmp_path / "b") != ""
    assert FileOps.get_file_hash(tmp_path / "absent") == ""
