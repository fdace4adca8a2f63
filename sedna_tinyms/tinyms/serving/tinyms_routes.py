"""TinyMS's own routes: JSON in, ``{"status": 0, ...}`` out."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from flask import Blueprint, request
from numpy.typing import NDArray

from sedna_tinyms.tinyms.serving.pictures import as_data_url, decode_picture
from sedna_tinyms.tinyms.serving.predicting import Predictor
from sedna_tinyms.tinyms.serving.refusal import Refusal
from sedna_tinyms.tinyms.serving.runner import Result
from sedna_tinyms.tinyms.serving.servable import Servable
from sedna_tinyms.tinyms.serving.tensors import check_shape, parse_numbers, parse_or_refuse

__all__ = ["tinyms_routes"]

DTYPES = ("float32", "float64")


def tinyms_routes(predictor: Predictor, pixel_limit: int) -> Blueprint:
    """Return ``/servables``, ``/servables/<name>`` and ``/predict``."""
    routes = Blueprint("tinyms", __name__)

    @routes.get("/servables")
    def list_servables() -> dict[str, Any]:
        listed = []
        for state in predictor.repository.states.values():
            servable = state.servable
            listed.append(
                {
                    **state.entry.published,
                    "name": state.entry.name,
                    "dataset": state.entry.dataset,
                    "strategies": servable.strategies if servable else [],
                    "ready": servable is not None,
                }
            )
        return {"status": 0, "servables": listed}

    @routes.post("/servables/<name>")
    def predict_instance(name: str) -> dict[str, Any]:
        with predictor.place():
            body = _object(request.get_data(cache=False))
            return _predict_instance(predictor, name, body)

    @routes.post("/predict")
    def predict() -> dict[str, Any]:
        with predictor.place():
            body = _object(request.get_data(cache=False))
            name = body.get("servable_name")
            if "instance" in body:
                return _predict_instance(predictor, name, body)
            return _predict_picture(predictor, name, body, pixel_limit)

    return routes


def _object(content: bytes) -> dict[str, Any]:
    body = parse_or_refuse(content)
    if not isinstance(body, dict):
        raise Refusal(
            400, f"the body is a JSON {type(body).__name__}, not an object", code="wrong-type"
        )
    return body


def _predict_instance(predictor: Predictor, name: object, body: dict[str, Any]) -> dict[str, Any]:
    """Answer with the raw output for one input that the client has transformed."""
    instance = body.get("instance")
    if not isinstance(instance, dict):
        raise Refusal(
            400, "instance must be an object with shape, dtype and data", code="wrong-type"
        )
    dtype = instance.get("dtype", "float32")
    if dtype not in DTYPES:
        raise Refusal(
            400,
            f"the dtype is {dtype!r:.80}; it must be one of {', '.join(DTYPES)}",
            code="unsupported",
        )
    data = instance.get("data")

    def inputs_for(servable: Servable) -> NDArray[np.float32]:
        servable.check_strategy(_strategy(body))
        shape = check_shape(instance.get("shape"), servable.input_shape)
        numbers = parse_or_refuse(data, "data") if isinstance(data, str) else data
        return parse_numbers(numbers, shape)[None]

    result = predictor.predict(name, inputs_for)
    output = result.output
    return {
        "status": 0,
        "instance": {
            "shape": list(output.shape),
            "dtype": str(output.dtype),
            "data": json.dumps(output.tolist()),
            "version": result.servable.version,
        },
    }


def _predict_picture(
    predictor: Predictor, name: object, body: dict[str, Any], pixel_limit: int
) -> dict[str, Any]:
    """Answer with words, scores and the picture for a picture file."""
    predictor.find(name)  # before the work of decoding
    pixels = decode_picture(body.get("data"), pixel_limit)

    def inputs_for(servable: Servable) -> NDArray[np.float32]:
        servable.check_strategy(_strategy(body))
        return servable.transform(pixels)[None]

    result = predictor.predict(name, inputs_for)
    return {"status": 0, "instance": _described(result, pixels, _strategy(body))}


def _described(result: Result, pixels: NDArray[np.uint8], strategy: str) -> dict[str, Any]:
    size = (pixels.shape[0], pixels.shape[1])
    return {
        "res_msg": result.servable.words(result.output, size, strategy),
        "predictions": result.servable.predictions(result.output, size),
        "version": result.servable.version,
        "data": as_data_url(pixels),
    }


def _strategy(body: dict[str, Any]) -> str:
    strategy = body.get("strategy", "TOP1_CLASS")
    if not isinstance(strategy, str):
        raise Refusal(
            400, f"the strategy is {strategy!r:.80}; it must be a text", code="wrong-type"
        )
    return strategy
