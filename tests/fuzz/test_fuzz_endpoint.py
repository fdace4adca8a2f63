"""Whatever comes to the port that workers report to, it is answered or hung up on, and goes on."""

import json
import socket

import pytest
from fuzzing import ANSWER_SECONDS, PLAIN, damaged, fuzzed, talk, tells_nothing
from hypothesis import example
from hypothesis import strategies as st

from sedna_tinyms.errors import SednaTinyMSError
from sedna_tinyms.jobs.models import read_models
from sedna_tinyms.jobs.workers import endpoint
from sedna_tinyms.jobs.workers.endpoint import Endpoint, Refusal, Report

REPORT = {
    "name": "w",
    "namespace": "default",
    "ownerName": "job",
    "ownerKind": "incrementallearningjob",
    "kind": "train",
    "status": "completed",
    "results": [{"format": "ckpt", "url": "/out/m.ckpt", "metrics": {"accuracy": [0.5]}}],
}


def request(body, length=None, path="/sedna/workers/w/info"):
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    return (
        f"{head}Content-Length: {len(body) if length is None else length}\r\n\r\n".encode() + body
    )


GOOD = request(json.dumps(REPORT).encode())
DELIVERED = []


@pytest.fixture(scope="module")
def port():
    with Endpoint(DELIVERED.append) as listening:
        yield int(listening.url.rpartition(":")[2])


def still_works(port):
    DELIVERED.clear()
    assert talk(port, GOOD).startswith(b"HTTP/1.1 200 ")
    assert [type(each) for each in DELIVERED] == [Report]


@fuzzed(150, content=st.binary(max_size=300) | damaged(GOOD))
@example(b"POST / HTTP/9.9\r\n\r\n")
@example(b"\0" * 70_000)
@example(b"GET " + b"/" * 70_000)
def test_any_bytes(port, content):
    tells_nothing(talk(port, content))
    still_works(port)


@fuzzed(
    60,
    length=st.one_of(
        st.integers().map(str),
        st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=20),
        st.sampled_from(["9" * 5000, "9" * 20, "-1", "1e3", "0x10", "1_0", "", "\xb2"]),
    ),
)
def test_any_length(port, length):
    head = b"POST /sedna/workers/w/info HTTP/1.1\r\nContent-Length: "
    answer = talk(port, head + length.encode("latin-1") + b"\r\n\r\n{}")
    tells_nothing(answer)
    assert answer.startswith(b"HTTP/1.1 4")
    still_works(port)


@fuzzed(
    60,
    headers=st.lists(
        st.tuples(
            st.sampled_from(
                ["Content-Length", "Transfer-Encoding", "Expect", "Host", "X", ":", ""]
            ),
            st.sampled_from(["chunked", "100-continue", "2", "\xff", "a" * 60_000, " ", "\t"]),
        ),
        max_size=120,
    ),
)
def test_any_headers(port, headers):
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers).encode("latin-1")
    tells_nothing(talk(port, b"POST /sedna/workers/w/info HTTP/1.1\r\n" + lines + b"\r\n{}"))
    still_works(port)


@fuzzed(
    150,
    report=PLAIN | st.fixed_dictionaries({}, optional=dict.fromkeys(REPORT, PLAIN)),
    keep=st.sets(st.sampled_from(sorted(REPORT))),
)
def test_any_json(port, report, keep):
    if isinstance(report, dict):
        report |= {name: REPORT[name] for name in keep}
    taken_or_refused(port, json.dumps(report).encode())


NUMBER = json.dumps(REPORT).encode().partition(b"0.5")


@fuzzed(
    100, number=st.from_regex(rb"-?[0-9]{1,4}(\.[0-9]{1,4})?([eE][+-]?[0-9]{1,4})?", fullmatch=True)
)
@example(b"1e999")
@example(b"-1E+999")
@example(b"NaN")
@example(b"9" * 4000)
@example(b"[" * 900 + b"1" + b"]" * 900)
def test_any_number_as_it_is_written(port, number):
    taken_or_refused(port, NUMBER[0] + number + NUMBER[2])


def taken_or_refused(port, body):
    DELIVERED.clear()
    answer = talk(port, request(body))
    tells_nothing(answer)
    assert answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 400 "))
    (delivered,) = DELIVERED
    assert isinstance(delivered, Report if answer.startswith(b"HTTP/1.1 200") else Refusal)
    if isinstance(delivered, Report):
        try:
            models = read_models(delivered.results)
        except SednaTinyMSError:
            return  # which fails the round, and nothing else
        json.dumps([each.as_json() for each in models], allow_nan=False)  # as the journal does


@fuzzed(60, path=st.text(st.characters(codec="latin-1", exclude_characters="\r\n "), max_size=60))
@example("/sedna/workers/%00%ff../info")
@example("/sedna/workers/../../etc/info")
def test_any_address(port, path):
    line = f"POST {path} HTTP/1.1\r\nContent-Length: 2\r\n\r\n{{}}".encode("latin-1")
    tells_nothing(talk(port, line))
    still_works(port)


def test_clients_that_say_nothing_more_keep_nobody_out(port, monkeypatch):
    monkeypatch.setattr(endpoint._Handler, "timeout", None)  # nobody is hung up on for silence
    silent = [socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS) for _ in range(64)]
    try:
        for number, client in enumerate(silent):
            client.sendall(GOOD[: number * len(GOOD) // 65])
        still_works(port)
    finally:
        for client in silent:
            client.close()
