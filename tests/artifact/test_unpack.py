"""Archives, honest and hostile."""

import gzip
import io
import os
import tarfile
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sedna_tinyms.artifact.unpack import read_gzip, unpack_tar
from sedna_tinyms.errors import DownloadError


def member(name, data=b"", kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(data)
    return info, data


def make_tar(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data) if info.isfile() else None)
    return path


def unpack(archive, directory, most_bytes=10_000, most_members=10):
    unpack_tar(archive, directory, most_bytes=most_bytes, most_members=most_members)


@pytest.mark.parametrize("mode", ["w:gz", "w:"])
def test_files_and_directories_arrive(tmp_path, mode):
    members = [
        member("set", kind=tarfile.DIRTYPE),
        member("set/a.bin", b"a" * 512),
        member("set/deep/b.bin", b"b" * 700),
        member("./empty"),
    ]
    unpack(make_tar(tmp_path / "set.tar", members, mode), tmp_path / "out")
    assert (tmp_path / "out" / "set" / "a.bin").read_bytes() == b"a" * 512
    assert (tmp_path / "out" / "set" / "deep" / "b.bin").read_bytes() == b"b" * 700
    assert (tmp_path / "out" / "empty").read_bytes() == b""


@pytest.mark.parametrize(
    "hostile",
    [
        member("../escaped", b"x"),
        member("a/../../escaped", b"x"),
        member("/tmp/escaped", b"x"),
        member("link", kind=tarfile.SYMTYPE, link="/etc"),
        member("link", kind=tarfile.LNKTYPE, link="good"),
        member("disk", kind=tarfile.BLKTYPE),
        member("tty", kind=tarfile.CHRTYPE),
        member("pipe", kind=tarfile.FIFOTYPE),
        member("good", b"again"),
        member("good/below", b"x"),
        member(".", b"x"),
    ],
    ids=lambda hostile: f"{hostile[0].name} {hostile[0].type.decode()}",
)
def test_a_hostile_member_stops_everything(tmp_path, hostile, raises):
    archive = make_tar(tmp_path / "bad.tar.gz", [member("good", b"1"), hostile])
    inside = tmp_path / "inside"
    inside.mkdir()
    with raises(DownloadError, "unsafe-archive", path=archive, name=hostile[0].name):
        unpack(archive, inside / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.tar.gz", "inside"]
    assert [path.name for path in inside.rglob("*") if path.is_file()] == ["good"]


def test_a_bomb_is_measured_before_it_is_written(tmp_path, raises):
    archive = make_tar(tmp_path / "bomb.tar.gz", [member("zeros", bytes(5_000_000))])
    assert archive.stat().st_size < 10_000
    with raises(DownloadError, "too-large", path=archive, most=10_000):
        unpack(archive, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_too_many_members_are_refused(tmp_path, raises):
    archive = make_tar(tmp_path / "many.tar.gz", [member(str(i)) for i in range(11)])
    with raises(DownloadError, "too-large", path=archive, most=10):
        unpack(archive, tmp_path / "out")


def test_a_header_as_large_as_memory_is_not_read(tmp_path, raises):
    """A GNU long name may claim any length, which `tarfile` would read at once."""
    with gzip.open(tmp_path / "long.tar.gz", "wb") as file:
        info, _ = member("././@LongLink", kind=tarfile.GNUTYPE_LONGNAME)
        info.size = 1 << 33
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        file.write(bytes(1 << 20))
    archive = tmp_path / "long.tar.gz"
    with raises(DownloadError, "too-large", path=archive, value=1 << 33):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("keep", [10, 200, 600])
def test_a_damaged_archive_is_named(tmp_path, keep, raises):
    archive = make_tar(tmp_path / "cut.tar.gz", [member("noise", os.urandom(3000))])
    archive.write_bytes(archive.read_bytes()[:keep])
    with raises(DownloadError, "damaged", golden=False, path=archive):
        unpack(archive, tmp_path / "out")


def test_a_file_that_ends_early_in_a_plain_tar_is_damaged(tmp_path, raises):
    archive = make_tar(tmp_path / "cut.tar", [member("noise", b"n" * 3000)], "w:")
    archive.write_bytes(archive.read_bytes()[:2000])
    with raises(DownloadError, "damaged", golden=False, path=archive):
        unpack(archive, tmp_path / "out")


# A busy machine takes long to draw examples, which is no fault of the code.
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(noise=st.binary(max_size=2000), at=st.integers(0, 1500))
def test_no_damage_escapes_or_is_an_unknown_error(tmp_path_factory, noise, at):
    base = tmp_path_factory.mktemp("fuzz")
    archive = make_tar(base / "x.tar", [member("a", b"1" * 600), member("b/c", b"2")], "w:")
    data = bytearray(archive.read_bytes())
    data[at : at + len(noise)] = noise
    archive.write_bytes(data)
    with suppress(DownloadError):
        unpack(archive, base / "out")
    assert {path.name for path in base.iterdir()} <= {"x.tar", "out"}


def test_gzip_content_comes_in_chunks_up_to_a_limit(tmp_path, raises):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(bytes(1_000_000)))
    assert sum(len(chunk) for chunk in read_gzip(path, most_bytes=1_000_000)) == 1_000_000
    with raises(DownloadError, "too-large", path=path, most=999_999):
        list(read_gzip(path, most_bytes=999_999))
    path.write_bytes(path.read_bytes()[:-4])
    with raises(DownloadError, "damaged", golden=False, path=path):
        list(read_gzip(path, most_bytes=1_000_000))
