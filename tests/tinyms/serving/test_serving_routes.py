import json

import numpy as np
import pytest
from servables import PARTS, SIZE

from sedna_tinyms.tinyms.serving.servable import probabilities
from sedna_tinyms.tinyms.vision import as_rgb, mnist_transform, postprocess

SHAPE = (1, SIZE, SIZE)


@pytest.fixture(scope="module")
def inputs():
    return np.random.RandomState(5).randn(3, *SHAPE).astype(np.float32)


@pytest.fixture(scope="module")
def expected(parts, inputs):
    return parts.outputs("parts", inputs)


def instance(array, dtype="float32"):
    return {"shape": list(array.shape), "dtype": dtype, "data": json.dumps(array.tolist())}


def test_the_list_of_servables_repeats_servable_json(http, parts):
    answer = http.get("/servables").json()
    assert answer["status"] == 0
    [listed] = answer["servables"]
    published = {key: parts.entries[0][key] for key in ("name", "description", "model")}
    assert {key: listed[key] for key in published} == published
    assert listed["strategies"] == ["TOP1_CLASS", "TOP3_CLASS"]  # four classes are no five
    assert listed["ready"] is True


@pytest.mark.parametrize("route", ["/servables/parts", "/predict"])
def test_an_instance_gets_the_networks_raw_output(http, inputs, expected, route):
    body = {"instance": instance(inputs[0]), "servable_name": "parts", "strategy": "TOP1_CLASS"}
    answer = http.post(route, body).json()
    assert answer["status"] == 0
    assert answer["instance"]["shape"] == [1, 4]
    assert answer["instance"]["dtype"] == "float32"
    in_service = http.get("/health").json()["servables"]["parts"]["version"]
    assert answer["instance"]["version"] == in_service
    output = json.loads(answer["instance"]["data"])
    np.testing.assert_allclose(output, expected[:1], atol=1e-5)


def test_an_instance_may_hold_doubles_and_bare_lists(http, inputs, expected):
    described = instance(inputs[1].astype(np.float64), "float64")
    described["data"] = json.loads(described["data"])
    answer = http.post("/servables/parts", {"instance": described}).json()
    output = json.loads(answer["instance"]["data"])
    np.testing.assert_allclose(output, expected[1:2], atol=1e-5)


def test_a_picture_gets_words_scores_and_itself(http, parts, picture):
    answer = http.picture(picture, strategy="TOP3_CLASS").json()["instance"]
    output = parts.outputs("parts", mnist_transform(as_rgb(picture))[None])
    ours = postprocess(output, PARTS, "TOP3_CLASS").split("\t")
    for said, wanted in zip(answer["res_msg"].split("\t"), ours, strict=True):
        assert said[:-3] == wanted[:-3]  # but for the last of seven decimals
    assert [p["label"] for p in answer["predictions"]] == [
        PARTS[index] for index in np.argsort(-output[0])
    ]
    scores = [p["score"] for p in answer["predictions"]]
    np.testing.assert_allclose(scores, sorted(probabilities(output[0]), reverse=True), atol=1e-5)
    assert answer["data"].startswith("data:image/jpeg;base64,/9j/")


def test_v2_says_what_it_is(http):
    assert http.get("/v2").json()["name"] == "sedna-tinyms"
    assert "binary_tensor_data" in http.get("/v2").json()["extensions"]
    assert http.get("/v2/health/live").json() == {"live": True}
    assert http.get("/v2/health/ready").json() == {"live": True, "ready": True}
    assert http.get("/v2/models/parts/ready").json() == {"name": "parts", "ready": True}


def test_v2_describes_the_model_and_its_one_version(http):
    described = http.get("/v2/models/parts").json()
    assert described["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, *SHAPE]}]
    assert described["outputs"] == [{"name": "output", "datatype": "FP32", "shape": [-1, 4]}]
    [version] = described["versions"]
    assert http.get(f"/v2/models/parts/versions/{version}").json() == described
    other = http.get("/v2/models/parts/versions/7/ready")
    assert (other.status_code, other.json()["code"]) == (404, "wrong-version")
    assert list(other.json()) == ["error", "code"]


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("rows", [1, 3])
def test_v2_infers_a_batch_of_json(http, inputs, expected, rows, nested):
    data = inputs[:rows] if nested else inputs[:rows].ravel()
    tensor = {"name": "image", "shape": [rows, *SHAPE], "datatype": "FP32", "data": data.tolist()}
    body = {"id": "42", "inputs": [tensor], "outputs": [{"name": "output"}]}
    answer = http.post("/v2/models/parts/infer", body).json()
    assert (answer["id"], answer["model_name"]) == ("42", "parts")
    [output] = answer["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("output", "FP32", [rows, 4])
    np.testing.assert_allclose(output["data"], expected[:rows].ravel(), atol=1e-5)


def test_v2_infers_a_batch_of_bytes(http, inputs, expected):
    raw = inputs.astype("<f4").tobytes()
    tensor = {
        "name": "image",
        "shape": [3, *SHAPE],
        "datatype": "FP32",
        "parameters": {"binary_data_size": len(raw)},
    }
    asked = {"name": "output", "parameters": {"binary_data": True}}
    head = json.dumps({"inputs": [tensor], "outputs": [asked]}).encode()
    length = {"Inference-Header-Content-Length": str(len(head))}
    answer = http.post("/v2/models/parts/infer", head + raw, headers=length)
    split = int(answer.headers["Inference-Header-Content-Length"])
    [described] = json.loads(answer.content[:split])["outputs"]
    assert described["parameters"] == {"binary_data_size": 3 * 4 * 4}
    output = np.frombuffer(answer.content[split:], "<f4").reshape(3, 4)
    np.testing.assert_allclose(output, expected, atol=1e-5)


def test_metrics_count_what_was_asked(http, picture):
    def count():
        text = http.get("/metrics").text
        wanted = 'tinyms_requests_total{route="/predict",status="200"} '
        return sum(float(line[len(wanted) :]) for line in text.splitlines() if wanted in line)

    before = count()
    http.picture(picture)
    assert count() == before + 1


def test_the_page_can_load_nothing_from_elsewhere(http):
    answer = http.get("/")
    assert answer.headers["Content-Type"].startswith("text/html")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http:" not in answer.text.replace("http://www.w3.org", "")
    assert "https:" not in answer.text
    assert "innerHTML" not in answer.text


@pytest.mark.parametrize("path", ["/nothing", "/servables/x/y", "/v2/nothing", "/servable.json"])
def test_an_unknown_address_is_404_in_json(http, path):
    answer = http.get(path)
    assert answer.status_code == 404
    keys = {"error"} if path.startswith("/v2") else {"status", "err_msg"}
    assert answer.json().keys() == keys | {"code"}
    assert answer.json()["code"] == "not-found"


def test_the_wrong_method_is_405_in_json(http):
    answer = http.get("/predict")
    assert (answer.status_code, answer.json()["status"]) == (405, 1)
    assert answer.json()["code"] == "method-not-allowed"
