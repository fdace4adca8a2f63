import io
import json
import socket
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from servables import SIZE

SHAPE = [1, SIZE, SIZE]
COUNT = SIZE * SIZE


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


def assert_refused(answer, status, code):
    assert answer.status_code == status, answer.text
    content = answer.json()
    assert content["code"] == code, answer.text
    assert reason(answer)
    assert "error" in content or content["status"] == 1
    assert "Traceback" not in answer.text
    assert "/tmp" not in answer.text
    assert "site-packages" not in answer.text


def reason(answer):
    content = answer.json()
    return content["error"] if "error" in content else content["err_msg"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"this is text", "unknown-format"),
        (b"", "missing-value"),
        (b"\x89PNG\r\n\x1a\n", "unknown-format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "unknown-format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unknown-format"),
    ],
)
def test_what_is_no_picture_is_400(http, content, code):
    assert_refused(http.picture(content), 400, code)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_truncated_picture_is_400(http, kind):
    pixels = np.random.RandomState(0).randint(0, 256, (50, 50, 3), dtype=np.uint8)
    whole = encoded(Image.fromarray(pixels), kind)
    assert_refused(http.picture(whole[: len(whole) // 2]), 400, "bad-picture")


@pytest.mark.parametrize("size", [(1, 1), (1, 20000), (20000, 1)])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1", "I;16"])
def test_a_picture_of_any_shape_and_mode_is_answered(http, size, mode):
    answer = http.picture(encoded(Image.new(mode, size)))
    assert answer.status_code == 200, answer.text
    assert answer.json()["instance"]["res_msg"].startswith("TOP1: ")


def test_forty_megapixels_of_zeros_are_413(http):
    assert_refused(http.picture(huge_png(8000, 5000)), 413, "too-large")


def test_a_picture_beyond_pillows_own_limit_is_413(http):
    assert_refused(http.picture(huge_png(20000, 10)[:60]), 400, "bad-picture")
    bomb = huge_png(10, 10).replace(struct.pack(">II", 10, 10), struct.pack(">II", 60000, 60000))
    header = bomb[12:29]
    bomb = bomb[:29] + struct.pack(">I", zlib.crc32(header)) + bomb[33:]
    assert_refused(http.picture(bomb), 413, "too-large")


@pytest.mark.parametrize("data", [None, 5, [], "", "no base64!", "data:image/png;base64,***"])
def test_data_that_is_no_base64_is_400(http, data):
    body = {"data": data, "servable_name": "parts", "strategy": "TOP1_CLASS"}
    code = "not-base64" if data and isinstance(data, str) else "missing-value"
    assert_refused(http.post("/predict", body), 400, code)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "not-json"),
        (b"{", "not-json"),
        (b"\xff\xfe", "not-json"),
        (b"[" * 100_000, "not-json"),
        (b'{"instance": NaN}', "not-json"),
        (b'{"instance": ' + b"9" * 5000 + b"}", "not-json"),
        (b"[]", "wrong-type"),
        (b'"text"', "wrong-type"),
        (b"null", "wrong-type"),
    ],
)
@pytest.mark.parametrize("route", ["/predict", "/servables/parts", "/v2/models/parts/infer"])
def test_a_body_that_is_no_json_object_is_400(http, route, body, code):
    assert_refused(http.post(route, body), 400, code)


FLAT = [0.5] * COUNT
WRONG_TENSORS = {
    "no shape": ({"shape": None}, "wrong-shape"),
    "another shape": ({"shape": [3, 9, 9]}, "wrong-shape"),
    "a billion rows": ({"shape": [10**9, *SHAPE]}, "wrong-shape"),
    "a huge number of rows": ({"shape": [10**30, *SHAPE]}, "wrong-shape"),
    "many dimensions": ({"shape": [1] * 100_000}, "wrong-shape"),
    "negative": ({"shape": [-1, *SHAPE]}, "wrong-shape"),
    "fractions": ({"shape": [1.0, *SHAPE]}, "wrong-shape"),
    "truth values": ({"shape": [True, *SHAPE]}, "wrong-shape"),
    "too few": ({"data": FLAT[1:]}, "wrong-shape"),
    "too many": ({"data": [*FLAT, 1]}, "wrong-shape"),
    "no data": ({"data": None}, "not-a-number"),
    "a number": ({"data": 1}, "wrong-shape"),
    "texts": ({"data": ["1"] * COUNT}, "not-a-number"),
    "truths": ({"data": [True] * COUNT}, "not-a-number"),
    "uneven": ({"data": [[1], [1, 2]]}, "wrong-shape"),
    "beyond float32": ({"data": [1e300] * COUNT}, "not-finite"),
    "beyond float64": ({"data": [10**400, *FLAT[1:]]}, "not-a-number"),
    "an object": ({"data": {"0": 1}}, "not-a-number"),
}


@pytest.mark.parametrize(("change", "code"), WRONG_TENSORS.values(), ids=WRONG_TENSORS)
def test_a_tensor_that_does_not_fit_is_400(http, change, code):
    tensor = {"name": "image", "shape": [1, *SHAPE], "datatype": "FP32", "data": FLAT} | change
    assert_refused(http.post("/v2/models/parts/infer", {"inputs": [tensor]}), 400, code)
    instance = {"shape": SHAPE, "dtype": "float32", "data": json.dumps(FLAT)} | change
    if "data" in change:
        instance["data"] = json.dumps(change["data"])
    assert_refused(http.post("/servables/parts", {"instance": instance}), 400, code)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_no_finite_number_is_400(http, number):
    data = "[" + ", ".join([number] * COUNT) + "]"
    instance = {"shape": SHAPE, "dtype": "float32", "data": data}
    code = "not-json"  # it has neither NaN nor infinity
    assert_refused(http.post("/servables/parts", {"instance": instance}), 400, code)
    tensor = '{"name": "image", "shape": [1, 1, 32, 32], "datatype": "FP32", "data": %s}' % data  # noqa: UP031
    assert_refused(http.post("/v2/models/parts/infer", f'{{"inputs": [{tensor}]}}'), 400, code)


