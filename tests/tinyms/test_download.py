"""download_dataset: the layout that TinyMS promises, whole or not at all."""

import gzip
import hashlib
import io
import shutil
import tarfile
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import pytest
from local_server import Site

from sedna_tinyms.errors import ConfigurationError, DatasetError, DownloadError, StorageError
from sedna_tinyms.tinyms.data import download_dataset
from sedna_tinyms.tinyms.data.catalogue import DATASETS, DatasetSource, GzipFile, TarArchive
from sedna_tinyms.tinyms.data.download import obtain

BATCH = bytes(range(251)) * 400


def tar_of(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


TAR = tar_of({"set-bin/batch.bin": BATCH, "set-bin/readme": b"hello"})
LABELS = b"labels" * 50
GZ = gzip.compress(LABELS)


def tar_source(archive=TAR, **contents):
    return DatasetSource(
        mirrors=(),
        archives=(
            TarArchive(
                "set.tar.gz",
                len(archive),
                hashlib.sha256(archive).hexdigest(),
                unpacked_bytes=200_000,
                members=5,
            ),
        ),
        contents=contents or {"set-bin/batch.bin": len(BATCH)},
        directory="set-bin",
    )


def gzip_source():
    digest = hashlib.sha256(LABELS).hexdigest()
    return DatasetSource(
        mirrors=(),
        archives=tuple(
            GzipFile(f"{name}.gz", f"{name}/labels", len(LABELS), digest)
            for name in ("train", "test")
        ),
        contents={"train/labels": len(LABELS), "test/labels": len(LABELS)},
        links={"labels": "train/labels"},
    )


@pytest.fixture
def site(httpserver):
    return Site(httpserver, {"set.tar.gz": TAR, "train.gz": GZ, "test.gz": GZ})


@pytest.fixture
def target(tmp_path):
    return tmp_path / "data" / "set"


def beside(target):
    return sorted(path.name for path in target.parent.iterdir()) if target.parent.exists() else []


def test_a_tar_is_unpacked_and_nothing_else_is_left(site, target):
    obtain(tar_source(), target, [site.url])
    assert (target / "set-bin" / "batch.bin").read_bytes() == BATCH
    assert beside(target) == ["set"]


def test_single_files_go_to_their_places(site, target):
    obtain(gzip_source(), target, [site.url])
    assert (target / "train" / "labels").read_bytes() == LABELS
    assert (target / "test" / "labels").read_bytes() == LABELS
    assert (target / "labels").samefile(target / "train" / "labels")
    assert beside(target) == ["set"]


def test_what_is_there_is_not_downloaded_again(site, target):
    obtain(tar_source(), target, [site.url])
    obtain(tar_source(), target, [])
    assert len(site.requests) == 1


def test_a_broken_download_is_not_taken_for_a_whole_one_and_is_taken_up_again(raises, site, target):
    site.cut_after, site.ranges = len(TAR) // 2, False
    for _ in range(2):
        # How long the archive is depends on the library that packs it.
        with raises(DownloadError, "download-failed", golden=False):
            obtain(tar_source(), target, [site.url])
        assert not target.exists()
    site.cut_after, site.ranges = None, True
    before = len(site.requests)
    obtain(tar_source(), target, [site.url])
    assert (target / "set-bin" / "batch.bin").read_bytes() == BATCH
    assert site.asked("set.tar.gz")[before:] == [f"bytes={len(TAR) // 2}-"]


def test_files_that_have_arrived_are_kept_when_a_later_one_fails(raises, site, target):
    site.status["test.gz"] = 503
    with raises(DownloadError, "http-status"):
        obtain(gzip_source(), target, [site.url])
    site.status.clear()
    obtain(gzip_source(), target, [site.url])
    assert len(site.asked("train.gz")) == 1


def test_the_wrong_content_is_refused(raises, site, target):
    site.files["train.gz"] = gzip.compress(b"labels" * 49 + b"Labels")
    with raises(DownloadError, "wrong-digest"):
        obtain(gzip_source(), target, [site.url])
    assert not target.exists()


def test_a_bomb_in_place_of_a_file_is_refused(raises, site, target):
    site.files["train.gz"] = gzip.compress(bytes(20_000_000))
    with raises(DownloadError, "too-large"):
        obtain(gzip_source(), target, [site.url])
    assert not target.exists()


def test_an_archive_that_would_escape_leaves_nothing(raises, site, target):
    archive = tar_of({"set-bin/batch.bin": BATCH, "../../escaped": b"x"})
    site.files["set.tar.gz"] = archive
    with raises(DownloadError, "unsafe-archive"):
        obtain(tar_source(archive), target, [site.url])
    assert not target.exists()
    assert list(target.parent.parent.rglob("escaped")) == []


def test_an_archive_of_other_things_is_not_the_data_set(raises, site, target):
    source = tar_source(**{"set-bin/labels": 3, "set-bin": 9})
    with raises(DownloadError, "missing-file") as raised:
        obtain(source, target, [site.url])
    assert len(raised.value.fields["faults"]) == 2
    assert not target.exists()


def test_a_directory_that_is_something_else_is_left_alone(raises, site, target):
    (target / "set-bin").mkdir(parents=True)
    (target / "set-bin" / "batch.bin").write_bytes(BATCH[:100])
    with raises(DatasetError, "conflict", path=target):
        obtain(tar_source(), target, [site.url])
    assert (target / "set-bin" / "batch.bin").stat().st_size == 100
    assert site.requests == []


def test_an_empty_directory_is_filled(site, target):
    target.mkdir(parents=True)
    obtain(tar_source(), target, [site.url])
    assert (target / "set-bin" / "readme").exists()


def test_a_directory_serves_as_mirror_and_is_not_written_to(tmp_path, target):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "set.tar.gz").write_bytes(TAR)
    obtain(tar_source(), target, [f"file://{mirror}"])
    assert (target / "set-bin" / "batch.bin").exists()
    assert [path.name for path in mirror.iterdir()] == ["set.tar.gz"]


