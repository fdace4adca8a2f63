"""Downloads: whole and checked, or an error that says why; through real servers on loopback."""

import hashlib
import multiprocessing
import shutil
import socket
import ssl
import subprocess
import time
from functools import partial

import pytest
from local_server import Site
from pytest_httpserver import HTTPServer

from sedna_tinyms.artifact.fetch import check_sha256, fetch
from sedna_tinyms.errors import DownloadError, StorageError

BODY = bytes(range(256)) * 4000  # 1 MB: several chunks
DIGEST = hashlib.sha256(BODY).hexdigest()
right = partial(check_sha256, sha256=DIGEST)


@pytest.fixture(scope="module")
def server():
    with HTTPServer(threaded=True) as server:
        yield server


@pytest.fixture
def site(server):
    site = Site(server, {"file.bin": BODY})
    yield site
    site.released.set()


def get(site, target, *, name="file.bin", check=right, most_bytes=10**7, **options):
    fetch([f"{site.url}/{name}"], target, check=check, most_bytes=most_bytes, **options)


def part_of(target):
    return target.with_name(f"{target.name}.part")


def test_a_file_arrives_with_its_progress(site, tmp_path):
    seen = []
    get(site, tmp_path / "new" / "file.bin", show=lambda done, total: seen.append((done, total)))
    assert (tmp_path / "new" / "file.bin").read_bytes() == BODY
    assert not part_of(tmp_path / "new" / "file.bin").exists()
    assert seen[-1] == (len(BODY), len(BODY))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_wrong_digest_leaves_nothing(site, tmp_path, raises):
    site.files["file.bin"] = b"something else"
    target = tmp_path / "file.bin"
    with raises(DownloadError, "wrong-digest", path=target) as raised:
        get(site, target)
    (problem,) = raised.value.problems
    assert problem.fields["url"] == f"{site.url}/file.bin"
    assert problem.fields["value"] == hashlib.sha256(b"something else").hexdigest()
    assert problem.fields["expected"] == DIGEST
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_sends_less_than_promised_is_found_out(site, tmp_path, raises):
    site.cut_after, site.ranges = 300_000, False
    with raises(DownloadError, "download-failed"):
        get(site, tmp_path / "file.bin")
    assert not (tmp_path / "file.bin").exists()


