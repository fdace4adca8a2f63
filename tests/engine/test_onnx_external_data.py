"""A model from elsewhere may not have an engine read other files."""

import numpy as np
import pytest

from sedna_tinyms.engine import available_engines, open_engine
from sedna_tinyms.errors import ModelFileError

onnx = pytest.importorskip("onnx")
helper = onnx.helper
FLOAT = onnx.TensorProto.FLOAT


def outside(place):
    tensor = onnx.TensorProto(name="w", data_type=FLOAT, dims=[4])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=place)
    return tensor


def graph(nodes, initializers=()):
    inputs = [helper.make_tensor_value_info("x", FLOAT, ["N", 4])]
    outputs = [helper.make_tensor_value_info("y", FLOAT, ["N", 4])]
    return helper.make_graph(nodes, "g", inputs, outputs, list(initializers))


def as_initializer(tensor):
    return graph([helper.make_node("Add", ["x", "w"], ["y"])], [tensor])


def as_constant(tensor):
    constant = helper.make_node("Constant", [], ["w"], value=tensor)
    return graph([constant, helper.make_node("Add", ["x", "w"], ["y"])])


def in_a_branch(tensor):
    one = [helper.make_tensor_value_info("b", FLOAT, [4])]
    branch = helper.make_graph([helper.make_node("Identity", ["w"], ["b"])], "b", [], one, [tensor])
    yes = helper.make_tensor("c", onnx.TensorProto.BOOL, [], [True])
    choice = helper.make_node("If", ["c"], ["v"], then_branch=branch, else_branch=branch)
    return graph([choice, helper.make_node("Add", ["x", "v"], ["y"])], [yes])


def content(made):
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(made, opset_imports=opset, ir_version=8).SerializeToString()


@pytest.mark.parametrize("make", [as_initializer, as_constant, in_a_branch])
@pytest.mark.parametrize("engine", available_engines())
def test_weights_in_another_file_are_refused(tmp_path, make, engine, raises):
    (tmp_path / "secret").write_bytes(np.ones(4, np.float32).tobytes())
    model = content(make(outside(str(tmp_path / "secret"))))
    with raises(ModelFileError, "external-weights", golden=False):
        open_engine(model, engine=engine)


@pytest.mark.parametrize("make", [as_initializer, as_constant, in_a_branch])
def test_weights_inside_are_used(make):
    tensor = helper.make_tensor("w", FLOAT, [4], [1.0, 2.0, 3.0, 4.0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", "/nonexistent")
        engine = open_engine(content(make(tensor)), engine="onnxruntime")
    assert engine.run(np.zeros((1, 4), np.float32))["y"].tolist() == [[1, 2, 3, 4]]
    engine.close()
