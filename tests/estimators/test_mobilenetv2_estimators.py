"""Both estimators: what they learn, keep, store and refuse."""

import hashlib
import json
from functools import cache

import numpy as np
import pytest
from drawn_pictures import picture, samples, write_folder
from make_models import trained_from_random_weights
from PIL import Image
from small_checkpoint import checkpoint
from small_mobilenetv2 import CARD, HEAD, NAMES, SIZE, WIDTH, write_model
from small_mobilenetv2 import weights as made_weights

from estimators import MindSporeMobileNetV2, Prediction, TinyMSMobileNetV2
from sedna_tinyms.errors import (
    ConfigurationError,
    DatasetError,
    ForeignModelError,
    ModelFileError,
)
from sedna_tinyms.learning.memory import ReplayMemory
from sedna_tinyms.outcomes import without_outcomes
from sedna_tinyms.pictures import load_pixels
from sedna_tinyms.tinyms.model import read_weights

SMALL = {"class_names": NAMES, "input_size": SIZE, "width": WIDTH, "batch_size": 16}
PIXELS = 3 * SIZE * SIZE
both = pytest.mark.parametrize("kind", [TinyMSMobileNetV2, MindSporeMobileNetV2])
slow = pytest.mark.slow
# test_strategies.py shows by default that both take the same steps.
one_by_default = pytest.mark.parametrize(
    "kind", [pytest.param(TinyMSMobileNetV2, marks=slow), MindSporeMobileNetV2]
)


def weights(estimator):
    return {p.name: p.asnumpy().copy() for p in estimator.network.get_parameters()}


def changed(before, after):
    return {name for name in before if not np.array_equal(before[name], after[name])}


@pytest.fixture(scope="module")
def loaded(colours):
    """An estimator that only predicts and evaluates, or is to refuse something."""
    estimator = TinyMSMobileNetV2(strategy="head")
    estimator.load_weights(colours)
    return estimator


def test_a_prediction_says_which_file_its_model_is_from(colours):
    estimator = MindSporeMobileNetV2(strategy="head", export_onnx=False)
    estimator.load(colours)
    version = hashlib.sha256(colours.read_bytes()).hexdigest()[:12]
    assert estimator.version == version
    assert estimator.predict(samples(1)[0][0]).version == version
    estimator.load_weights(colours)
    assert estimator.version == version
    estimator.train(samples(6, seed=3))
    assert estimator.version is None
    assert estimator.predict(samples(1)[0][0]).version is None
    assert set(estimator.engines) == {"frozen part", "predictions"}


@slow  # two networks are compiled
def test_mindspore_answers_a_few_pictures_as_it_answers_many(colours):
    pictures = [pixels for pixels, _ in samples(20, seed=3)]
    estimator = TinyMSMobileNetV2(engine="mindspore")
    estimator.load(colours)
    many = estimator.predict(pictures)
    few = estimator.predict(pictures[:3])
    np.testing.assert_allclose(few, many[:3], atol=1e-5)
    assert estimator.engines == {"predictions": "mindspore: asked for"}


# --- training ---------------------------------------------------------------------------------


@slow  # test_strategies.py has the strategy "full" learn by default
def test_a_network_from_random_weights_is_as_good_in_use_as_in_training():
    estimator, metrics = trained_from_random_weights()
    assert len(metrics["loss"]) == 16
    assert metrics["loss"][-1] < metrics["loss"][0] / 2
    assert metrics["samples"] == [40.0]
    assert metrics["replayed"] == [0.0]
    # 48 steps: the moving statistics must have arrived at the new weights by then.
    assert metrics["accuracy"][0] >= 0.95
    assert estimator.evaluate(samples(40))["accuracy"] == metrics["accuracy"]
    assert estimator.evaluate(samples(30, seed=9))["accuracy"][0] >= 0.9


@pytest.fixture(scope="module")
def after_a_round(tmp_path_factory):
    """Return a function from what trains, and how, to the weights afterwards; made once."""
    path = write_model(tmp_path_factory.mktemp("begin") / "begin.ckpt")

    @cache
    def trained(kind, strategy, seed, time=1):
        estimator = kind(batch_size=8, epochs=1, strategy=strategy, seed=seed, flip=True)
        estimator.load_weights(path)
        estimator.train(samples(20, seed=3, brightness=0.5))
        return weights(estimator)

    return trained


