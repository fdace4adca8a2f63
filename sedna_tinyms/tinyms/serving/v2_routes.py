"""The Open Inference Protocol, version 2, over HTTP: what KServe's clients speak.

Tensors travel as JSON, or after it as raw bytes in little-endian order (the extension
``binary_tensor_data``), which for one picture of 224 x 224 is a fifth of the size.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from flask import Blueprint, Response, request
from numpy.typing import NDArray

from sedna_tinyms import __version__
from sedna_tinyms.errors import did_you_mean
from sedna_tinyms.tinyms.serving.predicting import Predictor
from sedna_tinyms.tinyms.serving.refusal import Refusal
from sedna_tinyms.tinyms.serving.runner import Result
from sedna_tinyms.tinyms.serving.servable import Servable
from sedna_tinyms.tinyms.serving.tensors import (
    check_shape,
    finite,
    parse_numbers,
    parse_or_refuse,
)

__all__ = ["v2_routes"]

SERVER_NAME = "sedna-tinyms"
INPUT, OUTPUT, DATATYPE = "image", "output", "FP32"
JSON_LENGTH = "Inference-Header-Content-Length"
"""Header that says where the JSON ends and raw bytes begin."""

LONGEST_NUMBER = 20
"""Digits of a length that is looked at; Python makes no number of more than a few thousand."""


def v2_routes(predictor: Predictor) -> Blueprint:
    """Return the routes below ``/v2``."""
    routes = Blueprint("v2", __name__, url_prefix="/v2")

    @routes.get("")
    @routes.get("/")
    def server_metadata() -> dict[str, Any]:
        extensions = ["binary_tensor_data"]
        return {"name": SERVER_NAME, "version": __version__, "extensions": extensions}

    @routes.get("/health/live")
    def live() -> tuple[dict[str, bool], int]:
        is_live = not predictor.hangs
        return {"live": is_live}, 200 if is_live else 503

    @routes.get("/health/ready")
    def ready() -> tuple[dict[str, bool], int]:
        # The specification's example says "live", its prose and KServe's client "ready".
        is_live = not predictor.hangs
        is_ready = is_live and predictor.repository.ready
        return {"live": is_live, "ready": is_ready}, 200 if is_ready else 503

    @routes.get("/models/<name>")
    @routes.get("/models/<name>/versions/<version>")
    def model_metadata(name: str, version: str | None = None) -> dict[str, Any]:
        servable = _of_version(predictor.find(name), version)
        classes = servable.blueprint.class_num
        output = [-1, -1, 4 + classes] if servable.detects else [-1, classes]
        return {
            "name": name,
            "versions": [servable.version],
            "platform": "mindspore_ckpt",
            "inputs": [{"name": INPUT, "datatype": DATATYPE, "shape": [-1, *servable.input_shape]}],
            "outputs": [{"name": OUTPUT, "datatype": DATATYPE, "shape": output}],
        }

    @routes.get("/models/<name>/ready")
    @routes.get("/models/<name>/versions/<version>/ready")
    def model_ready(name: str, version: str | None = None) -> dict[str, Any]:
        _of_version(predictor.find(name), version)
        return {"name": name, "ready": True}

    @routes.post("/models/<name>/infer")
    @routes.post("/models/<name>/versions/<version>/infer")
    def infer(name: str, version: str | None = None) -> Response:
        with predictor.place():
            asked, raw = _split(request.get_data(cache=False))
            given = _single(asked, "inputs", INPUT)

            def inputs_for(servable: Servable) -> NDArray[np.float32]:
                return _tensor(given, raw, _of_version(servable, version))

            return _response(asked, name, predictor.predict(name, inputs_for))

    return routes


def _of_version(servable: Servable, version: str | None) -> Servable:
    if version not in (None, servable.version):
        raise Refusal(
            404,
            f"{servable.entry.name} has no version {version!r:.80}; "
            f"version {servable.version} is in service",
            code="wrong-version",
        )
    return servable


def _split(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the JSON object at the beginning of the body, and the raw bytes after it."""
    length = request.headers.get(JSON_LENGTH, str(len(content)))
    is_number = length.isascii() and length.isdecimal() and len(length) <= LONGEST_NUMBER
    if not is_number or int(length) > len(content):
        raise Refusal(
            400,
            f"{JSON_LENGTH} is {length!r:.40}; the body has {len(content)} bytes",
            code="wrong-length",
        )
    asked = parse_or_refuse(content[: int(length)])
    if not isinstance(asked, dict):
        raise Refusal(
            400, f"the body is a JSON {type(asked).__name__}, not an object", code="wrong-type"
        )
    if not isinstance(asked.get("id", ""), str):
        raise Refusal(400, "id must be a text", code="wrong-type")
    return asked, content[int(length) :]


def _single(asked: dict[str, Any], key: str, name: str) -> dict[str, Any]:
    """Return the only tensor in the list ``asked[key]``, which must bear `name`."""
    tensors = asked.get(key)
    if not isinstance(tensors, list) or len(tensors) != 1 or not isinstance(tensors[0], dict):
        raise Refusal(
            400, f"{key} must be an array with one object, named {name!r}", code="wrong-type"
        )
    tensor = tensors[0]
    if tensor.get("name") != name:
        hint = did_you_mean(str(tensor.get("name")), [name])
        raise Refusal(
            400,
            f"{key} has no tensor {tensor.get('name')!r:.80}{hint}, only {name!r}",
            code="unknown-name",
        )
    return tensor


def _tensor(given: dict[str, Any], raw: bytes, servable: Servable) -> NDArray[np.float32]:
    if given.get("datatype") != DATATYPE:
        raise Refusal(
            400,
            f"the datatype is {given.get('datatype')!r:.80}; it must be {DATATYPE}",
            code="unsupported",
        )
    shape = check_shape(given.get("shape"), (-1, *servable.input_shape))
    size = _parameters(given).get("binary_data_size")
    if size is None:
        return parse_numbers(given.get("data"), shape)
    wanted = 4 * int(np.prod(shape))
    if size != wanted or len(raw) != wanted:
        raise Refusal(
            400,
            f"binary_data_size is {size!r:.40} and {len(raw)} bytes follow the JSON; "
            f"both must be {wanted}",
            code="wrong-length",
        )
    return finite(np.frombuffer(raw, "<f4").astype(np.float32).reshape(shape), "data")


def _parameters(owner: dict[str, Any]) -> dict[str, Any]:
    parameters = owner.get("parameters", {})
    if not isinstance(parameters, dict):
        raise Refusal(400, "parameters must be an object", code="wrong-type")
    return parameters


def _response(asked: dict[str, Any], name: str, result: Result) -> Response:
    described: dict[str, Any] = {
        "name": OUTPUT,
        "datatype": DATATYPE,
        "shape": list(result.output.shape),
    }
    body: dict[str, Any] = {
        "model_name": name,
        "model_version": result.servable.version,
        "outputs": [described],
    }
    if "id" in asked:
        body["id"] = asked["id"]
    as_bytes = _parameters(asked).get("binary_data_output", False)
    if "outputs" in asked:
        as_bytes = _parameters(_single(asked, "outputs", OUTPUT)).get("binary_data", as_bytes)
    if as_bytes is not True:
        described["data"] = result.output.ravel().tolist()
        return Response(json.dumps(body), mimetype="application/json")
    raw = result.output.astype("<f4").tobytes()
    described["parameters"] = {"binary_data_size": len(raw)}
    head = json.dumps(body).encode()
    length = {JSON_LENGTH: str(len(head))}
    return Response(head + raw, mimetype="application/octet-stream", headers=length)