WELL_FORMED = {"name": "image", "datatype": "FP32", "shape": [1, *SHAPE]}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "wrong-type"),
        ({"inputs": []}, "wrong-type"),
        ({"inputs": "image"}, "wrong-type"),
        ({"inputs": [5]}, "wrong-type"),
        ({"inputs": [{"name": "imag"}]}, "unknown-name"),
        ({"inputs": [{"name": "image", "datatype": "INT8"}]}, "unsupported"),
        ({"inputs": [WELL_FORMED | {"parameters": 5}]}, "wrong-type"),
        ({"inputs": [{}, {}]}, "wrong-type"),
        ({"inputs": [{"name": "image"}], "id": 5}, "wrong-type"),
    ],
)
def test_an_inference_request_of_the_wrong_form_is_400(http, body, code):
    assert_refused(http.post("/v2/models/parts/infer", body), 400, code)


@pytest.mark.parametrize("length", ["-1", "x", "999999999", "٣"])
def test_a_wrong_length_of_json_is_400(http, length):
    headers = {"Inference-Header-Content-Length": length.encode()}
    answer = http.post("/v2/models/parts/infer", b'{"inputs": []}', headers=headers)
    assert_refused(answer, 400, "wrong-length")


def test_bytes_that_are_too_few_are_400(http):
    tensor = {"name": "image", "shape": [1, *SHAPE], "datatype": "FP32"}
    tensor["parameters"] = {"binary_data_size": 4 * COUNT}
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = http.post("/v2/models/parts/infer", head + bytes(16), headers=headers)
    assert_refused(answer, 400, "wrong-length")


@pytest.mark.parametrize("dtype", ["int8", "object", "", None, 5, ["float32"]])
def test_another_dtype_is_400(http, dtype):
    instance = {"shape": SHAPE, "dtype": dtype, "data": "[]"}
    assert_refused(http.post("/servables/parts", {"instance": instance}), 400, "unsupported")


@pytest.mark.parametrize("strategy", ["TOP3", "TOP5_CLASS", "gray2color", "", None, 5])
def test_another_strategy_is_400(http, picture, strategy):
    code = "unknown-name" if isinstance(strategy, str) else "wrong-type"
    assert_refused(http.picture(picture, strategy=strategy), 400, code)


@pytest.mark.parametrize(
    "name", ["part", "The servable parts", "", None, 5, "../parts", "x" * 5000]
)
def test_another_servable_is_404(http, picture, name):
    assert_refused(http.picture(picture, servable=name), 404, "unknown-name")


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
    content = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert (content["status"], content["code"]) == (1, "too-large")


def test_a_body_in_chunks_over_the_limit_is_413(http):
    answer = http.session.post(
        f"{http.url}/predict", data=(bytes(1 << 16) for _ in range(40)), timeout=60
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


def test_what_is_no_http_is_400(http):
    with socket.create_connection(("127.0.0.1", http.server.port), timeout=30) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.0 400 ") or answer.startswith(b"HTTP/1.1 400 ")


def test_what_refusals_say(http, picture, snapshot):
    instance = {"shape": SHAPE, "dtype": "float32", "data": FLAT}
    answers = {
        "no picture": http.picture(b"this is text"),
        "nothing": http.picture(b""),
        "a large picture": http.picture(huge_png(8000, 5000)),
        "a misspelt servable": http.picture(picture, servable="part"),
        "a misspelt strategy": http.picture(picture, strategy="TOP3"),
        "a strategy for more classes": http.picture(picture, strategy="TOP5_CLASS"),
        "a strategy of no type": http.picture(picture, strategy=5),
        "no object": http.post("/predict", b"[]"),
        "no instance": http.post("/servables/parts", {"instance": 5}),
        "an array": http.post("/v2/models/parts/infer", b"[]"),
        "no inputs": http.post("/v2/models/parts/infer", {}),
        "a number as id": http.post("/v2/models/parts/infer", {"id": 5}),
        "a foreign host": http.get("/servables", headers={"Host": "evil.example"}),
        "a foreign page": http.get("/servables", headers={"Origin": "https://evil.example"}),
        "an unknown address": http.get("/nothing"),
    }
    for name, change in {
        "another dtype": {"dtype": "int8"},
        "another shape": {"shape": [3, 9, 9]},
        "too few numbers": {"data": FLAT[1:]},
        "texts": {"data": ["1"] * COUNT},
        "uneven rows": {"data": [[1], [1, 2]]},
        "large numbers": {"data": [1e300] * COUNT},
    }.items():
        answers[name] = http.post("/servables/parts", {"instance": instance | change})
    for name, change in {
        "a misspelt tensor": {"name": "imag"},
        "another datatype": {"datatype": "INT8"},
        "a number as parameters": {"parameters": 5},
    }.items():
        body = {"inputs": [WELL_FORMED | change]}
        answers[name] = http.post("/v2/models/parts/infer", body)
    assert "\n".join(f"{name}: {reason(each)}" for name, each in answers.items()) == snapshot


def test_the_server_still_answers_after_all_that(http, picture):
    assert http.picture(picture).status_code == 200
    assert http.get("/v2/health/ready").status_code == 200