@one_by_default
@pytest.mark.parametrize(
    ("strategy", "trained_cells"), [("head", set()), ("latent", {"15", "16", "17", "18"})]
)
def test_what_is_frozen_stays_as_it_is(kind, strategy, trained_cells, after_a_round):
    before, after = made_weights(), after_a_round(kind, strategy, seed=1)
    touched = changed(before, after)
    assert {name.split(".")[2] for name in touched if name.startswith("backbone")} == trained_cells
    assert set(HEAD) <= touched
    assert set(after) == set(before)  # names as before


@one_by_default
def test_the_same_seed_gives_the_same_weights(kind, after_a_round):
    one = after_a_round(kind, "latent", seed=1)
    same = after_a_round(kind, "latent", seed=1, time=2)
    other = after_a_round(kind, "latent", seed=2)
    assert changed(one, same) == set()
    assert changed(one, other) != set()


def test_random_weights_depend_on_the_seed_and_leave_numpy_alone(tmp_path):
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    heads = []
    for seed in (1, 1, 2):
        TinyMSMobileNetV2(**SMALL, seed=seed).save(tmp_path / "m.ckpt")
        heads.append(read_weights(tmp_path / "m.ckpt").arrays[HEAD[0]])
    assert np.random.random() == expected
    assert np.array_equal(heads[0], heads[1])
    assert not np.array_equal(heads[0], heads[2])


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (TinyMSMobileNetV2, samples(1)),
        (MindSporeMobileNetV2, samples(3, colours=["red"])),
        (TinyMSMobileNetV2, samples(4) + samples(1, seed=1)),
    ],
    ids=["one sample", "less than a batch", "a last batch of one, a class with one sample"],
)
def test_few_samples(kind, data, colours):
    estimator = kind(batch_size=4, epochs=2, strategy="head", replay_bytes=0)
    estimator.load_weights(colours)
    metrics = estimator.train(data)
    assert np.isfinite(metrics["loss"]).all()
    assert estimator.predict(data[0][0]).class_name == data[0][1]


@one_by_default
def test_old_classes_are_kept_by_the_memory_alone(kind, colours):
    """The second round brings only dark red pictures, which the first model takes for green."""
    new = samples(24, seed=5, colours=["red"], brightness=0.5)
    recalls = {}
    for budget in (0, 60 * PIXELS):
        estimator = kind(
            batch_size=8, epochs=10, learning_rate=0.003, strategy="latent", replay_bytes=budget
        )
        estimator.load_weights(colours)
        before = estimator.evaluate(new)["accuracy"][0]
        estimator.train(new)
        assert before < 0.5 < 0.9 <= estimator.evaluate(new)["accuracy"][0]
        recalls[budget] = estimator.evaluate(samples(30, seed=9))["recall"]
    # The model remembers four pictures a class.
    assert min(recalls[60 * PIXELS]) >= 0.6
    assert min(recalls[0]) < 0.4


def test_validation_data_is_measured_with_its_own_names(colours):
    estimator = TinyMSMobileNetV2(batch_size=8, epochs=1, strategy="head")
    estimator.load_weights(colours)
    metrics = estimator.train(samples(9), valid_data=samples(6, seed=2))
    assert set(metrics) >= {"loss", "accuracy", "valid_accuracy", "valid_recall"}
    assert len(metrics["valid_recall"]) == 3


def test_classes_come_from_the_data_where_nothing_else_says_them(tmp_path):
    estimator = TinyMSMobileNetV2(input_size=SIZE, width=WIDTH, epochs=1, strategy="head")
    estimator.train(write_folder(tmp_path, 6))
    assert estimator.card.class_names == ("blue", "green", "red")


