"""Losses, metrics, schedule and context."""

import platform

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mindspore import Tensor

from sedna_tinyms.errors import ConfigurationError, MetricsError
from sedna_tinyms.onednn import KEEP_DEFAULT, LIMIT
from sedna_tinyms.tinyms.losses import CrossEntropyWithLabelSmooth
from sedna_tinyms.tinyms.metrics import AUCMetric
from sedna_tinyms.tinyms.utils.train import mobilenetv2_lr

ON_X86 = platform.machine().lower() in ("x86_64", "amd64")


@pytest.mark.parametrize("limited", [True, False])
def test_importing_the_core_limits_onednn(forking, limited, monkeypatch):
    monkeypatch.delenv(LIMIT, raising=False)
    monkeypatch.setenv(KEEP_DEFAULT, "0" if limited else "1")
    code = """
import os
from sedna_tinyms.tinyms import model
print(os.environ.get("ONEDNN_MAX_CPU_ISA"))
"""
    assert forking.words(code) == [str("AVX2" if limited and ON_X86 else None)]


def test_without_mindspore_the_error_says_how_to_install_it(forking):
    code = """
import sys
sys.modules["mindspore"] = None
from sedna_tinyms.errors import MissingExtraError
try:
    import sedna_tinyms.tinyms.model
except MissingExtraError as error:
    print(error.code, error.fields["extra"])
"""
    assert forking.words(code) == ["missing-extra", "mindspore"]


@pytest.mark.parametrize(
    ("before", "modes"),
    [("", "True 0"), ("set_context(mode=1);", "False 1"), ("set_context(mode=0);", "True 0")],
)
def test_graph_mode_is_preferred_unless_the_user_chose(forking, before, modes):
    code = (
        f"from mindspore import set_context, get_context; {before}"
        "from sedna_tinyms.tinyms.context import prefer_graph_mode;"
        "print(prefer_graph_mode(), get_context('mode'))"
    )
    assert forking.words(code) == modes.split()


TRAINING = """
import numpy as np
from sedna_tinyms.tinyms.callbacks import Callback
from sedna_tinyms.tinyms.context import get_context, set_context
from sedna_tinyms.tinyms.data import NumpySlicesDataset
from sedna_tinyms.tinyms.layers import Dense
from sedna_tinyms.tinyms.losses import MSELoss
from sedna_tinyms.tinyms.model import Model
from sedna_tinyms.tinyms.optimizers import SGD
from mindspore import Tensor

class Network(Dense):
    def __call__(self, x):
        seen.append(get_context("mode"))
        return super().__call__(x)

class Log(Callback):
    def on_train_step_end(self, run_context):
        seen.append(get_context("mode"))
    on_eval_step_end = on_train_step_end

class Stop(Callback):
    def on_train_step_end(self, run_context):
        raise KeyboardInterrupt

rows = np.random.RandomState(0).rand(8, 1).astype(np.float32)
data = NumpySlicesDataset((rows, 3 * rows), shuffle=False).batch(4)
network = Network(1, 1)
model = Model(network)

def compiled(with_optimizer=True):
    optimizer = SGD(network.trainable_params(), 0.1) if with_optimizer else None
    model.compile(MSELoss(), optimizer, metrics={"loss"})

def modes():
    seen.clear()
    model.train(1, data, callbacks=[Log()])
    model.fit(1, data, data, callbacks=[Log()])
    model.eval(data, callbacks=[Log()])
    model.predict(Tensor(rows))
    return {*seen}

seen = []
"""


@pytest.mark.parametrize(
    ("before", "during", "after"),
    [
        ("compiled()", "{0}", "1"),
        ("compiled(with_optimizer=False)", "{1}", "1"),
        ("set_context(mode=1); compiled()", "{1}", "1"),
        ("set_context(mode=0); compiled()", "{0}", "0"),
        ("model.summary((1,)); compiled()", "{0}", "1"),
        ("compiled(); modes()", "{0}", "1"),
        ("compiled(); modes(); set_context(mode=1)", "{1}", "1"),
    ],
)
def test_a_model_trains_as_a_graph_and_leaves_the_program_its_mode(forking, before, during, after):
    assert forking.words(f"{TRAINING}{before}; print(modes(), get_context('mode'))") == [
        during,
        after,
    ]


def test_the_mode_comes_back_when_a_training_is_broken_off(forking):
    code = """
compiled()
try:
    model.train(1, data, callbacks=[Stop()])
except KeyboardInterrupt:
    print(get_context("mode"), modes())
"""
    assert forking.words(TRAINING + code) == ["1", "{0}"]


