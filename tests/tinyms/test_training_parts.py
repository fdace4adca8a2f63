"""Losses, metrics, schedule, context, and the names that TinyMS programs import."""

import importlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mindspore import Tensor

from sedna_tinyms.errors import ConfigurationError, MetricsError
from sedna_tinyms.tinyms.losses import CrossEntropyWithLabelSmooth
from sedna_tinyms.tinyms.metrics import AUCMetric
from sedna_tinyms.tinyms.utils.train import mobilenetv2_lr

TINYMS_NAMES = {
    "": "Tensor ones zeros array expand_dims concatenate reshape arange float32 float16 int32 "
    "bool_ ParameterTuple set_seed",
    "callbacks": "ModelCheckpoint CheckpointConfig LossMonitor TimeMonitor LossTimeMonitorV2",
    "common": "Tensor Parameter dtype_to_nptype",
    "context": "GRAPH_MODE PYNATIVE_MODE set_context get_context ParallelMode",
    "data": "Cifar10Dataset MnistDataset VOCDataset GeneratorDataset ImageFolderDataset FileWriter",
    "losses": "SoftmaxCrossEntropyWithLogits CrossEntropyWithLabelSmooth",
    "metrics": "Accuracy AUCMetric",
    "model": "Model mobilenetv2 load",
    "optimizers": "Momentum Adam Lamb AdamWeightDecay",
    "utils.train": "mobilenetv2_lr mobilenetv2_cb FixedLossScaleManager LossScaleManager",
    "vision": "imagefolder_transform Resize Inter Border ImageBatchFormat decode hwc2chw "
    "PILRandomHorizontalFlip Compose TypeCast",
}


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    ).stdout.split()


@pytest.mark.parametrize("module", sorted(TINYMS_NAMES))
def test_names_of_tinyms_programs_import_also_by_star(module):
    name = f"sedna_tinyms.tinyms.{module}".rstrip(".")
    imported = importlib.import_module(name)
    assert len(set(imported.__all__)) == len(imported.__all__)
    scope = {}
    exec(f"from {name} import *", scope)  # noqa: S102
    missing = set(TINYMS_NAMES[module].split()) - set(scope)
    assert not missing


def test_importing_the_core_limits_onednn_and_pulls_in_nothing_heavy():
    code = """
import os, sys
os.environ.pop("ONEDNN_MAX_CPU_ISA", None)
for part in ("data", "vision", "model", "losses", "metrics", "optimizers", "callbacks", "context"):
    __import__("sedna_tinyms.tinyms." + part)
print(os.environ.get("ONEDNN_MAX_CPU_ISA"))
print(*{"sklearn", "cv2", "flask", "matplotlib", "requests", "onnx", "gensim"} & set(sys.modules))
"""
    assert run(code) in (["AVX2"], ["None"])


def test_without_mindspore_the_error_says_how_to_install_it():
    code = """
import sys
sys.modules["mindspore"] = None
try:
    import sedna_tinyms.tinyms.model
except ImportError as error:
    print(error)
"""
    assert "'sedna-tinyms[mindspore]'" in run(code)


@pytest.mark.parametrize(
    ("before", "modes"),
    [("", "True 0"), ("set_context(mode=1);", "False 1"), ("set_context(mode=0);", "True 0")],
)
def test_graph_mode_is_preferred_unless_the_user_chose(before, modes):
    code = (
        f"from mindspore import set_context, get_context; {before}"
        "from sedna_tinyms.tinyms.context import prefer_graph_mode;"
        "print(prefer_graph_mode(), get_context('mode'))"
    )
    assert run(code) == modes.split()


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
def test_a_model_trains_as_a_graph_and_leaves_the_program_its_mode(before, during, after):
    assert run(f"{TRAINING}{before}; print(modes(), get_context('mode'))") == [during, after]


def test_the_mode_comes_back_when_a_training_is_broken_off():
    code = """
compiled()
try:
    model.train(1, data, callbacks=[Stop()])
except KeyboardInterrupt:
    print(get_context("mode"), modes())
"""
    assert run(TRAINING + code) == ["1", "{0}"]


def test_what_was_learnt_as_a_graph_is_known_cell_by_cell_and_learnt_further():
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
    assert run(TRAINING + code) == ["0", "1"]


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


@pytest.mark.parametrize("arguments", [(-0.1, 4), (1.0, 4), (0.1, 1)])
def test_smoothing_that_makes_no_sense_is_refused(arguments):
    with pytest.raises(ConfigurationError):
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
        with pytest.raises(MetricsError, match="both classes"):
            metric.eval()
        return
    difference = positive[:, None] - negative[None, :]
    assert metric.eval() == pytest.approx(((difference > 0) + (difference == 0) / 2).mean())


def test_a_metric_that_saw_nothing_has_no_value():
    with pytest.raises(MetricsError):
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
        with pytest.raises(ConfigurationError, match="no such schedule"):
            schedule(taken)
        return
    whole = schedule(0)
    assert len(whole) == total * steps
    assert (whole >= 0).all()
    np.testing.assert_array_equal(schedule(taken), whole[taken:])


def test_a_training_shorter_than_its_warm_up_ends_within_it():
    rates = mobilenetv2_lr(0, 1e-5, 1e-5, 1e-3, 2, 1, 4).asnumpy()
    np.testing.assert_allclose(rates, 1e-5 + 99e-5 * np.arange(4) / 8, rtol=1e-6)


def test_no_epochs_are_no_training():
    with pytest.raises(ConfigurationError, match="0 epochs of 5 steps"):
        mobilenetv2_lr(0, 1e-5, 1e-5, 1e-3, 2, 0, 5)
