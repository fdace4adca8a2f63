import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mindspore import Tensor

from sedna_tinyms.errors import ConfigurationError
from sedna_tinyms.tinyms.optimizers import cyclegan_lr, warmup_cosine_lr, warmup_polynomial_lr
from sedna_tinyms.tinyms.utils.train import cyclegan_lr as from_utils


def test_the_rates_rise_in_a_line_and_fall_along_half_a_cosine():
    rates = warmup_cosine_lr(1.0, 8, warmup_steps=4, start=0.2, end=0.1)
    expected = [0.2, 0.4, 0.6, 0.8, 1.0, 0.55 + 0.45 * 0.5**0.5, 0.55, 0.55 - 0.45 * 0.5**0.5]
    np.testing.assert_allclose(rates.asnumpy(), expected, rtol=1e-6)


def test_the_rates_fall_as_a_power_of_what_is_left():
    np.testing.assert_allclose(
        warmup_polynomial_lr(1.0, 6, 2).asnumpy(), [0, 0.5, 1, 0.75, 0.5, 0.25]
    )
    squared = warmup_polynomial_lr(1.0, 4, end=0.2, power=2).asnumpy()
    np.testing.assert_allclose(squared, 0.2 + 0.8 * np.array([1, 0.75, 0.5, 0.25]) ** 2, rtol=1e-6)


@settings(max_examples=100, deadline=None)
@given(
    schedule=st.sampled_from([warmup_cosine_lr, warmup_polynomial_lr]),
    total=st.integers(-1, 50),
    warmup=st.integers(-1, 50),
    rates=st.tuples(*[st.floats(0, 1)] * 3),
)
def test_every_schedule_stays_between_its_rates(schedule, total, warmup, rates):
    highest, start, end = max(rates), *sorted(rates)[:2]
    if total < 1 or not 0 <= warmup <= total:
        with pytest.raises(ConfigurationError) as raised:
            schedule(highest, total, warmup, start, end)
        assert raised.value.code == "out-of-range"
        return
    values = schedule(highest, total, warmup, start, end)
    assert isinstance(values, Tensor)
    values = values.asnumpy()
    assert (values.shape, values.dtype) == ((total,), np.float32)
    assert values.min() >= np.float32(min(start, end)) - 1e-6
    assert values.max() <= np.float32(highest) + 1e-6
    assert (np.diff(values[:warmup]) >= -1e-6).all()
    assert (np.diff(values[warmup:]) <= 1e-6).all()


@pytest.mark.parametrize("power", [0, -1, float("nan")])
def test_a_power_that_does_not_fall_is_refused(raises, power):
    with raises(ConfigurationError, "out-of-range", name="power"):
        warmup_polynomial_lr(1.0, 4, power=power)


def test_cyclegan_has_tinyms_staircase():
    rates = cyclegan_lr(6, 2, 3).asnumpy().reshape(6, 3)
    assert (rates == rates[:, :1]).all()
    np.testing.assert_allclose(rates[:, 0] / 2e-4, [1, 1, 1, 0.75, 0.5, 0.25], rtol=1e-6)
    np.testing.assert_allclose(cyclegan_lr(2, 2, 1).asnumpy(), [2e-4, 2e-4])
    assert from_utils is cyclegan_lr


@pytest.mark.parametrize("arguments", [(0, 0, 5), (5, 6, 5), (5, -1, 5), (5, 2, 0)])
def test_a_staircase_that_makes_no_sense_is_refused(raises, arguments):
    with raises(ConfigurationError, "out-of-range"):
        cyclegan_lr(*arguments)