def test_what_was_learnt_as_a_graph_is_known_cell_by_cell_and_learnt_further(forking):
    code = """
compiled()
for _ in range(2):
    before = network(Tensor(rows)).asnumpy()
    model.train(20, data)
    alone = network(Tensor(rows)).asnumpy()
    assert abs(alone - 3 * rows).max() < abs(before - 3 * rows).max()
    assert abs(alone - model.predict(Tensor(rows)).asnumpy()).max() < 1e-6
print(*{*seen})
"""
    assert forking.words(TRAINING + code) == ["0", "1"]


@pytest.mark.parametrize("smooth", [0.0, 0.1, 0.5])
def test_label_smoothing_is_cross_entropy_against_smoothed_labels(smooth):
    draw = np.random.RandomState(1)
    logits, labels = draw.randn(6, 4).astype(np.float32), np.array([0, 1, 2, 3, 0, 1], np.int32)
    targets = np.full((6, 4), smooth / 3)
    targets[np.arange(6), labels] = 1 - smooth
    log_softmax = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    loss = CrossEntropyWithLabelSmooth(smooth, 4)(Tensor(logits), Tensor(labels))
    assert loss.shape == ()
    np.testing.assert_allclose(loss.asnumpy(), -(targets * log_softmax).sum(1).mean(), rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [((-0.1, 4), "smooth_factor"), ((1.0, 4), "smooth_factor"), ((0.1, 1), "num_classes")],
)
def test_smoothing_that_makes_no_sense_is_refused(raises, arguments, name):
    with raises(ConfigurationError, "out-of-range", name=name):
        CrossEntropyWithLabelSmooth(*arguments)


@settings(max_examples=50, deadline=None)
@given(
    scores=arrays(np.float32, 12, elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])),
    labels=arrays(np.int32, 12, elements=st.integers(0, 1)),
)
def test_the_area_under_the_curve_is_the_share_of_pairs_in_order(scores, labels):
    metric = AUCMetric()
    for part in (slice(0, 5), slice(5, 12)):
        metric.update(None, Tensor(scores[part]), labels[part])
    positive, negative = scores[labels == 1], scores[labels == 0]
    if not len(positive) or not len(negative):
        with pytest.raises(MetricsError) as raised:
            metric.eval()
        assert raised.value.code == "missing-value"
        return
    difference = positive[:, None] - negative[None, :]
    assert metric.eval() == pytest.approx(((difference > 0) + (difference == 0) / 2).mean())


def test_a_metric_that_saw_nothing_has_no_value(raises):
    with raises(MetricsError, "missing-value", positives=0, negatives=0):
        AUCMetric().eval()


def test_the_schedule_has_tinyms_values():
    rates = mobilenetv2_lr(0, 1e-5, 1e-5, 1e-3, 2, 60, 5)
    values = rates.asnumpy()
    assert values.shape == (300,)
    assert values.dtype == np.float32
    expected = [1e-5, 1.09e-4, 2.08e-4, 3.07e-4, 4.06e-4, 5.05e-4, 6.04e-4, 7.03e-4, 8.02e-4]
    expected += [9.01e-4, 1e-3, 9.999709e-4, 9.998839e-4]
    np.testing.assert_allclose(values[:13], expected, rtol=1e-6)


@settings(max_examples=100, deadline=None)
@given(
    total=st.integers(1, 20),
    warmup=st.integers(0, 20),
    steps=st.integers(1, 8),
    taken=st.integers(0, 160),
    rates=st.tuples(*[st.floats(-0.1, 1)] * 3),
)
def test_a_schedule_resumes_and_is_never_negative(total, warmup, steps, taken, rates):
    def schedule(global_step):
        return mobilenetv2_lr(global_step, *rates, warmup, total, steps).asnumpy()

    if taken > total * steps:
        with pytest.raises(ConfigurationError) as raised:
            schedule(taken)
        assert raised.value.code == "out-of-range"
        return
    whole = schedule(0)
    assert len(whole) == total * steps
    assert (whole >= 0).all()
    np.testing.assert_array_equal(schedule(taken), whole[taken:])


def test_a_training_shorter_than_its_warm_up_ends_within_it():
    rates = mobilenetv2_lr(0, 1e-5, 1e-5, 1e-3, 2, 1, 4).asnumpy()
    np.testing.assert_allclose(rates, 1e-5 + 99e-5 * np.arange(4) / 8, rtol=1e-6)


def test_no_epochs_are_no_training(raises):
    with raises(ConfigurationError, "out-of-range") as raised:
        mobilenetv2_lr(0, 1e-5, 1e-5, 1e-3, 2, 0, 5)
    assert [each.fields["name"] for each in raised.value.problems] == ["total_epochs"]
