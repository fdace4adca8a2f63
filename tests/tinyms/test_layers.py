"""Layers, their initial values, and functions of tensors, under TinyMS's names."""

import numpy as np
import pytest

import sedna_tinyms.tinyms as ts
from sedna_tinyms.tinyms import primitives as P  # noqa: N812 (as TinyMS's tutorials write it)
from sedna_tinyms.tinyms.context import PYNATIVE_MODE, set_context
from sedna_tinyms.tinyms.initializers import Constant, initializer
from sedna_tinyms.tinyms.layers import Dense, Layer, LayerList, ReLU, SequentialLayer


def dense(weight):
    return Dense(2, 1, weight_init=Constant(weight), bias_init="zeros")


def test_every_layer_and_every_container_is_a_layer():
    layers = [dense(1), ReLU(), SequentialLayer([dense(1)]), LayerList([dense(1)])]
    assert all(isinstance(layer, Layer) for layer in layers)


def test_a_sequence_computes_one_layer_after_the_other():
    network = SequentialLayer([dense(-3.0), ReLU(), Dense(1, 1, Constant(2.0), "ones")])
    x = ts.Tensor([[1.0, 1.0], [-1.0, 0.0]], ts.float32)
    assert network(x).asnumpy().tolist() == [[1.0], [7.0]]


def test_a_layer_of_one_s_own_holds_its_list_s_parameters():
    class Sum(Layer):
        def __init__(self):
            super().__init__()
            self.parts = LayerList([dense(1.0), dense(2.0)])

        def construct(self, x):
            return self.parts[0](x) + self.parts[1](x)

    network = Sum()
    assert network(ts.ones((1, 2))).asnumpy().tolist() == [[6.0]]
    names = {p.name for p in network.trainable_params()}
    assert names == {f"parts.{i}.{kind}" for i in (0, 1) for kind in ("weight", "bias")}


def test_initial_values_have_their_shape_and_type():
    value = initializer(Constant(0.5), (2, 3), ts.float16).init_data()
    assert np.array_equal(value.asnumpy(), np.full((2, 3), 0.5, np.float16))


@pytest.mark.parametrize("compiled", [False, True])
def test_gradients_of_a_function_and_of_the_weights_of_a_layer(compiled):
    set_context(mode=PYNATIVE_MODE)  # an estimator that another test trained prefers graph mode

    def cube(x):
        return (x**3).sum()

    function = P.jit(cube) if compiled else cube
    x = ts.Tensor([1.0, -2.0], ts.float32)
    assert P.grad(function)(x).asnumpy().tolist() == [3.0, 12.0]
    value, gradient = P.value_and_grad(function)(x)
    assert (float(value), gradient.asnumpy().tolist()) == (-7.0, [3.0, 12.0])

    layer = dense(1.0)
    loss_and_gradients = P.value_and_grad(
        lambda x: layer(x).sum(), None, weights=layer.trainable_params()
    )
    loss, (weight, bias) = loss_and_gradients(ts.Tensor([[2.0, 5.0]], ts.float32))
    assert float(loss) == 7.0
    assert weight.asnumpy().tolist() == [[2.0, 5.0]]
    assert bias.asnumpy().tolist() == [1.0]


def test_primitives_are_functions_and_classes():
    a, b = ts.array([1.0, 2.0]), ts.array([3.0, 4.0])
    assert P.tensor_add(a, b).asnumpy().tolist() == P.Add()(a, b).asnumpy().tolist() == [4.0, 6.0]


@pytest.mark.parametrize("function", [ts.array, ts.asarray, ts.asfarray])
def test_numpy_arrays_become_tensors_like_lists(function):
    numbers = [[1.0, 2.0], [3.0, 4.0]]
    for value in (numbers, np.array(numbers, np.float32), ts.Tensor(numbers)):
        assert isinstance(function(value), ts.Tensor)
        assert function(value, dtype=ts.float16).asnumpy().tolist() == numbers
    assert float(function(np.float32(0.5))) == 0.5


def test_an_array_keeps_its_type_and_is_a_copy():
    numbers = np.arange(3, dtype=np.int16)
    tensor = ts.array(obj=numbers, ndmin=2)
    numbers[:] = 9
    assert (tensor.dtype, tensor.asnumpy().tolist()) == (ts.int16, [[0, 1, 2]])


def test_an_array_can_be_made_inside_a_compiled_function():
    @P.jit
    def add_two(x):
        return x + ts.array([2.0, 2.0])

    assert add_two(ts.ones(2)).asnumpy().tolist() == [3.0, 3.0]
