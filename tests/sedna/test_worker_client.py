import socket
import time

import pytest

from sedna_tinyms.errors import EndpointError
from sedna_tinyms.sedna.service.client import LCClient, http_request
from sedna_tinyms.testing import Controller

MESSAGE = {"name": "train-worker-1", "status": "completed"}


def test_a_report_is_posted_to_the_worker_s_address():
    with Controller() as controller:
        answer = LCClient.send(f"{controller.url}/", "train-worker-1", MESSAGE)
    assert answer == {"Status": 200, "Message": "OK"}
    assert controller.reports == [("/sedna/workers/train-worker-1/info", MESSAGE)]


def test_a_controller_that_is_busy_is_asked_again():
    with Controller(refusals=[503, 500, 429]) as controller:
        LCClient.send(controller.url, "w", MESSAGE)
    assert (controller.attempts, len(controller.reports)) == (4, 1)


def test_a_refusal_is_final_at_once():
    with Controller(refusals=[400]) as controller, pytest.raises(EndpointError, match="400"):
        LCClient.send(controller.url, "w", MESSAGE)
    assert controller.attempts == 1


def test_where_nobody_listens_the_wait_is_bounded_and_the_address_named():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        start = time.monotonic()
        with pytest.raises(EndpointError, match=url):
            LCClient.send(url, "w", MESSAGE, patience=0.5)
    assert time.monotonic() - start < 5


def test_a_controller_that_never_answers_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(EndpointError, match="timed out"):
            http_request(url, timeout=0.2, patience=0.3)


@pytest.mark.parametrize("value", [float("nan"), object()])
def test_what_json_cannot_hold_is_refused_without_a_second_attempt(value):
    with Controller() as controller, pytest.raises(EndpointError):
        LCClient.send(controller.url, "w", {"metrics": value})
    assert controller.attempts == 0


@pytest.mark.parametrize("url", ["no-scheme", "ftp://127.0.0.1", "http://:9"])
def test_a_broken_address_is_an_error_at_once(url):
    with pytest.raises(EndpointError, match=url):
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