def test_a_broken_connection_is_taken_up_again_where_it_broke(site, tmp_path):
    site.cut_after = 400_000
    get(site, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == BODY
    assert site.asked("file.bin") == [None, "bytes=400000-", "bytes=800000-"]


def test_a_later_call_goes_on_from_what_an_earlier_one_left(site, tmp_path):
    part_of(tmp_path / "file.bin").write_bytes(BODY[:700_000])
    get(site, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == BODY
    assert site.asked("file.bin") == ["bytes=700000-"]


def test_without_range_support_the_file_is_fetched_anew(site, tmp_path):
    site.ranges = False
    part_of(tmp_path / "file.bin").write_bytes(BODY[:700_000])
    get(site, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == BODY


@pytest.mark.parametrize("left", [b"of another file", BODY, BODY + b"more"])
def test_whatever_an_earlier_call_left_the_right_file_arrives(site, tmp_path, left):
    part_of(tmp_path / "file.bin").write_bytes(left)
    get(site, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == BODY


def test_a_hung_server_is_left_after_the_timeout_and_the_part_is_kept(site, tmp_path, raises):
    site.hang_after, site.ranges = 300_000, False
    with raises(DownloadError, "download-failed", golden=False):
        get(site, tmp_path / "file.bin", timeout=0.5)
    kept = part_of(tmp_path / "file.bin").read_bytes()
    assert kept
    assert BODY.startswith(kept)


def test_a_killed_download_is_taken_up_again(site, tmp_path):
    site.hang_after = 300_000
    target = tmp_path / "file.bin"
    context = multiprocessing.get_context("spawn")
    arguments = ([f"{site.url}/file.bin"], target)
    options = {"check": right, "most_bytes": 10**7, "timeout": 60.0}
    child = context.Process(target=fetch, args=arguments, kwargs=options)
    child.start()
    deadline = time.monotonic() + 60
    while not (part_of(target).exists() and part_of(target).stat().st_size):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child.kill()
    child.join(60)
    assert not target.exists()
    kept = part_of(target).stat().st_size
    site.hang_after = None
    get(site, target)
    assert target.read_bytes() == BODY
    assert site.asked("file.bin") == [None, f"bytes={kept}-"]


def test_the_next_address_is_asked_when_one_fails(site, tmp_path):
    site.files["wrong.bin"], site.status["gone.bin"] = b"wrong", 503
    names = ["gone.bin", "wrong.bin", "file.bin"]
    urls = [f"{site.url}/{name}" for name in names]
    fetch(urls, tmp_path / "file.bin", check=right, most_bytes=10**7)
    assert (tmp_path / "file.bin").read_bytes() == BODY
    assert [name for name, _ in site.requests] == names


def test_the_error_says_what_was_wrong_with_every_address(site, tmp_path, raises):
    urls = [f"{site.url}/none", "ftp://localhost/file.bin", "http://example.com/x"]
    with raises(DownloadError, "download", path=tmp_path / "file.bin") as raised:
        fetch(urls, tmp_path / "file.bin", check=right, most_bytes=10)
    codes = ["http-status", "insecure-url", "insecure-url"]
    assert [problem.code for problem in raised.value.problems] == codes
    assert [problem.fields["url"] for problem in raised.value.problems] == urls
    assert raised.value.problems[0].fields["status"] == 404
    with raises(DownloadError, "invalid-url", golden=False):
        fetch(["https://["], tmp_path / "file.bin", check=right, most_bytes=10)


def test_without_an_address_there_is_nothing_to_download(tmp_path, raises):
    with raises(DownloadError, "missing-value"):
        fetch([], tmp_path / "file.bin", check=right, most_bytes=10)


def test_no_connection_is_an_error_that_says_so(tmp_path, raises):
    with socket.socket() as taken:
        taken.bind(("localhost", 0))  # and nobody listens
        url = f"http://localhost:{taken.getsockname()[1]}/x"
        with raises(DownloadError, "unreachable", golden=False):
            fetch([url], tmp_path / "x", check=right, most_bytes=10)


@pytest.mark.parametrize("without_length", [False, True])
def test_more_than_the_cap_is_refused(site, tmp_path, without_length, raises):
    site.without_length = without_length
    with raises(DownloadError, "too-large") as raised:
        get(site, tmp_path / "file.bin", most_bytes=900_000)
    (problem,) = raised.value.problems
    assert problem.fields["most"] == 900_000
    assert problem.fields.get("value") == (None if without_length else len(BODY))
    assert list(tmp_path.iterdir()) == []


def test_a_redirection_is_followed_on_this_machine_but_not_to_plain_http_elsewhere(
    site, tmp_path, raises
):
    site.redirect = {"moved": f"{site.url}/file.bin", "away": "http://example.com/file.bin"}
    get(site, tmp_path / "file.bin", name="moved")
    assert (tmp_path / "file.bin").read_bytes() == BODY
    with raises(DownloadError, "insecure-url") as raised:
        get(site, tmp_path / "other.bin", name="away")
    assert raised.value.problems[0].fields["url"] == "http://example.com/file.bin"


def test_an_endless_redirection_ends(site, tmp_path, raises):
    site.redirect = {"loop": f"{site.url}/loop"}
    with raises(DownloadError, "http-status", golden=False) as raised:
        get(site, tmp_path / "file.bin", name="loop")
    assert raised.value.problems[0].fields["status"] == 302


def test_a_directory_that_cannot_be_written_is_no_network_error(site, tmp_path, raises):
    (tmp_path / "file").write_text("in the way")
    target = tmp_path / "file" / "file.bin"
    with raises(StorageError, "cannot-write", golden=False, path=target):
        get(site, target)
    assert site.requests == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate of this test")
    directory = tmp_path_factory.mktemp("tls")
    pem = directory / "server.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(directory / "key.pem"), "-out", str(pem)]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    return pem, directory / "key.pem"


def test_https_needs_a_certificate_that_this_machine_trusts(
    certificate, tmp_path, monkeypatch, raises
):
    pem, key = certificate
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pem, key)
    with HTTPServer(ssl_context=tls) as server:
        site = Site(server, {"file.bin": BODY})
        with raises(DownloadError, "unreachable", golden=False) as raised:
            get(site, tmp_path / "file.bin")
        assert "CERTIFICATE_VERIFY_FAILED" in str(raised.value)  # which is Python's own word
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
        get(site, tmp_path / "file.bin")
        site.redirect["home"] = "http://localhost:1/file.bin"
        with raises(DownloadError, "insecure-url") as raised:
            get(site, tmp_path / "other.bin", name="home")
        assert raised.value.problems[0].fields["url"] == "http://localhost:1/file.bin"
    assert (tmp_path / "file.bin").read_bytes() == BODY


def test_the_tls_settings_of_the_process_are_left_alone(site, tmp_path):
    before = ssl._create_default_https_context
    get(site, tmp_path / "file.bin")
    assert ssl._create_default_https_context is before
    assert ssl.create_default_context().verify_mode is ssl.CERT_REQUIRED
