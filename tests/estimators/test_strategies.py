"""The strategies by themselves, on a network of two layers that is compiled in a moment."""

from dataclasses import replace

import numpy as np
import pytest
from mindspore import nn

from estimators import MindSporeMobileNetV2, TinyMSMobileNetV2
from sedna_tinyms.errors import ForeignModelError
from sedna_tinyms.learning.layers import Outputs, TrainedPart
from sedna_tinyms.learning.strategies import STRATEGIES, Lesson
from sedna_tinyms.learning.strategies.ewc import EWC
from sedna_tinyms.tinyms.model.mobilenetv2 import ConvBNReLU, MobileNetV2Head
from sedna_tinyms.tinyms.model.parameters import set_value

CHANNELS, SIZE, NEW = 8, 6, 24
both = pytest.mark.parametrize("kind", [TinyMSMobileNetV2, MindSporeMobileNetV2])


class Small(nn.Cell):
    """Two convolutions and a head, arranged as in MobileNetV2."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Cell()
        self.backbone.backbone = nn.SequentialCell(
            [ConvBNReLU(3, CHANNELS), ConvBNReLU(CHANNELS, CHANNELS)]
        )
        self.head = MobileNetV2Head(CHANNELS, 2)


def colourful(count, bright, seed=0):
    """Return maps (N, 3, SIZE, SIZE) of two kinds, which differ in one channel, and the kinds."""
    labels = np.arange(count) % 2
    maps = np.random.default_rng(seed).normal(0, 0.3, (count, 3, SIZE, SIZE))
    maps[np.arange(count), labels] += bright
    return maps.astype(np.float32), labels


def lesson(kind=MindSporeMobileNetV2, *, network=None, bright=1.0, **changes):
    if network is None:
        np.random.seed(0)
        network = Small()
        network.set_train(False)
    items, labels = colourful(NEW, bright)
    part = TrainedPart(network, 0)
    made = Lesson(
        network=network,
        part=part,
        outputs=Outputs(part),
        items=items,
        labels=labels,
        domains=["first"] * NEW,
        new=NEW,
        seen=0,
        known_classes=0,
        prepare=lambda drawn: drawn,
        fit=kind()._fit,
        epochs=10,
        batch_size=8,
        seed=1,
        learning_rate=0.02,
        weight_decay=1e-4,
        label_smoothing=0.1,
        flip=False,
    )
    return replace(made, **changes)


def weights(network):
    return {p.name: p.asnumpy().copy() for p in network.get_parameters()}


def accuracy(taught, items, labels):
    """Return the accuracy in use, where batch normalizations go by their moving statistics."""
    return np.mean(taught.answers(items)[0].argmax(axis=1) == labels)


@both
def test_full_trains_every_layer_and_its_statistics_settle(kind):
    given = lesson(kind)
    before = weights(given.network)
    losses = STRATEGIES["full"]().learn(given)
    assert len(losses) == given.epochs
    assert losses[-1] < 0.75 * losses[0]
    after = weights(given.network)
    assert all(not np.array_equal(before[name], after[name]) for name in before)
    assert accuracy(given, *colourful(40, 1.0, seed=1)) >= 0.95


@pytest.mark.parametrize("strategy", ["latent", "lwf", "ewc"])
def test_the_others_keep_the_statistics(strategy):
    given = lesson()
    before = weights(given.network)
    STRATEGIES[strategy]().learn(given)
    after = weights(given.network)
    kept = {name for name in before if np.array_equal(before[name], after[name])}
    assert kept == {name for name in before if "moving_" in name}
    assert accuracy(given, *colourful(40, 1.0, seed=1)) >= 0.95


@pytest.mark.parametrize("strategy", ["full", "latent"])
def test_both_estimators_take_the_same_steps(strategy):
    one, other = lesson(TinyMSMobileNetV2), lesson(MindSporeMobileNetV2)
    losses = [STRATEGIES[strategy]().learn(given) for given in (one, other)]
    np.testing.assert_allclose(*losses, rtol=1e-3)
    found = weights(other.network)
    for name, array in weights(one.network).items():
        np.testing.assert_allclose(array, found[name], atol=1e-3)


# --- ewc --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def noted():
    """A network after a round of ewc, and what was noted of it."""
    strategy, given = EWC(), lesson()
    strategy.learn(given)
    return weights(given.network), strategy.state()


def second_round(noted, information):
    """Learn the opposite of the first round; return the strategy, and weights before and after."""
    np.random.seed(0)
    network = Small()
    for parameter in network.get_parameters():
        set_value(parameter, noted[0][parameter.name])
    strategy = EWC()
    strategy.resume(information)
    given = lesson(network=network)
    strategy.learn(replace(given, labels=1 - given.labels, known_classes=2))
    return strategy, weights(network)


def test_weights_that_mattered_are_held_back(noted):
    before, information = noted
    assert set(information) == {p.name for p in lesson().part.trainable_params()}
    assert all((found >= 0).all() and found.any() for found in information.values())
    held, free = (second_round(noted, known)[1] for known in (information, {}))

    def moved(after):
        return sum((information[n] * (after[n] - before[n]) ** 2).sum() for n in information)

    assert moved(held) < moved(free) / 10


def test_what_is_noted_adds_up_over_the_rounds(noted):
    doubled = {name: found + 1 for name, found in noted[1].items()}
    later = second_round(noted, doubled)[0].state()
    assert set(later) == set(doubled)
    assert all((later[name] >= doubled[name]).all() for name in doubled)


def test_what_was_noted_of_another_network_is_refused(noted, raises):
    wider = CHANNELS + 1
    other = {name: np.ones((wider, *found.shape[1:])) for name, found in noted[1].items()}
    with raises(ForeignModelError, "foreign-model"):
        second_round(noted, other)
