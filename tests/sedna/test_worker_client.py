import socket
from types import SimpleNamespace

import pytest

from sedna_tinyms.errors import EndpointError
from sedna_tinyms.sedna.service import client
from sedna_tinyms.sedna.service.client import LCClient, http_request
from sedna_tinyms.testing import Controller

MESSAGE = {"name": "train-worker-1", "status": "completed"}


def test_a_report_is_posted_to_the_worker_s_address():
    with Controller() as controller:
        answer = LCClient.send(f"{controller.url}/", "train-worker-1", MESSAGE)
    assert answer == {"Status": 200, "Message": "OK"}
    assert controller.reports == [("/sedna/workers/train-worker-1/info", MESSAGE)]


@pytest.fixture
def pauses(monkeypatch):
    """Let time pass by pauses alone, and return them."""
    made = []
    clock = SimpleNamespace(monotonic=lambda: sum(made), sleep=made.append)
    monkeypatch.setattr(client, "time", clock)
    return made


def test_a_controller_that_is_busy_is_asked_again(pauses):
    with Controller(refusals=[503, 500, 429]) as controller:
        LCClient.send(controller.url, "w", MESSAGE)
    assert (controller.attempts, len(controller.reports), len(pauses)) == (4, 1, 3)
    assert pauses == sorted(set(pauses)), "each pause is longer than the one before"


def test_a_refusal_is_final_at_once(raises):
    with Controller(refusals=[400]) as controller, raises(EndpointError, "refused", status=400):
        LCClient.send(controller.url, "w", MESSAGE)
    assert controller.attempts == 1


def test_where_nobody_listens_the_wait_is_bounded_and_the_address_named(raises, pauses):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        said = f"{url}/sedna/workers/w/info"
        with raises(EndpointError, "unreachable", golden=False, url=said) as raised:
            LCClient.send(url, "w", MESSAGE, patience=5.0)
    assert said in str(raised.value)
    assert len(pauses) > 1
    assert 2.5 < sum(pauses) <= 5.0


def test_a_controller_that_never_answers_is_given_up(raises):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with raises(EndpointError, "timeout", golden=False, url=url):
            http_request(url, timeout=0.05, patience=0.1)


@pytest.mark.parametrize("value", [float("nan"), object()])
def test_what_json_cannot_hold_is_refused_without_a_second_attempt(raises, value):
    with Controller() as controller, raises(EndpointError, "not-json", golden=False):
        LCClient.send(controller.url, "w", {"metrics": value})
    assert controller.attempts == 0


@pytest.mark.parametrize("url", ["no-scheme", "ftp://127.0.0.1", "http://:9"])
def test_a_broken_address_is_an_error_at_once(raises, url):
    said = f"{url}/sedna/workers/w/info"
    with raises(EndpointError, "invalid-url", golden=False, url=said):
        LCClient.send(url, "w", MESSAGE)


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with Controller() as controller:
        LCClient.send(controller.url, "w", MESSAGE)
    assert len(controller.reports) == 1


def test_the_answer_comes_as_asked_for():
    with Controller() as controller:
        url = f"{controller.url}/sedna/workers/w/info"
        assert '"Message"' in http_request(url, "POST", json=MESSAGE, binary=False)
        assert http_request(url, "POST", json=MESSAGE, no_decode=True).status_code == 200
