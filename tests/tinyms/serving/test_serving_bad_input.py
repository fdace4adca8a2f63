import io
import json
import socket
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from servables import SIZE

SHAPE = [3, SIZE, SIZE]
COUNT = 3 * SIZE * SIZE


def encoded(image, kind="PNG"):
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def huge_png(width, height):
    """A picture of zeros, made without ever holding its pixels."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(width + 1)) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def assert_refused(answer, status, *words):
    assert answer.status_code == status, answer.text
    content = answer.json()
    reason = content.get("error") or content["err_msg"]
    assert "error" in content or content["status"] == 1
    for word in words:
        assert word in reason
    assert "Traceback" not in answer.text
    assert "/tmp" not in answer.text
    assert "site-packages" not in answer.text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"this is text", "no picture"),
        (b"", "data must be a picture"),
        (b"\x89PNG\r\n\x1a\n", "picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no picture"),
    ],
)
def test_what_is_no_picture_is_400(http, content, words):
    assert_refused(http.picture(content), 400, words)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_truncated_picture_is_400(http, kind):
    pixels = np.random.RandomState(0).randint(0, 256, (50, 50, 3), dtype=np.uint8)
    whole = encoded(Image.fromarray(pixels), kind)
    assert_refused(http.picture(whole[: len(whole) // 2]), 400, "picture")


@pytest.mark.parametrize("size", [(1, 1), (1, 20000), (20000, 1)])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1", "I;16"])
def test_a_picture_of_any_shape_and_mode_is_answered(http, size, mode):
    answer = http.picture(encoded(Image.new(mode, size)))
    assert answer.status_code == 200, answer.text
    assert answer.json()["instance"]["res_msg"].startswith("TOP1: ")


def test_forty_megapixels_of_zeros_are_413(http):
    assert_refused(http.picture(huge_png(8000, 5000)), 413, "8000 x 5000")


def test_a_picture_beyond_pillows_own_limit_is_413(http):
    assert_refused(http.picture(huge_png(20000, 10)[:60]), 400)
    bomb = huge_png(10, 10).replace(struct.pack(">II", 10, 10), struct.pack(">II", 60000, 60000))
    header = bomb[12:29]
    bomb = bomb[:29] + struct.pack(">I", zlib.crc32(header)) + bomb[33:]
    assert_refused(http.picture(bomb), 413)


@pytest.mark.parametrize("data", [None, 5, [], "", "no base64!", "data:image/png;base64,***"])
def test_data_that_is_no_base64_is_400(http, data):
    body = {"data": data, "servable_name": "parts", "strategy": "TOP1_CLASS"}
    assert_refused(http.post("/predict", body), 400, "data")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"instance": NaN}',
        b'{"instance": ' + b"9" * 5000 + b"}",
        b"[]",
        b'"text"',
        b"null",
    ],
)
@pytest.mark.parametrize("route", ["/predict", "/servables/parts", "/v2/models/parts/infer"])
def test_a_body_that_is_no_json_object_is_400(http, route, body):
    assert_refused(http.post(route, body), 400, "body")


FLAT = [0.5] * COUNT
WRONG_TENSORS = {
    "no shape": ({"shape": None}, "shape"),
    "another shape": ({"shape": [3, 9, 9]}, "shape"),
    "a billion rows": ({"shape": [10**9, *SHAPE]}, "shape"),
    "a huge number of rows": ({"shape": [10**30, *SHAPE]}, "shape"),
    "many dimensions": ({"shape": [1] * 100_000}, "shape"),
    "negative": ({"shape": [-1, *SHAPE]}, "shape"),
    "fractions": ({"shape": [1.0, *SHAPE]}, "shape"),
    "truth values": ({"shape": [True, *SHAPE]}, "shape"),
    "too few": ({"data": FLAT[1:]}, "data"),
    "too many": ({"data": [*FLAT, 1]}, "data"),
    "no data": ({"data": None}, "data"),
    "a number": ({"data": 1}, "data"),
    "texts": ({"data": ["1"] * COUNT}, "numbers"),
    "truths": ({"data": [True] * COUNT}, "numbers"),
    "uneven": ({"data": [[1], [1, 2]]}, "unevenly"),
    "beyond float32": ({"data": [1e300] * COUNT}, "float32"),
    "beyond float64": ({"data": [10**400, *FLAT[1:]]}, "data"),
    "an object": ({"data": {"0": 1}}, "numbers"),
}


@pytest.mark.parametrize(("change", "words"), WRONG_TENSORS.values(), ids=WRONG_TENSORS)
def test_a_tensor_that_does_not_fit_is_400(http, change, words):
    tensor = {"name": "image", "shape": [1, *SHAPE], "datatype": "FP32", "data": FLAT} | change
    assert_refused(http.post("/v2/models/parts/infer", {"inputs": [tensor]}), 400, words)
    instance = {"shape": SHAPE, "dtype": "float32", "data": json.dumps(FLAT)} | change
    if "data" in change:
        instance["data"] = json.dumps(change["data"])
    assert_refused(http.post("/servables/parts", {"instance": instance}), 400, words)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_no_finite_number_is_400(http, number):
    data = "[" + ", ".join([number] * COUNT) + "]"
    instance = {"shape": SHAPE, "dtype": "float32", "data": data}
    assert_refused(http.post("/servables/parts", {"instance": instance}), 400, "data")
    tensor = '{"name": "image", "shape": [1, 3, 32, 32], "datatype": "FP32", "data": %s}' % data  # noqa: UP031
    assert_refused(http.post("/v2/models/parts/infer", f'{{"inputs": [{tensor}]}}'), 400)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"inputs": []},
        {"inputs": "image"},
        {"inputs": [5]},
        {"inputs": [{"name": "imag"}]},
        {"inputs": [{"name": "image", "datatype": "INT8"}]},
        {"inputs": [{"name": "image", "datatype": "FP32", "shape": [1, *SHAPE], "parameters": 5}]},
        {"inputs": [{}, {}]},
        {"inputs": [{"name": "image"}], "id": 5},
    ],
)
def test_an_inference_request_of_the_wrong_form_is_400(http, body):
    assert_refused(http.post("/v2/models/parts/infer", body), 400)


@pytest.mark.parametrize("length", ["-1", "x", "999999999", "٣"])
def test_a_wrong_length_of_json_is_400(http, length):
    headers = {"Inference-Header-Content-Length": length.encode()}
    answer = http.post("/v2/models/parts/infer", b'{"inputs": []}', headers=headers)
    assert_refused(answer, 400)


def test_bytes_that_are_too_few_are_400(http):
    tensor = {"name": "image", "shape": [1, *SHAPE], "datatype": "FP32"}
    tensor["parameters"] = {"binary_data_size": 4 * COUNT}
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = http.post("/v2/models/parts/infer", head + bytes(16), headers=headers)
    assert_refused(answer, 400, "16 bytes")


@pytest.mark.parametrize("dtype", ["int8", "object", "", None, 5, ["float32"]])
def test_another_dtype_is_400(http, dtype):
    instance = {"shape": SHAPE, "dtype": dtype, "data": "[]"}
    assert_refused(http.post("/servables/parts", {"instance": instance}), 400, "dtype")


@pytest.mark.parametrize("strategy", ["TOP3", "TOP5_CLASS", "gray2color", "", None, 5])
def test_another_strategy_is_400(http, picture, strategy):
    assert_refused(http.picture(picture, strategy=strategy), 400, "strategy")


@pytest.mark.parametrize(
    "name", ["part", "The servable parts", "", None, 5, "../parts", "x" * 5000]
)
def test_another_servable_is_404(http, picture, name):
    assert_refused(http.picture(picture, servable=name), 404, "no servable")


@pytest.mark.parametrize("name", ["..%2fparts", "%2e%2e%2fparts", "..", "parts%00", "%F0%9F%92%A9"])
@pytest.mark.parametrize("route", ["/servables/{}", "/v2/models/{}/infer"])
def test_a_name_that_would_leave_the_directory_is_404(http, route, name):
    request = (
        f"POST {route.format(name)} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        'Content-Length: 15\r\n\r\n{"instance": 5}'
    )
    with socket.create_connection(("127.0.0.1", http.server.port), timeout=30) as connection:
        connection.sendall(request.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    status = answer.split()[1]
    assert status in (b"404", b"400"), answer
    assert b"/tmp" not in answer


def test_a_body_over_the_limit_is_413_before_it_is_sent(http):
    head = "POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\n"
    with socket.create_connection(("127.0.0.1", http.server.port), timeout=30) as connection:
        connection.sendall(head.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == 1


def test_a_body_in_chunks_over_the_limit_is_413(http):
    answer = http.session.post(
        f"{http.url}/predict", data=(bytes(1 << 16) for _ in range(40)), timeout=60
    )
    assert answer.status_code == 413


def test_what_is_no_http_is_400(http):
    with socket.create_connection(("127.0.0.1", http.server.port), timeout=30) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.0 400 ") or answer.startswith(b"HTTP/1.1 400 ")


def test_the_server_still_answers_after_all_that(http, picture):
    assert http.picture(picture).status_code == 200
    assert http.get("/v2/health/ready").status_code == 200
