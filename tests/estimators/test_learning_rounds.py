"""Round after round: new classes, poor data, what is stored, and the strategies without storage."""

import numpy as np
import pytest
from drawn_pictures import COLOURS, picture, samples
from small_mobilenetv2 import HEAD, copied, write_model
from small_mobilenetv2 import weights as made_weights

from estimators import MindSporeMobileNetV2, TinyMSMobileNetV2
from sedna_tinyms.errors import DatasetError, ForeignModelError, ModelFileError
from sedna_tinyms.learning.state_file import read_state, write_state
from sedna_tinyms.learning.strategies.ewc import EWC
from sedna_tinyms.tinyms.model import read_weights

SIZE = 32
SMALL = {"input_size": SIZE, "width": 0.1, "batch_size": 8, "epochs": 4}


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A model that was taught red and green, on random features."""
    path = tmp_path_factory.mktemp("start") / "start.ckpt"
    estimator = TinyMSMobileNetV2(**SMALL, strategy="head")
    estimator.train(samples(16, colours=["red", "green"]), domain="first")
    estimator.save(path)
    return path


def resumed(path, kind=MindSporeMobileNetV2, **settings):
    estimator = kind(batch_size=8, epochs=4, **settings)
    estimator.load_weights(path)
    return estimator


def head(estimator):
    named = {p.name: p.asnumpy().copy() for p in estimator.network.get_parameters()}
    return [named[name] for name in HEAD]


# --- new classes ------------------------------------------------------------------------------


def test_a_new_class_gets_an_output_of_its_own(start, tmp_path):
    estimator = resumed(start, strategy="head")
    assert estimator.card.class_names == ("green", "red")
    metrics = estimator.train(samples(8, seed=2, colours=["blue"]), domain="second")
    assert metrics["replayed"] == [16.0]
    assert estimator.card.class_names == ("green", "red", "blue")
    found = estimator.evaluate(samples(30, seed=9))
    assert found["accuracy"][0] >= 0.9
    estimator.save(tmp_path / "grown.ckpt")
    assert resumed(tmp_path / "grown.ckpt", strategy="head").card == estimator.card
    assert read_weights(tmp_path / "grown.ckpt").arrays[HEAD[0]].shape[0] == 3


def test_old_rows_are_the_same_bit_by_bit_when_the_head_grows(start):
    estimator = resumed(start, strategy="head")
    before = head(estimator)
    estimator._grow(("green", "red", "blue", "white"))
    for old, new in zip(before, head(estimator), strict=True):
        assert new.shape[0] == 4
        np.testing.assert_array_equal(new[:2], old)


def test_a_round_that_was_killed_before_it_wrote_its_model_is_repeated(
    start, tmp_path, caplog, snapshot
):
    copied(start, tmp_path)
    begun = resumed(start, strategy="head")
    begun.train(samples(9, seed=7, colours=["red", "blue"]), domain="second")
    begun.memory.save(tmp_path / "start.memory.npz")  # and the model is the one before
    estimator = resumed(tmp_path / "start.ckpt", strategy="head")
    metrics = estimator.train(samples(4, seed=9, colours=["green"]))
    (record,) = (each for each in caplog.records if each.name == "estimators.classroom")
    assert record.getMessage() == snapshot
    assert estimator.card.class_names == ("green", "red")
    assert metrics["replayed"] == [16.0 + 5]  # the red ones of the second round
    estimator = resumed(tmp_path / "start.ckpt", strategy="head")
    estimator.train(samples(9, seed=7, colours=["red", "blue"]), domain="second")
    assert estimator.card.class_names == ("green", "red", "blue")
    assert estimator.memory.seen == begun.memory.seen, "its samples are not remembered twice"


def test_class_names_that_are_set_forbid_others(start, raises):
    estimator = resumed(start, class_names=["green", "red"], strategy="head")
    with raises(DatasetError, "unknown-name"):
        estimator.train(samples(4, colours=["blue"]))
    wider = resumed(start, class_names=["green", "red", "blue"], strategy="head")
    wider.train(samples(4, colours=["blue"]))
    assert wider.card.class_names == ("green", "red", "blue")


def test_a_class_that_a_model_does_not_know_yet_is_its_mistake(start):
    old = resumed(start, class_names=["green", "red", "blue"], strategy="head")
    metrics = old.evaluate(samples(6, seed=4, colours=["blue", "red"]))
    assert len(metrics["recall"]) == 3
    assert metrics["correct"][::2] == [0, 0, 0]
    only_unknown = resumed(start, strategy="head").evaluate(samples(4, colours=["blue"]))
    assert only_unknown["accuracy"] == [0]
    assert only_unknown["correct"] == [0] * 4


# --- poor data --------------------------------------------------------------------------------


def test_the_very_first_round_with_one_sample_and_none(raises):
    estimator = TinyMSMobileNetV2(["green", "red"], **SMALL, strategy="head")
    with raises(DatasetError, "empty", golden=False):
        estimator.train([])
    metrics = estimator.train(samples(1, colours=["red"]))
    assert np.isfinite(metrics["loss"]).all()
    assert estimator.predict(samples(1, colours=["red"])[0][0]).class_name == "red"


# --- what is stored ---------------------------------------------------------------------------


def test_only_activations_are_stored_unless_pixels_are_asked_for(start):
    latent = resumed(start, strategy="head")
    assert latent.memory.item_shape == (1280, 1, 1)
    pixels = TinyMSMobileNetV2(["green", "red"], **SMALL, strategy="head", replay="pixels")
    pixels.train(samples(6, colours=["red", "green"]))
    assert pixels.memory.item_shape == (3, SIZE, SIZE)
    metrics = pixels.train(samples(2, seed=2, colours=["red"]))
    assert (metrics["replayed"], metrics["computed"]) == ([6.0], [8.0])


def test_activations_of_another_cut_are_refused_by_name(start, raises):
    estimator = resumed(start, strategy="latent")
    held = estimator.memory.space
    memory = start.with_suffix(".memory.npz")
    # The name of a space holds a digest of the weights.
    with raises(ForeignModelError, "foreign-model", path=memory, value=held, golden=False) as cut:
        estimator.train(samples(4, colours=["red"]))
    assert (held[:7], cut.value.fields["expected"][:7]) == ("cut_19-", "cut_15-")
    with raises(ForeignModelError, "foreign-model", path=memory, expected="pixels", golden=False):
        resumed(start, strategy="head", replay="pixels").train(samples(4, colours=["red"]))


def test_a_picture_seen_before_is_not_computed_again(start):
    data = samples(6, seed=77, colours=["red", "green"])
    first, second = (resumed(start, strategy="head").train(data) for _ in range(2))
    assert first["computed"] == [6.0]
    assert second["computed"] == [0.0]
    assert second["seconds"][0] >= second["seconds_forward"][0] + second["seconds_training"][0]


# --- the strategies that train blocks ---------------------------------------------------------


@pytest.mark.slow  # test_strategies.py has each strategy learn by default
@pytest.mark.parametrize("strategy", ["latent", "lwf", "ewc"])
def test_blocks_are_trained_round_after_round(strategy, tmp_path):
    def learned(seed):
        path = tmp_path / f"{seed}.ckpt"
        for number, colours in enumerate((["red", "green"], ["blue", "red"]), 1):
            estimator = MindSporeMobileNetV2(
                **SMALL if number == 1 else {"batch_size": 8, "epochs": 4},
                strategy=strategy,
                seed=3,
            )
            if number > 1:
                estimator.load_weights(path)
            metrics = estimator.train(samples(12, seed=number, colours=colours))
            estimator.save(path)
        return estimator, metrics

    estimator, metrics = learned(1)
    assert estimator.card.class_names == ("green", "red", "blue")
    assert np.isfinite(metrics["loss"]).all()
    stored = (tmp_path / "1.memory.npz").exists()
    assert stored == (strategy == "latent")
    assert (tmp_path / "1.strategy.npz").exists() == (strategy == "ewc")
    assert metrics["replayed"] == [12.0 if strategy == "latent" else 0.0]
    same, _ = learned(2)
    for one, other in zip(head(estimator), head(same), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_a_strategy_noted_is_gone_on_with(tmp_path, monkeypatch):
    monkeypatch.setattr(EWC, "cut", 18)  # one layer and the head, which are compiled in a second
    model = write_model(tmp_path / "start.ckpt")
    found = []
    for name, colour in (("first", "red"), ("second", "blue")):
        estimator = resumed(model, strategy="ewc")
        estimator.train(samples(6, colours=[colour]))
        model = tmp_path / f"{name}.ckpt"
        estimator.save(model)
        found.append(read_state(model.with_suffix(".strategy.npz"), "ewc"))
    first, second = found
    assert set(first) == set(second) > set(HEAD)
    assert all((second[name] >= first[name]).all() for name in first)
    assert any((second[name] > first[name]).any() for name in first)


def test_what_a_strategy_noted_must_be_whole(tmp_path, raises):
    path = write_model(tmp_path / "m.ckpt")
    noted = path.with_suffix(".strategy.npz")
    noted.write_bytes(b"broken")
    with raises(ModelFileError, "damaged", path=noted, golden=False):
        resumed(path, strategy="ewc")


def test_what_a_strategy_noted_does_not_outlive_its_model(tmp_path, raises):
    path = write_model(tmp_path / "m.ckpt")
    noted = path.with_suffix(".strategy.npz")
    of_another_model = {name: np.ones((9, *made_weights()[name].shape[1:])) for name in HEAD}
    write_state(noted, "ewc", of_another_model)
    resumed(path, strategy="head").save(path)
    assert not noted.exists()
    write_state(noted, "ewc", of_another_model)
    resumed(path, strategy="head").train(samples(4, colours=["red"]))  # it is not this strategy's
    with raises(ForeignModelError, "foreign-model"):
        resumed(path, strategy="ewc").train(samples(4, colours=["red"]))


def test_answers_carry_what_filters_need_and_agree_with_mindspore(start):
    fast, plain = resumed(start), resumed(start, engine="mindspore")
    rng = np.random.default_rng(1)
    pictures = [picture(colour, rng) for colour in COLOURS]
    for one, other in zip(fast.predict(pictures), plain.predict(pictures), strict=True):
        assert one == pytest.approx(other, abs=1e-4)
        assert one.embedding.shape == (1280,)
        np.testing.assert_allclose(one.logits, other.logits, atol=1e-3)


def test_a_corrected_label_replaces_the_one_that_is_remembered(start, caplog):
    pictures, labels = zip(*samples(6, seed=11, colours=["green"]), strict=True)
    estimator = resumed(start, strategy="head")
    first = estimator.train(list(zip(pictures, labels, strict=True)), domain="new")
    again = estimator.train([(picture, "red") for picture in pictures], domain="corrected")
    assert (first["corrected"], again["corrected"]) == ([0.0], [6.0])
    assert again["replayed"] == first["replayed"], "the six are replaced, not kept beside"
    counts = estimator.memory.counts
    assert (counts["green", "new"], counts["red", "corrected"]) == (0, 6)
    assert "6 remembered pictures were green and are red now" in caplog.text
    same = estimator.train([(picture, "red") for picture in pictures], domain="again")
    assert same["corrected"] == [0.0]
    assert estimator.memory.seen == start_seen(start) + 6


def start_seen(start):
    return resumed(start, strategy="head").memory.seen
