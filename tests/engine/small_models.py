"""ONNX models of a few hundred weights, and what they compute, in numpy."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SHAPE = (3, 4, 4)
FLAT = int(np.prod(SHAPE))
CLASSES = 5


def weights(seed=0, classes=CLASSES):
    return np.random.RandomState(seed).randn(FLAT, classes).astype(np.float32)


def linear(
    seed=0,
    *,
    classes=CLASSES,
    dtype=TensorProto.FLOAT,
    batch="batch",
    shape=SHAPE,
    inputs=("pixels",),
    metadata=None,
):
    """Return the bytes of: pixels, cast and flattened, times weights; and the flat pixels."""
    float_pixels = inputs[0] if dtype == TensorProto.FLOAT else "float"
    nodes = [
        helper.make_node("Flatten", [float_pixels], ["features"], axis=1),
        helper.make_node("MatMul", ["features", "weights"], ["logits"]),
    ]
    if dtype != TensorProto.FLOAT:
        nodes.insert(0, helper.make_node("Cast", [inputs[0]], ["float"], to=TensorProto.FLOAT))
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info(name, dtype, [batch, *shape]) for name in inputs],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, classes]),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, [batch, FLAT]),
        ],
        [numpy_helper.from_array(weights(seed, classes), "weights")],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])
    helper.set_model_props(model, metadata or {})
    onnx.checker.check_model(model)
    return model.SerializeToString()


def samples(number, dtype=np.float32, seed=1):
    return np.random.RandomState(seed).randint(0, 256, (number, *SHAPE)).astype(dtype)


def logits(inputs, seed=0, classes=CLASSES):
    return inputs.reshape(len(inputs), -1).astype(np.float32) @ weights(seed, classes)
