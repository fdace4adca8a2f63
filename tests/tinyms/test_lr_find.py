import math

import numpy as np
import pytest
from mindspore import Tensor, nn

from sedna_tinyms.errors import ConfigurationError
from sedna_tinyms.tinyms.context import GRAPH_MODE, PYNATIVE_MODE, set_context
from sedna_tinyms.tinyms.data import NumpySlicesDataset
from sedna_tinyms.tinyms.losses import MSELoss
from sedna_tinyms.tinyms.model import Model
from sedna_tinyms.tinyms.model.lr_finder import LearningRateCurve
from sedna_tinyms.tinyms.optimizers import Adam, Momentum


@pytest.fixture(params=[PYNATIVE_MODE, GRAPH_MODE])
def any_mode(request):
    set_context(mode=request.param)
    yield
    set_context(mode=PYNATIVE_MODE)


def line(samples=8):
    values = np.linspace(-1, 1, samples, dtype=np.float32)[:, None]
    return NumpySlicesDataset((values, 3 * values), shuffle=False).batch(samples)


def compiled(loss=None, optimizer=Momentum, **keywords):
    network = nn.Dense(1, 1, weight_init="zeros", bias_init="zeros")
    keywords = keywords or {"learning_rate": 0.5, "momentum": 0.9}
    model = Model(network)
    model.compile(loss or MSELoss(), optimizer(network.trainable_params(), **keywords))
    return model


def values(model):
    return {p.name: p.asnumpy().copy() for p in model.train_network.get_parameters()}


def test_high_rates_run_away_and_the_suggestion_lies_below(any_mode):
    curve = compiled().lr_find(line(), lowest=1e-4, highest=1e3, steps=60)
    assert len(curve.rates) == len(curve.losses) == len(curve.smoothed) < 60
    assert curve.rates[0] == pytest.approx(1e-4)
    assert curve.losses[-1] > 4 * min(curve.losses)
    assert 1e-3 < curve.suggestion < curve.rates[-1] / 10


@pytest.mark.parametrize(
    ("optimizer", "keywords"),
    [
        (Momentum, {"learning_rate": 0.5, "momentum": 0.9}),
        (Momentum, {"learning_rate": [0.5, 0.25, 0.1], "momentum": 0.9}),
        (Adam, {"learning_rate": 0.1}),
    ],
)
def test_everything_is_as_before_and_trains_on_from_there(optimizer, keywords, any_mode):
    searched, untouched = (compiled(optimizer=optimizer, **keywords) for _ in range(2))
    for model in (searched, untouched):
        model.train(1, line())
    before = values(searched)
    curve = searched.lr_find(line(), 1e-3, 1e-1, steps=7)
    assert len(curve.rates) == 7
    assert curve.losses[-1] < curve.losses[0]
    after = values(searched)
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value, err_msg=name)
    for model in (searched, untouched):
        model.train(2, line())
    for expected, found in zip(values(untouched).values(), values(searched).values(), strict=True):
        np.testing.assert_array_equal(found, expected)


class Trouble(nn.Cell):
    """A loss that fails the third time."""

    def __init__(self, error):
        super().__init__()
        self.error, self.calls, self.loss = error, 0, MSELoss()

    def construct(self, logits, labels):
        self.calls += 1
        if self.calls == 3:
            raise self.error
        return self.loss(logits, labels)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_weights_come_back_after_an_error_or_ctrl_c(error):
    model = compiled(loss=Trouble(error()))
    before = values(model)
    with pytest.raises(error):
        model.lr_find(line(), 1e-2, 1e-1)
    for name, value in values(model).items():
        np.testing.assert_array_equal(value, before[name])


def test_a_curve_says_what_was_tried(snapshot):
    curve = LearningRateCurve((0.001, 0.01, 0.1), (0.9, 0.3, 2.0), (0.9, 0.5, 0.8), 0.01)
    assert str(curve) == snapshot
    assert str(LearningRateCurve((), (), (), None)) == snapshot


def test_a_loss_that_is_no_number_ends_the_search():
    class NaN(nn.Cell):
        def construct(self, logits, labels):
            return (logits * math.nan).mean()

    curve = compiled(loss=NaN()).lr_find(line())
    assert curve.rates == ()
    assert curve.suggestion is None


def test_a_search_needs_an_optimizer(raises):
    with raises(ConfigurationError, "missing-value", name="optimizer"):
        Model(nn.Dense(1, 1)).lr_find(line())


@pytest.mark.parametrize(
    "keywords", [{"lowest": 0}, {"lowest": 2.0}, {"highest": math.inf}, {"steps": 4}]
)
def test_rates_that_cannot_be_searched_are_an_error(raises, keywords):
    with raises(ConfigurationError, "out-of-range"):
        compiled().lr_find(line(), **keywords)


def test_an_optimizer_without_one_rate_is_an_error(raises):
    scheduled = compiled(learning_rate=nn.CosineDecayLR(0.0, 0.1, 10), momentum=0.9)
    network = nn.Dense(1, 1)
    groups = [{"params": [network.weight], "lr": 0.1}, {"params": [network.bias]}]
    grouped = Model(network)
    grouped.compile(MSELoss(), Momentum(groups, 0.2, 0.9))
    for model in (scheduled, grouped):
        with raises(ConfigurationError, "unsupported", name="optimizer", value="Momentum"):
            model.lr_find(line())


def test_weights_that_are_loaded_between_two_trainings_are_trained(tmp_path, any_mode):
    model = compiled(learning_rate=0.1, momentum=0.0)
    model.save_checkpoint(tmp_path / "start.ckpt")
    model.train(1, line())
    once = model.predict(Tensor([[1.0]])).asnumpy()
    model.load_checkpoint(tmp_path / "start.ckpt")
    model.train(1, line())
    np.testing.assert_array_equal(model.predict(Tensor([[1.0]])).asnumpy(), once)
    assert once > 0
