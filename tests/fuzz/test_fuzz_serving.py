"""Whatever a client of the server sends is answered in JSON, and tells nothing of the machine."""

import base64
import io
import json
import socket
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "tinyms" / "serving"))

from flask import Flask
from fuzzing import (
    ANSWER_SECONDS,
    PLAIN,
    at_places,
    damaged,
    fuzzed,
    talk,
    tells_nothing,
    untouched,
    with_value,
)
from hypothesis import example
from hypothesis import strategies as st
from PIL import Image
from servables import PARTS, SIZE, Servables
from serving_http import start

from sedna_tinyms.tinyms.serving import web_server
from sedna_tinyms.tinyms.serving.app import create_app
from sedna_tinyms.tinyms.serving.metrics import Metrics
from sedna_tinyms.tinyms.serving.predicting import Predictor
from sedna_tinyms.tinyms.serving.repository import Repository
from sedna_tinyms.tinyms.serving.runner import Runner
from sedna_tinyms.tinyms.serving.settings import Settings

SHAPE = [1, 1, SIZE, SIZE]
COUNT = SIZE * SIZE
NUMBERS = np.zeros(SHAPE).ravel().tolist()
ROUTES = ("/predict", "/servables/parts", "/v2/models/parts/infer")
INSTANCE = {"shape": SHAPE[1:], "dtype": "float32", "data": json.dumps(NUMBERS)}
TENSOR = {"name": "image", "datatype": "FP32", "shape": SHAPE, "data": NUMBERS}
LATIN = st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=40)


