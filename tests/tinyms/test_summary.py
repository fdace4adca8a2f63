import numpy as np
import pytest
from mindspore import Tensor, get_context, nn, ops

from sedna_tinyms.errors import ConfigurationError
from sedna_tinyms.tinyms.context import GRAPH_MODE, PYNATIVE_MODE, set_context
from sedna_tinyms.tinyms.model import MobileNetV2, Model, lenet5


@pytest.fixture(params=[PYNATIVE_MODE, GRAPH_MODE])
def any_mode(request):
    set_context(mode=request.param)
    yield request.param
    set_context(mode=PYNATIVE_MODE)


def test_a_network_is_summarized_before_it_has_seen_data(any_mode):
    summary = Model(lenet5()).summary((1, 32, 32), repeats=1)
    assert summary.input_shape == (1, 1, 32, 32)
    assert summary.output_shapes == ((1, 10),)
    assert (summary.parameters, summary.trainable, summary.bytes) == (61684, 61684, 4 * 61684)
    layers = {layer.name: layer for layer in summary.layers if layer.parameters}
    assert list(layers) == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    assert layers["conv2"].output_shape == (1, 16, 10, 10)
    assert layers["conv2"].flops == 2 * (16 * 10 * 10) * (6 * 5 * 5)
    assert layers["fc3"].flops == 2 * 10 * 84 + 10
    assert summary.flops == sum(layer.flops for layer in summary.layers)
    assert summary.latency_ms > 0


def test_the_table_is_readable(snapshot):
    text = str(Model(lenet5()).summary((1, 32, 32), repeats=0))
    assert text == snapshot
    assert len({len(line) for line in text.splitlines()[:14]}) == 1


def test_known_networks_cost_what_is_known():
    """Sandler et al. 2018, table 4: 300 million multiply-adds; normalization comes on top."""
    summary = Model(MobileNetV2(1000)).summary((3, 224, 224), repeats=0)
    assert summary.latency_ms is None
    convolutions = sum(layer.flops for layer in summary.layers if layer.kind in ("Conv2d", "Dense"))
    assert convolutions / 2 == pytest.approx(300e6, rel=0.01)


def test_the_network_is_left_as_it_was(any_mode):
    class Network(nn.Cell):
        def __init__(self):
            super().__init__()
            self.backbone = nn.SequentialCell([nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)])
            self.head = nn.Dense(4, 2)

        def construct(self, x):
            return self.head(self.backbone(x).mean((2, 3)))

    network = Network().set_train()
    network.head.set_train(False)
    before = {p.name: p.asnumpy().copy() for p in network.get_parameters()}
    Model(network).summary((3, 8, 8), batch_size=2, repeats=1)
    assert network.backbone.training
    assert network.backbone[1].training
    assert not network.head.training
    assert get_context("mode") == any_mode
    for parameter in network.get_parameters():
        np.testing.assert_array_equal(parameter.asnumpy(), before[parameter.name])


def test_a_layer_used_twice_counts_its_parameters_once():
    class Twice(nn.Cell):
        def __init__(self):
            super().__init__()
            self.dense = nn.Dense(4, 4, has_bias=False)

        def construct(self, x):
            return ops.relu(self.dense(self.dense(x))), x

    summary = Model(Twice()).summary((4,), batch_size=3, repeats=1)
    assert [layer.parameters for layer in summary.layers] == [16, 0]
    assert (summary.parameters, summary.flops) == (16, 2 * 2 * 3 * 16)
    assert summary.output_shapes == ((3, 4), (3, 4))


@pytest.mark.parametrize(
    ("shape", "code"),
    [
        ((3, 32, 32), "wrong-shape"),
        ((1, 5, 5), "wrong-shape"),
        ((1, 0, 32), "out-of-range"),
        ((1.5,), "out-of-range"),
    ],
)
def test_an_input_that_does_not_fit_is_refused(raises, shape, code):
    model = Model(lenet5())
    # Why the shape does not fit is said by MindSpore.
    with raises(ConfigurationError, code, golden=code == "out-of-range") as raised:
        model.summary(shape)
    assert raised.value.fields["value"] in (shape, (1, *shape))
    assert model.predict(Tensor(np.zeros((1, 1, 32, 32), np.float32))).shape == (1, 10)
    assert get_context("mode") == PYNATIVE_MODE