def test_pretrained_weights_of_other_classes_give_the_backbone(tmp_path):
    pretrained = write_model(tmp_path / "pretrained.ckpt", [*NAMES, *NAMES], said={})
    estimator = MindSporeMobileNetV2(**SMALL, initial_weights=pretrained, epochs=1, strategy="head")
    estimator.train(samples(9))
    theirs, ours = made_weights(), weights(estimator)
    backbone = [name for name in theirs if name.startswith("backbone")]
    assert all(np.array_equal(theirs[name], ours[name]) for name in backbone)
    assert ours[HEAD[0]].shape[0] == 3


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ([(picture("red", np.random.default_rng(0)), None)], "missing-label"),
        ([("/nowhere.jpg", "red")], "missing-file"),
        ([], "empty"),
    ],
    ids=["no label", "no picture", "no sample"],
)
def test_unusable_data_changes_nothing(data, code, loaded, raises):
    before = weights(loaded)
    with raises(DatasetError, code):
        loaded.train(data)
    assert changed(before, weights(loaded)) == set()


# --- predictions and evaluations --------------------------------------------------------------


def test_every_form_of_a_picture_is_predicted_alike(loaded, tmp_path):
    estimator = loaded
    pixels, colour = samples(1, seed=8)[0]
    path = tmp_path / "p.png"
    Image.fromarray(pixels).save(path)
    single = estimator.predict(str(path))
    assert isinstance(single, Prediction)
    assert single.class_name == colour
    assert sum(single) == pytest.approx(1)
    for form in (path, np.str_(path), Image.fromarray(pixels), pixels):
        assert estimator.predict(form) == single
    assert estimator.predict(pixels.astype(np.float32)).class_name == colour
    several = estimator.predict([str(path), pixels])
    assert [p.class_name for p in several] == [colour, colour]
    assert several[0] == pytest.approx(single, abs=1e-5)
    assert len(estimator.predict(np.stack([pixels] * 11))) == 11
    assert estimator.predict([]) == []


def test_an_evaluation_always_has_the_same_keys_and_lengths(loaded):
    shapes = [
        {n: len(v) for n, v in without_outcomes(loaded.evaluate(data)).items()}
        for data in (samples(9), samples(2, colours=["blue"]))
    ]
    assert shapes[0] == shapes[1]
    assert shapes[0]["precision"] == shapes[0]["recall"] == shapes[0]["f1"] == 3
    assert shapes[0]["accuracy"] == shapes[0]["f1_mean"] == 1


@both
def test_without_weights_nothing_is_made_up(kind, raises):
    estimator = kind(**SMALL)
    with raises(ModelFileError, "missing-value"):
        estimator.predict(samples(1)[0][0])
    with raises(ModelFileError, "missing-value"):
        estimator.evaluate(samples(3))


# --- model files ------------------------------------------------------------------------------


def test_one_file_tells_everything(loaded, tmp_path):
    loaded.save(tmp_path / "other.ckpt")
    other = MindSporeMobileNetV2(batch_size=8)
    other.load(tmp_path / "other.ckpt")
    assert other.card == loaded.card == CARD
    pictures = [pixels for pixels, _ in samples(5, seed=4)]
    assert other.predict(pictures) == loaded.predict(pictures)
    metadata = read_weights(tmp_path / "other.ckpt").metadata
    assert json.loads(metadata["class_names"]) == list(NAMES)
    assert json.loads(metadata["input_size"]) == SIZE


