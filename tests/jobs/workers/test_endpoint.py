import json
import socket
from contextlib import closing
from http.client import HTTPConnection
from queue import SimpleQueue

import pytest

from sedna_tinyms.errors import EndpointError
from sedna_tinyms.jobs.workers.endpoint import BODY_LIMIT, Endpoint, Refusal, Report

RESULTS = [{"format": "ckpt", "url": "/out/train/1/m.ckpt", "metrics": {"accuracy": [0.5]}}]


def body(name="train-worker-abcde", **fields):
    return {
        "name": name,
        "namespace": "default",
        "ownerName": "job",
        "ownerKind": "incrementallearningjob",
        "kind": "train",
        "status": "completed",
        "results": RESULTS,
    } | fields


def nested(levels):
    return b"[" * levels + b"1" + b"]" * levels


@pytest.fixture
def delivered():
    return SimpleQueue()


@pytest.fixture
def endpoint(delivered):
    with Endpoint(delivered.put) as endpoint:
        yield endpoint


def post(endpoint, content, name="train-worker-abcde", path=None):
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    client = HTTPConnection(endpoint.url.removeprefix("http://"), timeout=60)
    with closing(client):
        client.request("POST", path or f"/sedna/workers/{name}/info", body=data)
        response = client.getresponse()
        return response.status, json.load(response)


def test_a_report_is_delivered_before_it_is_answered(endpoint, delivered):
    assert post(endpoint, body()) == (200, {"Status": 200, "Message": "OK"})
    assert delivered.get_nowait() == Report(
        "train-worker-abcde", "train", "completed", tuple(RESULTS)
    )


def test_packed_outcomes_are_delivered_one_by_one(endpoint, delivered):
    metrics = {"accuracy": [0.75], "correct_bits": [4.0, 13.0]}
    post(endpoint, body(results=[{"format": "onnx", "url": "/m.onnx", "metrics": metrics}]))
    (entry,) = delivered.get_nowait().results
    assert entry["metrics"] == {"accuracy": [0.75], "correct": [1.0, 0.0, 1.0, 1.0]}


def test_a_deploy_report_has_neither_results_nor_owner_info(endpoint, delivered):
    content = body(kind="deploy")
    del content["results"]
    assert post(endpoint, content)[0] == 200
    assert delivered.get_nowait().results == ()


def test_metrics_may_be_nested(endpoint, delivered):
    content = b'{"name": "train-worker-abcde", "results": [{"metrics": {"x": %s}}]}' % nested(28)
    assert post(endpoint, content)[0] == 200


@pytest.mark.parametrize("unknown", [{"ownerKind": "strangejob"}, {"kind": "dance"}, {"more": 1}])
def test_what_it_does_not_know_is_answered_with_200(endpoint, unknown):
    assert post(endpoint, body(**unknown))[0] == 200


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"{not json", "not-json"),
        (b"\xff\xfe", "not-json"),
        (b"", "not-json"),
        (b"[" * 100_000, "not-json"),
        (b"[]", "wrong-type"),
        (b'{"name": "train-worker-abcde", "metrics": NaN}', "not-json"),
        (b'{"name": "train-worker-abcde", "metrics": 1e999}', "not-json"),
        (b'{"name": "train-worker-abcde", "metrics": %s}' % nested(32), "too-deep"),
        (body(name="train-worker-zzzzz"), "conflict"),
        ({"kind": "train"}, "conflict"),
        (body(kind=3), "wrong-type"),
        (body(results="soup"), "wrong-type"),
        (body(results=[1]), "wrong-type"),
    ],
    ids=range(13),
)
def test_what_cannot_be_read_is_refused_with_400_and_noted(
    endpoint, delivered, content, code, snapshot
):
    status, answer = post(endpoint, content)
    assert (status, answer["Status"]) == (400, 400)
    refusal = delivered.get_nowait()
    assert refusal == Refusal("train-worker-abcde", answer["Message"], code)
    if code != "not-json":  # whose message holds Python's own words
        assert refusal.reason == snapshot


def test_a_report_beyond_the_limit_is_refused_unread(endpoint, delivered, snapshot):
    with socket.create_connection(endpoint.url.removeprefix("http://").split(":")) as client:
        client.sendall(
            b"POST /sedna/workers/w/info HTTP/1.1\r\nHost: x\r\n"
            b"Content-Length: %d\r\n\r\n" % (BODY_LIMIT + 1)
        )
        assert client.recv(4096).startswith(b"HTTP/1.1 413 ")
    refusal = delivered.get(timeout=60)
    assert refusal.code == "too-large"
    assert refusal.reason == snapshot


def test_a_report_without_a_length_is_refused(endpoint, delivered):
    with socket.create_connection(endpoint.url.removeprefix("http://").split(":")) as client:
        client.sendall(b"POST /sedna/workers/w/info HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 411 ")
    assert delivered.get(timeout=60).code == "missing-value"


@pytest.mark.parametrize("path", ["/", "/sedna/workers//info", "/sedna/workers/a/b/info"])
def test_other_addresses_do_not_exist(endpoint, delivered, path, snapshot):
    status, answer = post(endpoint, body(), path=path)
    assert status == 404
    assert delivered.get_nowait() == Refusal("", answer["Message"], "invalid-url")
    assert answer["Message"] == snapshot


def test_a_client_that_hangs_up_halfway_disturbs_nobody(endpoint, delivered, capfd):
    with socket.create_connection(endpoint.url.removeprefix("http://").split(":")) as client:
        client.sendall(b"POST /sedna/workers/w/info HTTP/1.1\r\nContent-Length: 99\r\n\r\n{")
    assert post(endpoint, body())[0] == 200
    assert capfd.readouterr().err == ""


def test_it_listens_on_loopback_only_and_frees_the_port_at_the_end(raises):
    with Endpoint(lambda _: None) as endpoint:
        host, port = endpoint.url.removeprefix("http://").split(":")
        assert host == "127.0.0.1"
        with raises(EndpointError, "cannot-listen", port=int(port), golden=False):
            Endpoint(lambda _: None, port=int(port))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=60)


def test_a_port_beyond_the_range_is_an_error_too(raises):
    with raises(EndpointError, "cannot-listen", port=70000, golden=False):
        Endpoint(lambda _: None, port=70000)


def test_a_length_that_is_no_number_to_python_is_answered(endpoint, delivered):
    client = HTTPConnection(endpoint.url.removeprefix("http://"), timeout=60)
    with closing(client):
        client.putrequest("POST", "/sedna/workers/w/info")
        client.putheader("Content-Length", "9" * 5000)
        client.endheaders()
        assert client.getresponse().status == 413
    refusal = delivered.get_nowait()
    assert refusal.code == "too-large"
    assert refusal.reason.count("9") == 20, "of 5000 digits"
