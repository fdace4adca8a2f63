from __future__ import annotations

import os
from pathlib import Path

import pytest
from golden import Raises
from hypothesis import given
from hypothesis import strategies as st

from sedna_tinyms.errors import JobSpecError
from sedna_tinyms.jobs.paths import HostPaths


def test_a_host_path_lies_below_the_root_and_comes_back(tmp_path: Path) -> None:
    paths = HostPaths(tmp_path)
    local = paths.local("/data/train.txt")
    assert local == tmp_path.resolve() / "data" / "train.txt"
    assert paths.host(local) == "/data/train.txt"
    assert str(local).removeprefix(paths.prefix) == "/data/train.txt"


def test_a_relative_root_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert HostPaths("run").local("/a") == tmp_path.resolve() / "run" / "a"


def test_the_real_root_is_the_identity() -> None:
    paths = HostPaths("/")
    assert paths.prefix == ""
    assert paths.local("/nowhere/x") == Path("/nowhere/x")
    assert paths.host("/nowhere/x") == "/nowhere/x"


def test_dots_and_double_slashes_are_smoothed(tmp_path: Path) -> None:
    paths = HostPaths(tmp_path)
    assert paths.local("//a/./b//c/") == paths.local("/a/b/c")


def test_a_neighbour_with_the_same_beginning_is_not_below_the_root(tmp_path: Path) -> None:
    paths = HostPaths(tmp_path / "run")
    outside = str(tmp_path.resolve() / "run2" / "m.ckpt")
    assert paths.host(outside) == outside


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("data/train.txt", "invalid-url"),
        ("", "invalid-url"),
        ("/data/../etc/passwd", "invalid-url"),
        ("s3://bucket/data.txt", "unsupported"),
        ("https://host/m.ckpt", "unsupported"),
        ("S3://bucket/data.txt", "unsupported"),
        ("gs://[x", "unknown-name"),
        ("file:///data/x", "unknown-name"),
        ("/data/\0", "invalid-url"),
    ],
    ids=["relative", "empty", "climbs", "s3", "https", "S3", "gs", "file", "NUL"],
)
def test_what_is_not_a_host_path_is_refused(
    tmp_path: Path, url: str, code: str, raises: Raises
) -> None:
    with raises(JobSpecError, code, value=url):
        HostPaths(tmp_path).local(url)


def test_links_inside_the_root_are_followed_and_others_refused(
    tmp_path: Path, raises: Raises
) -> None:
    root = tmp_path / "root"
    (root / "big").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (root / "data").symlink_to("big")
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "loop").symlink_to("loop")
    paths = HostPaths(root)
    assert paths.local("/data/x") == root.resolve() / "data" / "x"
    with raises(JobSpecError, "outside-root", value="/out/x", path=root / "out" / "x"):
        paths.local("/out/x")
    with raises(JobSpecError, "unreadable-file", value="/loop/x", golden=False):
        paths.local("/loop/x")


@given(st.text(alphabet="ab./\\~%:[\0 \u00e9", max_size=30))
def test_no_path_escapes(url: str) -> None:
    paths = HostPaths("/srv/no-such-root")
    try:
        local = paths.local(url)
    except JobSpecError:
        return
    assert os.path.realpath(local).startswith("/srv/no-such-root")
    assert os.path.normpath(local) == str(local)
    assert paths.local(paths.host(local)) == local