def test_the_memory_lies_beside_the_model_and_goes_on(colours, tmp_path):
    estimator = MindSporeMobileNetV2(
        batch_size=8, epochs=1, strategy="head", replay_bytes=12 * PIXELS
    )
    estimator.load_weights(colours)
    metrics = estimator.train(samples(6, seed=3))
    assert metrics["replayed"] == [12.0]
    assert estimator.memory.domains == ["round-1", "round-2"]
    assert estimator.memory.nbytes <= 12 * PIXELS
    estimator.save(tmp_path / "next.ckpt")
    names = ["next.ckpt", "next.memory.npz", "next.onnx"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == names
    assert ReplayMemory.load(tmp_path / "next.memory.npz", 10**6).nbytes == estimator.memory.nbytes


def test_a_broken_memory_stops_the_next_training_but_not_the_use(tmp_path, raises):
    path = write_model(tmp_path / "m.ckpt")
    (tmp_path / "m.memory.npz").write_bytes(b"broken")
    estimator = TinyMSMobileNetV2()
    estimator.load(path)
    assert estimator.predict(samples(1)[0][0]).class_name == "red"
    with raises(ModelFileError, "damaged", path=tmp_path / "m.memory.npz", golden=False):
        TinyMSMobileNetV2().load_weights(path)


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("class_names", ("ants", "bees"), "class-mismatch"),
        ("class_names", ("green", "red", "blue"), "class-mismatch"),
        ("class_names", ("red", "green"), "class-mismatch"),
        ("width", 1.0, "foreign-model"),
        ("input_size", 96, "foreign-model"),
        ("pad_mode", "same", "foreign-model"),
    ],
)
def test_a_model_for_something_else_is_refused_with_both_names(name, value, code, colours, raises):
    estimator = TinyMSMobileNetV2(**{name: value})
    said = {"path": colours, "name": name, "value": getattr(CARD, name), "expected": value}
    with raises(ForeignModelError, code, **said):
        estimator.load(colours)
    with raises(ForeignModelError, code, **said, golden=False):
        estimator.load_weights(colours)
    assert estimator.network is None


WHOLE = checkpoint(made_weights(), CARD.metadata())
UNUSABLE = {
    "missing": (None, ModelFileError, "missing-file"),
    "empty": (b"", ModelFileError, "empty"),
    "truncated": (WHOLE[: len(WHOLE) // 2], ModelFileError, "damaged"),
    "no model": (b"hello", ModelFileError, "damaged"),
    "another network": (
        checkpoint({"weight": np.zeros((2, 2), np.float32)}, {}),
        ForeignModelError,
        "foreign-model",
    ),
    "other classes": (
        checkpoint(made_weights(NAMES[:2]), {}),
        ForeignModelError,
        "class-mismatch",
    ),
    "nan": (
        checkpoint(made_weights() | {HEAD[1]: np.full(3, np.nan, np.float32)}, {}),
        ModelFileError,
        "not-finite",
    ),
    "newer format": (
        checkpoint(made_weights(), CARD.metadata() | {"format_version": "2"}),
        ForeignModelError,
        "wrong-version",
    ),
    "garbled metadata": (
        checkpoint(made_weights(), CARD.metadata() | {"width": "wide"}),
        ModelFileError,
        "damaged",
    ),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_an_unusable_model_file_leaves_the_estimator_as_it_was(kind, colours, tmp_path, raises):
    path = tmp_path / "unusable.ckpt"
    content, error, code = UNUSABLE[kind]
    ours = kind not in {"truncated", "no model", "garbled metadata"}  # MindSpore's and Python's
    if content is not None:
        path.write_bytes(content)
    estimator = TinyMSMobileNetV2(class_names=NAMES, width=WIDTH, input_size=SIZE)
    estimator.load(colours)
    network = estimator.network
    with raises(error, code, path=path, golden=ours):
        estimator.load(path)
    assert estimator.network is network


def test_a_file_without_a_description_takes_the_settings(tmp_path, raises):
    path = write_model(tmp_path / "plain.ckpt", said={})
    named = TinyMSMobileNetV2(class_names=NAMES, width=WIDTH, input_size=SIZE)
    named.load(path)
    assert named.card == CARD
    unnamed = TinyMSMobileNetV2(width=WIDTH, input_size=SIZE)
    unnamed.load(path)
    assert unnamed.card.class_names == ("0", "1", "2")
    with raises(ConfigurationError, "missing-value", name="class_names", path=path):
        TinyMSMobileNetV2(width=WIDTH).load_weights(path)


def test_the_onnx_file_gives_the_same_answers(loaded, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    loaded.save(tmp_path / "m.ckpt")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    pictures = [pixels for pixels, _ in samples(5, seed=4)]
    (logits,) = session.run(["logits"], {"pixels": load_pixels(pictures, SIZE)})
    for row, prediction in zip(logits, loaded.predict(pictures), strict=True):
        assert Prediction(row, NAMES) == pytest.approx(prediction, abs=1e-4)
    described = session.get_modelmeta().custom_metadata_map
    assert json.loads(described["class_names"]) == list(NAMES)
