import socket
import threading
import time

import pytest
import requests
from flask import Flask
from serving_http import Http, start

from sedna_tinyms.errors import ConfigurationError
from sedna_tinyms.tinyms.serving import Client, Server, web_server
from sedna_tinyms.tinyms.serving.settings import Settings, is_loopback

TOKEN = "a-token-of-some-length"  # noqa: S105 - made up for the tests
PAGE = "https://page.example"


@pytest.fixture(scope="module")
def guarded(parts):
    """Return a server that others can reach, with a token, one allowed page, and one place."""
    options = ("--allow-origin", PAGE, "--waiting-limit", "1")
    with start(parts, *options, host="0.0.0.0", token=TOKEN) as http:  # noqa: S104
        yield http.server


def get(server, path, method="GET", **headers):
    with requests.Session() as session:
        session.trust_env = False
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"http://127.0.0.1:{server.port}{path}"
        return session.request(method, url, headers=names, timeout=60)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])  # noqa: S104
def test_an_address_that_others_reach_needs_a_token(host, tmp_path, raises):
    with raises(ConfigurationError, "missing-token", golden=host == "example.org") as raised:
        Server(host, 0, tmp_path, token="")
    assert [each.fields["value"] for each in raised.value.problems] == [host]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.9.9.9"])
def test_loopback_needs_none(host):
    assert is_loopback(host)


@pytest.mark.parametrize("token", ["short", "t\xf6k\xebn of some length"])
def test_a_token_that_is_short_or_no_ascii_is_refused(tmp_path, token, raises):
    with raises(ConfigurationError, "invalid-value", golden=token == "short") as raised:  # noqa: S105
        Server(token=token, serving_path=tmp_path)
    assert [each.fields["name"] for each in raised.value.problems] == ["token"]


@pytest.mark.parametrize(
    "path", ["/servables", "/predict", "/metrics", "/health", "/v2", "/v2/models/parts", "/none"]
)
@pytest.mark.parametrize("given", ["", f"Bearer {TOKEN}x", "Bearer ", TOKEN, f"Basic {TOKEN}"])
def test_without_the_token_nothing_is_told(guarded, path, given):
    answer = get(guarded, path, Authorization=given)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["code"] == "unauthorized"


@pytest.mark.parametrize("path", ["/", "/v2/health/live", "/v2/health/ready"])
def test_the_page_and_the_probes_need_no_token(guarded, path):
    assert get(guarded, path).status_code == 200


def test_the_token_opens(guarded):
    answer = get(guarded, "/servables", Authorization=f"Bearer {TOKEN}")
    assert answer.json()["status"] == 0
    client = Client("127.0.0.1", guarded.port, token=TOKEN)
    assert [servable["name"] for servable in client.list_servables()] == ["parts"]


def test_the_token_is_not_on_the_command_line(guarded):
    with open(f"/proc/{guarded._process.pid}/cmdline", "rb") as stream:  # noqa: PTH123
        assert TOKEN.encode() not in stream.read()


def test_an_allowed_page_may_ask(guarded):
    preflight = get(guarded, "/predict", "OPTIONS", Origin=PAGE)
    assert preflight.headers["Access-Control-Allow-Origin"] == PAGE
    assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
    answer = get(guarded, "/servables", Origin=PAGE, Authorization=f"Bearer {TOKEN}")
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_other_pages_may_not(guarded, http, origin, method):
    for answer in (
        get(guarded, "/servables", method, Origin=origin, Authorization=f"Bearer {TOKEN}"),
        http.session.request(method, f"{http.url}/predict", headers={"Origin": origin}, timeout=60),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "foreign-origin")
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_its_own_page_may(http):
    assert http.get("/servables", headers={"Origin": http.url}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:5000", "192.0.2.1"])
def test_a_name_that_is_not_its_own_is_refused_without_a_token(http, host):
    answer = http.get("/servables", headers={"Host": host})
    assert (answer.status_code, answer.json()["code"]) == (403, "foreign-host")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:5000", "[::1]:5000"])
def test_its_own_names_are_served(http, host):
    assert http.get("/servables", headers={"Host": host}).status_code == 200


def test_one_too_many_waiting_is_told_to_come_back(guarded, picture):
    answers, deadline = [], threading.Event()

    def authorized():
        client = Http(guarded)
        client.session.headers["Authorization"] = f"Bearer {TOKEN}"
        return client

    def ask():
        client = authorized()
        while not deadline.is_set():
            answer = client.picture(picture)
            answers.append((answer.status_code, answer.headers.get("Retry-After")))
            if answer.status_code == 503:
                deadline.set()
        client.session.close()

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert set(answers) == {(200, None), (503, "1")}
    http = authorized()
    assert http.get("/v2/health/live").status_code == 200
    assert http.picture(picture).status_code == 200  # the place is free again
    http.session.close()


def test_silent_connections_keep_nobody_out(http, picture):
    silent = [socket.create_connection(("127.0.0.1", http.server.port)) for _ in range(100)]
    for connection in silent[:50]:
        connection.sendall(
            b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n"
        )
    assert http.picture(picture).status_code == 200
    for connection in silent:
        connection.close()


@pytest.mark.parametrize("length", [b"Content-Length: 15000000", b"Transfer-Encoding: chunked"])
def test_a_large_body_without_the_token_is_not_waited_for(guarded, length):
    with socket.create_connection(("127.0.0.1", guarded.port), timeout=20) as client:
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\n" + length + b"\r\n\r\n")
        answer = client.recv(9999)
    assert answer.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
    assert b"\r\nwww-authenticate: bearer\r\n" in answer.lower()


def test_a_request_has_so_long_to_arrive_however_steadily_it_comes(monkeypatch):
    monkeypatch.setattr(web_server, "ARRIVAL_LIMIT_SECONDS", 0.3)
    bound = web_server.bind("127.0.0.1", 0)
    server = web_server.web_server(Flask("slow"), Settings(), bound)
    threading.Thread(target=server.run, daemon=True).start()
    with socket.create_connection(bound.getsockname(), timeout=20) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        deadline = time.monotonic() + 60
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            while time.monotonic() < deadline:
                client.sendall(b"x")
                time.sleep(0.02)
    server.close()
