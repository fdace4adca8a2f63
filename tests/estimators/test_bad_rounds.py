"""Rounds as they should not be: every strategy comes through them, or says what is wrong."""

import shutil

import numpy as np
import pytest
from drawn_pictures import samples

from estimators import MindSporeMobileNetV2
from sedna_tinyms.errors import DatasetError
from sedna_tinyms.learning.memory import ReplayMemory
from sedna_tinyms.learning.strategies import STRATEGIES
from sedna_tinyms.tinyms.model import read_weights

KNOWN = ["green", "red"]
SETTINGS = {"batch_size": 16, "epochs": 8, "export_onnx": False}


def slowly(*strategies):
    """Return strategies whose rounds are learned in the slow tier: each is compiled for seconds.

    By default, test_strategies.py has every strategy learn, on a network of two layers.
    """
    return [pytest.param(strategy, marks=pytest.mark.slow) for strategy in strategies]


def resumed(path, strategy, **settings):
    estimator = MindSporeMobileNetV2(strategy=strategy, **SETTINGS | settings)
    estimator.load_weights(path)
    return estimator


def accuracy(estimator, colours=KNOWN):
    return estimator.evaluate(samples(30, seed=9, colours=colours))["accuracy"][0]


def weights(estimator):
    return {p.name: p.asnumpy().copy() for p in estimator.network.get_parameters()}


# --- poor samples -----------------------------------------------------------------------------


# latent, full: as with a new class
@pytest.mark.parametrize("strategy", ["head", "lwf", *slowly("ewc")])
def test_a_round_with_one_known_class_leaves_the_other(strategy, taught):
    estimator = resumed(taught(strategy), strategy)
    metrics = estimator.train(samples(12, seed=3, colours=["red"]))
    assert np.isfinite(metrics["loss"]).all()
    assert accuracy(estimator, ["green"]) >= 0.9
    assert accuracy(estimator, ["red"]) >= 0.9


@pytest.mark.parametrize("strategy", ["head", *slowly("lwf", "ewc")])
def test_a_round_with_one_sample(strategy, taught):
    estimator = resumed(taught(strategy), strategy)
    metrics = estimator.train(samples(1, seed=3, colours=["red"]))
    assert metrics["samples"] == [1.0]
    assert np.isfinite(metrics["loss"]).all()
    assert accuracy(estimator) >= 0.9


@pytest.mark.parametrize("strategy", ["head", "latent", "full", "lwf", *slowly("ewc")])
def test_a_round_without_samples_or_with_forbidden_classes_changes_nothing(
    strategy, taught, raises
):
    estimator = resumed(taught(strategy), strategy, class_names=KNOWN)
    before, counts = weights(estimator), estimator.memory.counts
    with raises(DatasetError, "empty", golden=False):
        estimator.train([])
    with raises(DatasetError, "unknown-name", golden=False) as raised:
        estimator.train(samples(4, colours=["blue"]))
    problem = raised.value.problems[0]
    assert (problem.fields["value"], problem.fields["valid"]) == ("blue", ("green", "red"))
    after = weights(estimator)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert estimator.memory.counts == counts


@pytest.mark.parametrize("strategy", ["head", "latent", *slowly("full", "lwf", "ewc")])
def test_a_round_with_nothing_but_a_new_class_adds_it(strategy, taught, tmp_path):
    estimator = resumed(taught(strategy), strategy, epochs=20)
    metrics = estimator.train(samples(12, seed=3, colours=["blue"]))
    assert np.isfinite(metrics["loss"]).all()
    assert metrics["replayed"] == [24.0 if STRATEGIES[strategy].replays else 0.0]
    assert estimator.card.class_names == ("green", "red", "blue")
    assert accuracy(estimator, ["blue"]) >= 0.9
    if STRATEGIES[strategy].replays:
        assert accuracy(estimator) >= 0.9
    estimator.save(tmp_path / "m.ckpt")
    stored = {path.name for path in tmp_path.iterdir()} - {"m.ckpt"}
    noted = {"m.strategy.npz"} if strategy == "ewc" else set()
    assert stored == ({"m.memory.npz"} if STRATEGIES[strategy].replays else noted)


@pytest.mark.parametrize("strategy", ["head", *slowly("latent", "lwf", "ewc")])
def test_wrong_labels_do_not_take_over(strategy, taught):
    estimator = resumed(taught(strategy), strategy)
    right = samples(40, seed=5, colours=KNOWN)
    swap = dict(zip(KNOWN, reversed(KNOWN), strict=True))
    wrong = np.random.default_rng(0).permutation(len(right)) < 0.3 * len(right)
    estimator.train([(p, swap[c] if bad else c) for (p, c), bad in zip(right, wrong, strict=True)])
    share_of_right_labels = 0.7
    assert accuracy(estimator) > share_of_right_labels


# --- the budget of the memory -----------------------------------------------------------------


def bytes_of_one(model):
    stored = ReplayMemory.load(model.with_suffix(".memory.npz"), 1 << 30)
    return stored.nbytes // len(stored)


@pytest.mark.parametrize("room", ["none", "less than one sample"])
def test_without_room_in_the_memory_a_round_is_learned_and_nothing_stored(room, taught, tmp_path):
    path = tmp_path / "model.ckpt"
    for name in ("model.ckpt", "model.memory.npz"):
        shutil.copy(taught("head").with_name(name.replace("model", "head")), tmp_path / name)
    estimator = resumed(path, "head", replay_bytes=0 if room == "none" else bytes_of_one(path) - 1)
    metrics = estimator.train(samples(4, seed=3, colours=KNOWN))
    assert metrics["replayed"] == [0.0]
    assert estimator.memory.nbytes == 0
    estimator.save(path)
    assert not path.with_suffix(".memory.npz").exists()
    assert read_weights(path).metadata["class_names"] == '["green", "red"]'


@pytest.mark.parametrize("strategy", ["head", *slowly("latent")])
def test_a_budget_that_is_smaller_than_before_holds_from_the_loading_on(strategy, taught):
    path = taught(strategy)
    places = 6
    budget = bytes_of_one(path) * places
    estimator = resumed(path, strategy, replay_bytes=budget, epochs=1)
    assert estimator.memory.nbytes == budget
    assert set(estimator.memory.counts.values()) == {places // 2}
    assert estimator.train(samples(4, seed=3, colours=KNOWN))["replayed"] == [float(places)]
    assert estimator.memory.nbytes <= budget
