"""Classifiers of a few bytes that describe themselves as the estimators' models do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from estimators.model_card import ModelCard

SIZE = 32


def write_classifier(
    path: Path, *, weight: float = 0.01, described: bool = True, features: int = 3
) -> Path:
    """Write a model that knows ``dark`` from ``bright`` pictures by their mean, and return it.

    Parameters
    ----------
    path : Path
        Where to.
    weight : float
        Of the mean; NaN gives NaN.
    described : bool
        Whether the file says what it is for.
    features : int
        How many copies of the mean to compute with: more take more memory.
    """
    weights = np.array([[-weight], [weight]], np.float32).repeat(features, 1) / features
    tile = np.array([1, -(-features // 3)], np.int64)
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("GlobalAveragePool", ["floats"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["means"]),
        helper.make_node("Tile", ["means", "tile"], ["tiled"]),
        helper.make_node("Slice", ["tiled", "start", "end", "axis"], ["features"]),
        helper.make_node("Gemm", ["features", "weights", "bias"], ["logits"], transB=1),
    ]
    constants = {
        "tile": tile,
        "start": np.array([0], np.int64),
        "end": np.array([features], np.int64),
        "axis": np.array([1], np.int64),
        "weights": weights,
        "bias": np.array([127.5 * weight, -127.5 * weight], np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["N", 3, SIZE, SIZE])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2]),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", features]),
        ],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    if described:
        card = ModelCard(("dark", "bright"), 1.0, SIZE)
        helper.set_model_props(model, card.metadata())
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path