def test_a_full_disk_is_noticed_before_the_download(raises, site, target, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**6, 10**6, 1000))
    with raises(StorageError, "no-space", path=target.parent, value=1000):
        obtain(tar_source(), target, [site.url])
    assert site.requests == []


def test_two_at_once_download_once(site, target):
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(obtain, tar_source(), target, [site.url]) for _ in range(2)]:
            done.result(60)
    assert len(site.requests) == 1
    assert beside(target) == ["set"]


def test_an_unknown_name_is_an_error_with_the_nearest_one(raises, tmp_path):
    with raises(ConfigurationError, "unknown-name", name="dataset_name", value="Cifar-10"):
        download_dataset("Cifar-10", tmp_path)


@pytest.mark.parametrize("name", DATASETS)
def test_the_variable_names_the_only_place_to_look(raises, name, tmp_path, monkeypatch):
    (tmp_path / "mirror" / name).mkdir(parents=True)
    monkeypatch.setenv("TINYMS_DATASET_MIRROR", str(tmp_path / "mirror"))
    archive = DATASETS[name].archives[0].name
    with raises(DownloadError, "missing-file", name=archive) as raised:
        download_dataset(name, tmp_path)
    places = (str(tmp_path / "mirror"), str(tmp_path / "mirror" / name))
    assert raised.value.fields["places"] == places
    path = tmp_path / "mirror" / name / archive
    path.write_bytes(gzip.compress(b"not it"))
    with raises(DownloadError, "wrong-digest", path=path, golden=False):
        download_dataset(name, tmp_path)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    ("name", "directory"),
    [
        ("mnist", "mnist"),
        ("cifar10", "cifar10/cifar-10-batches-bin"),
        ("cifar100", "cifar100/cifar-100-binary"),
        ("voc", "voc/VOCdevkit/VOC2007"),
    ],
)
def test_a_data_set_that_is_there_is_found_without_a_network(name, directory, tmp_path):
    for place, extent in DATASETS[name].contents.items():
        path = tmp_path / name / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if name == "voc":
            path.mkdir()
            for number in range(extent):
                (path / str(number)).touch()
        else:
            with path.open("wb") as file:
                file.truncate(extent)  # A sparse file: its size is all that counts here.
    assert download_dataset(name, tmp_path, mirror="/nowhere") == str(tmp_path / directory)


def test_the_built_in_addresses_are_secure():
    for source in DATASETS.values():
        assert all(mirror.startswith("https://") for mirror in source.mirrors)
        assert len(source.mirrors) > 1