def picture_file(kind):
    file = io.BytesIO()
    pixels = np.random.RandomState(0).randint(0, 256, (20, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


PICTURES = {kind: picture_file(kind) for kind in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP")}
GOOD = {
    "/predict": {
        "servable_name": "parts",
        "strategy": "TOP1_CLASS",
        "data": base64.b64encode(PICTURES["PNG"]).decode(),
    },
    "/servables/parts": {"instance": INSTANCE},
    "/v2/models/parts/infer": {"id": "1", "inputs": [TENSOR], "outputs": [{"name": "output"}]},
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("serving")


@pytest.fixture(scope="module")
def servables(directory):
    servables = Servables(directory)
    servables.add_small("parts", seed=1)
    return servables


@pytest.fixture(scope="module")
def client(servables):
    """Return a client of the application, in this process."""
    settings = Settings(serving_path=servables.directory, pixel_limit=100_000)
    metrics = Metrics()
    runner = Runner(settings.batch_limit, metrics.observe_batch)
    repository = Repository(settings.serving_path, runner, metrics.observe_load)
    runner.start()
    try:
        repository.load()
        assert repository.ready
        yield create_app(settings, Predictor(repository, runner, 8, metrics), metrics).test_client()
    finally:
        runner.stop()


@pytest.fixture(autouse=True)
def _nothing_is_written(servables):
    with untouched(servables.directory):
        yield


def check(answer, *, works=(200,)):
    """Require an answer in JSON that gives nothing away; 5xx is a fault of ours."""
    tells_nothing(answer.get_data())
    text = answer.get_data(as_text=True)
    assert answer.status_code in works or 400 <= answer.status_code < 500, text[:300]
    if answer.status_code >= 400:
        said = json.loads(text)
        assert said.get("error") or said.get("err_msg")
        assert said["code"]


def test_what_is_changed_below_works_as_it_is(client):
    for route in ROUTES:
        assert client.post(route, json=GOOD[route]).status_code == 200


@fuzzed(120, route=st.sampled_from(ROUTES), body=st.binary(max_size=200) | PLAIN.map(json.dumps))
@example("/predict", "[" * 100_000)
@example("/v2/models/parts/infer", b"\xff\xfe{\x00}\x00")
@example("/predict", json.dumps({"servable_name": "p" * 3_000_000, "data": "x"}))
@example("/predict", json.dumps({"servable_name": ["p"] * 500_000, "data": "x"}))
@example("/v2/models/parts/infer", json.dumps({"inputs": [{"name": "i" * 3_000_000}]}))
def test_any_body(client, route, body):
    check(client.post(route, data=body))


@fuzzed(150, data=st.data(), route=st.sampled_from(ROUTES))
def test_a_good_request_with_another_value_anywhere(client, data, route):
    places = [place for place in at_places(GOOD[route]) if len(place) < 5]
    place = data.draw(st.sampled_from(places[:40]))
    check(client.post(route, json=with_value(GOOD[route], place, data.draw(PLAIN))))


@fuzzed(
    40,
    numbers=st.sampled_from(
        [
            ["x" * 200_000] + [""] * (COUNT - 1),
            [10**400] * COUNT,
            [1e308] * COUNT,
            [True] * COUNT,
            [None] * COUNT,
            [[0.0]] * COUNT,
            [[0.0], []] * (COUNT // 2),
            {"0": 0.0},
            "x",
            [],
            [[]] * COUNT,
        ]
    )
    | PLAIN,
    route=st.sampled_from(ROUTES[1:]),
)
def test_any_numbers(client, numbers, route):
    place = ("instance", "data") if route == ROUTES[1] else ("inputs", 0, "data")
    check(client.post(route, json=with_value(GOOD[route], place, numbers)))


@fuzzed(150, data=st.data(), kind=st.sampled_from(sorted(PICTURES)))
def test_any_picture(client, data, kind):
    content = data.draw(damaged(PICTURES[kind]))
    text = base64.b64encode(content).decode()
    check(client.post("/predict", json=GOOD["/predict"] | {"data": text}))


@fuzzed(
    120,
    path=st.text(max_size=40) | st.sampled_from(["../../etc/passwd", "%2e%2e/%2e%2e", "parts/.."]),
    prefix=st.sampled_from(["/", "/servables/", "/v2/models/", "/v2/models/parts/versions/"]),
    method=st.sampled_from(["GET", "POST", "PUT", "OPTIONS", "DELETE"]),
)
def test_any_address(client, path, prefix, method):
    path = path.encode("utf-8", "replace").decode().replace("?", "").replace("#", "")
    check(client.open(prefix + path.lstrip("/"), method=method), works=(200, 308))


@fuzzed(
    120,
    name=st.sampled_from(
        ["Host", "Origin", "Authorization", "Content-Type", "Inference-Header-Content-Length"]
    ),
    value=LATIN | st.integers().map(str),
    route=st.sampled_from(ROUTES),
)
@example("Host", "[", ROUTES[0])
@example("Origin", "http://[", ROUTES[0])
@example("Inference-Header-Content-Length", "9" * 5000, ROUTES[2])
def test_any_header(client, name, value, route):
    check(client.post(route, json=GOOD[route], headers={name: value}))


@fuzzed(40, raw=st.binary(max_size=64), size=PLAIN)
@example(b"", 4 * COUNT)
@example(np.full(COUNT, np.nan, "<f4").tobytes(), 4 * COUNT)
def test_any_raw_tensor(client, raw, size):
    tensor = {**TENSOR, "parameters": {"binary_data_size": size}}
    del tensor["data"]
    head = json.dumps({"inputs": [tensor]}).encode()
    lengths = {"Inference-Header-Content-Length": str(len(head))}
    check(client.post(ROUTES[2], data=head + raw, headers=lengths))


@pytest.fixture(scope="module")
def server(servables):
    with start(servables, "--body-limit", str(1 << 20)) as http:
        yield SimpleNamespace(http=http, port=http.server.port)


BODY = json.dumps(GOOD["/predict"]).encode()
HEAD = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: "
REQUEST = HEAD + str(len(BODY)).encode() + b"\r\n\r\n" + BODY


@fuzzed(
    80, content=st.binary(max_size=200) | damaged(REQUEST[:150]).map(lambda b: b + REQUEST[150:])
)
@example(HEAD + b"9" * 5000 + b"\r\n\r\n")
@example(b"GET " + b"/" * 70_000 + b" HTTP/1.1\r\n\r\n")
@example(b"\0" * 70_000)
def test_any_bytes_on_the_wire(server, content):
    tells_nothing(talk(server.port, content))
    assert server.http.get("/v2/health/ready").status_code == 200


@contextmanager
def clients_that_stop_halfway(port, count):
    silent = [socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS) for _ in range(count)]
    try:
        for number, client in enumerate(silent):
            with suppress(OSError):  # who was there first has to go
                client.sendall(REQUEST[: number * len(REQUEST) // (count + 1)])
        yield
    finally:
        for client in silent:
            client.close()


@pytest.mark.slow
def test_clients_that_stop_halfway_keep_nobody_out(server):
    with clients_that_stop_halfway(server.port, 520):
        answer = server.http.post("/predict", GOOD["/predict"])
        assert answer.json()["instance"]["predictions"][0]["label"] in PARTS
        assert server.http.get("/v2/health/live").status_code == 200


def test_in_a_crowd_who_sends_nothing_for_longest_has_to_go(monkeypatch):
    """With room for few connections, none of which is closed for its silence alone."""
    for name, value in {"ARRIVAL_LIMIT": 3600, "SILENCE_LIMIT": 3600}.items():
        monkeypatch.setattr(web_server, f"{name}_SECONDS", value)
    monkeypatch.setattr(web_server, "CONNECTION_LIMIT", 12)
    monkeypatch.setattr(web_server, "CROWD", 6)
    bound = web_server.bind("127.0.0.1", 0)
    app = Flask("crowded")
    app.add_url_rule("/", view_func=lambda: "answered")
    listening = web_server.web_server(app, Settings(), bound)
    port = bound.getsockname()[1]
    threading.Thread(target=listening.run, daemon=True).start()
    with clients_that_stop_halfway(port, 30):
        for _ in range(3):
            assert b"answered" in talk(port, b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
    listening.close()
