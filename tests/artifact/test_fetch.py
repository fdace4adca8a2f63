"""Downloads: whole and checked, or an error that says why; through real servers on loopback."""

import hashlib
import multiprocessing
import shutil
import ssl
import subprocess
import time
from functools import partial
from types import SimpleNamespace

import pytest
from local_server import serving

from sedna_tinyms.artifact.fetch import check_sha256, fetch
from sedna_tinyms.errors import DownloadError, StorageError

BODY = bytes(range(256)) * 4000  # 1 MB: several chunks
DIGEST = hashlib.sha256(BODY).hexdigest()
right = partial(check_sha256, sha256=DIGEST)


@pytest.fixture
def site():
    with serving({"file.bin": BODY}) as site:
        yield site


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


def test_a_wrong_digest_leaves_nothing(site, tmp_path):
    site.files["file.bin"] = b"something else"
    with pytest.raises(
        DownloadError, match=r"(?s)cannot download file\.bin.*SHA-256 is .*expected"
    ):
        get(site, tmp_path / "file.bin")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_sends_less_than_promised_is_found_out(site, tmp_path):
    site.cut_after, site.ranges = 300_000, False
    with pytest.raises(DownloadError, match=f"promised {len(BODY)} bytes and sent 300000"):
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


def test_a_hung_server_is_left_after_the_timeout_and_the_part_is_kept(site, tmp_path):
    site.hang_after, site.ranges = 300_000, False
    with pytest.raises(DownloadError, match="broke off after"):
        get(site, tmp_path / "file.bin", timeout=0.3)
    kept = part_of(tmp_path / "file.bin").read_bytes()
    assert kept
    assert BODY.startswith(kept)


def test_a_killed_download_is_taken_up_again(site, tmp_path):
    site.hang_after = 300_000
    target = tmp_path / "file.bin"
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=get, args=(SimpleNamespace(url=site.url), target))
    child.start()
    deadline = time.monotonic() + 30
    while not (part_of(target).exists() and part_of(target).stat().st_size):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child.kill()
    child.join(10)
    assert not target.exists()
    kept = part_of(target).stat().st_size
    site.hang_after = None
    get(site, target)
    assert target.read_bytes() == BODY
    assert site.asked("file.bin") == [None, f"bytes={kept}-"]


def test_the_next_address_is_asked_when_one_fails(site, tmp_path):
    with serving({"file.bin": b"wrong"}) as bad:
        bad.status["gone.bin"] = 503
        fetch(
            [f"{bad.url}/gone.bin", f"{bad.url}/file.bin", f"{site.url}/file.bin"],
            tmp_path / "file.bin",
            check=right,
            most_bytes=10**7,
        )
    assert (tmp_path / "file.bin").read_bytes() == BODY


def test_the_error_says_what_was_wrong_with_every_address(site, tmp_path):
    with pytest.raises(DownloadError) as error:
        fetch(
            [f"{site.url}/none", "ftp://localhost/file.bin", "http://example.com/x", "https://["],
            tmp_path / "file.bin",
            check=right,
            most_bytes=10,
        )
    assert "404" in str(error.value)
    assert str(error.value).count("only https is") == 2
    assert "is no address" in str(error.value)


def test_no_connection_is_an_error_that_says_so(tmp_path):
    with serving({}) as gone:
        url = gone.url
    with pytest.raises(DownloadError, match="no connection"):
        fetch([f"{url}/x"], tmp_path / "x", check=right, most_bytes=10)


@pytest.mark.parametrize("without_length", [False, True])
def test_more_than_the_cap_is_refused(site, tmp_path, without_length):
    site.without_length = without_length
    with pytest.raises(DownloadError, match=r"1024000 bytes; at most 9|more than 9\d* bytes"):
        get(site, tmp_path / "file.bin", most_bytes=900_000)
    assert list(tmp_path.iterdir()) == []


def test_a_redirection_is_followed_on_this_machine_but_not_to_plain_http_elsewhere(site, tmp_path):
    site.redirect = {"moved": f"{site.url}/file.bin", "away": "http://example.com/file.bin"}
    get(site, tmp_path / "file.bin", name="moved")
    assert (tmp_path / "file.bin").read_bytes() == BODY
    with pytest.raises(DownloadError, match=r"http://example.com/file.bin is refused"):
        get(site, tmp_path / "other.bin", name="away")


def test_an_endless_redirection_ends(site, tmp_path):
    site.redirect = {"loop": f"{site.url}/loop"}
    with pytest.raises(DownloadError, match="302"):
        get(site, tmp_path / "file.bin", name="loop")


def test_a_directory_that_cannot_be_written_is_no_network_error(site, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot write"):
        get(site, tmp_path / "file" / "file.bin")


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


def test_https_needs_a_certificate_that_this_machine_trusts(certificate, tmp_path, monkeypatch):
    pem, key = certificate
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pem, key)
    with serving({"file.bin": BODY}, tls) as site:
        with pytest.raises(DownloadError, match="CERTIFICATE_VERIFY_FAILED"):
            get(site, tmp_path / "file.bin")
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
        get(site, tmp_path / "file.bin")
        site.redirect["home"] = "http://localhost:1/file.bin"
        with pytest.raises(DownloadError, match="redirects from https"):
            get(site, tmp_path / "other.bin", name="home")
    assert (tmp_path / "file.bin").read_bytes() == BODY


def test_the_tls_settings_of_the_process_are_left_alone(site, tmp_path):
    before = ssl._create_default_https_context
    get(site, tmp_path / "file.bin")
    assert ssl._create_default_https_context is before
    assert ssl.create_default_context().verify_mode is ssl.CERT_REQUIRED
