"""Both estimators: what they learn, keep, store and refuse."""

import hashlib
import json

import mindspore
import numpy as np
import pytest
from drawn_pictures import COLOURS, picture, samples, write_folder
from PIL import Image

from estimators import MindSporeMobileNetV2, Prediction, TinyMSMobileNetV2
from sedna_tinyms.errors import (
    ConfigurationError,
    DatasetError,
    ForeignModelError,
    ModelFileError,
)
from sedna_tinyms.learning.memory import ReplayMemory
from sedna_tinyms.pictures import load_pixels
from sedna_tinyms.tinyms.model import MobileNetV2, read_weights, save_weights

NAMES = list(COLOURS)
SIZE = 64
SMALL = {"class_names": NAMES, "input_size": SIZE, "width": 0.1, "batch_size": 16}
PIXELS = 3 * SIZE * SIZE
both = pytest.mark.parametrize("kind", [TinyMSMobileNetV2, MindSporeMobileNetV2])


def weights(estimator):
    return {p.name: p.asnumpy().copy() for p in estimator.network.get_parameters()}


def changed(before, after):
    return {name for name in before if not np.array_equal(before[name], after[name])}


@pytest.fixture(scope="module")
def trained():
    """One estimator trained on everything, from random weights."""
    estimator = TinyMSMobileNetV2(
        **SMALL, strategy="full", epochs=16, learning_rate=0.02, replay_bytes=12 * PIXELS
    )
    metrics = estimator.train(samples(40))
    return estimator, metrics


@pytest.fixture(scope="module")
def model(trained, tmp_path_factory):
    """Its model file."""
    path = tmp_path_factory.mktemp("model") / "colours.ckpt"
    trained[0].save(path)
    return path


def test_a_prediction_says_which_file_its_model_is_from(model, tmp_path):
    estimator = MindSporeMobileNetV2(strategy="head", export_onnx=False)
    estimator.load(model)
    version = hashlib.sha256(model.read_bytes()).hexdigest()[:12]
    assert estimator.version == version
    assert estimator.predict(samples(1)[0][0]).version == version
    estimator.load_weights(model)
    assert estimator.version == version
    estimator.train(samples(6, seed=3))
    assert estimator.version is None
    assert estimator.predict(samples(1)[0][0]).version is None
    assert set(estimator.engines) == {"frozen part", "predictions"}


def test_mindspore_answers_a_few_pictures_as_it_answers_many(model):
    pictures = [pixels for pixels, _ in samples(20, seed=3)]
    estimator = TinyMSMobileNetV2(engine="mindspore")
    estimator.load(model)
    many = estimator.predict(pictures)
    few = estimator.predict(pictures[:3])
    np.testing.assert_allclose(few, many[:3], atol=1e-5)
    assert estimator.engines == {"predictions": "mindspore: asked for"}


# --- training ---------------------------------------------------------------------------------


def test_a_network_from_random_weights_is_as_good_in_use_as_in_training(trained):
    estimator, metrics = trained
    assert len(metrics["loss"]) == 16
    assert metrics["loss"][-1] < metrics["loss"][0] / 2
    assert metrics["samples"] == [40.0]
    assert metrics["replayed"] == [0.0]
    # 48 steps: the moving statistics must have arrived at the new weights by then.
    assert metrics["accuracy"][0] >= 0.95
    assert estimator.evaluate(samples(40))["accuracy"] == metrics["accuracy"]
    assert estimator.evaluate(samples(30, seed=9))["accuracy"][0] >= 0.9


@both
@pytest.mark.parametrize(
    ("strategy", "trained_cells"), [("head", set()), ("latent", {"15", "16", "17", "18"})]
)
def test_what_is_frozen_stays_as_it_is(kind, strategy, trained_cells, model):
    estimator = kind(batch_size=8, epochs=2, strategy=strategy)
    estimator.load_weights(model)
    before = weights(estimator)
    estimator.train(samples(10, seed=3, brightness=0.5))
    touched = changed(before, weights(estimator))
    assert {name.split(".")[2] for name in touched if name.startswith("backbone")} == trained_cells
    assert {"head.head.1.weight", "head.head.1.bias"} <= touched
    assert set(weights(estimator)) == set(read_weights(model).arrays)  # names as before


@both
def test_the_same_seed_gives_the_same_weights(kind, model):
    def trained(seed):
        estimator = kind(batch_size=8, epochs=1, strategy="latent", seed=seed, flip=True)
        estimator.load_weights(model)
        estimator.train(samples(20, seed=3))
        return weights(estimator)

    one, same, other = trained(1), trained(1), trained(2)
    assert changed(one, same) == set()
    assert changed(one, other) != set()


def test_random_weights_depend_on_the_seed_and_leave_numpy_alone(tmp_path):
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    heads = []
    for seed in (1, 1, 2):
        TinyMSMobileNetV2(**SMALL, seed=seed).save(tmp_path / "m.ckpt")
        heads.append(read_weights(tmp_path / "m.ckpt").arrays["head.head.1.weight"])
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
def test_few_samples(kind, data, model):
    estimator = kind(batch_size=4, epochs=2, strategy="head", replay_bytes=0)
    estimator.load_weights(model)
    metrics = estimator.train(data)
    assert np.isfinite(metrics["loss"]).all()
    assert estimator.predict(data[0][0]).class_name == data[0][1]


@both
def test_old_classes_are_kept_by_the_memory_alone(kind, model):
    """The second round brings only dark green pictures, which the first model takes for others."""
    new = samples(24, seed=5, colours=["green"], brightness=0.5)
    recalls = {}
    for budget in (0, 60 * PIXELS):
        estimator = kind(
            batch_size=8, epochs=20, learning_rate=0.003, strategy="latent", replay_bytes=budget
        )
        estimator.load_weights(model)
        before = estimator.evaluate(new)["accuracy"][0]
        estimator.train(new)
        assert before < 0.5 < 0.9 <= estimator.evaluate(new)["accuracy"][0]
        recalls[budget] = estimator.evaluate(samples(30, seed=9))["recall"]
    # The model remembers four pictures a class.
    assert min(recalls[60 * PIXELS]) >= 0.6
    assert min(recalls[0]) < 0.4


def test_validation_data_is_measured_with_its_own_names(model):
    estimator = TinyMSMobileNetV2(batch_size=8, epochs=1, strategy="head")
    estimator.load_weights(model)
    metrics = estimator.train(samples(9), valid_data=samples(6, seed=2))
    assert set(metrics) >= {"loss", "accuracy", "valid_accuracy", "valid_recall"}
    assert len(metrics["valid_recall"]) == 3


def test_classes_come_from_the_data_where_nothing_else_says_them(tmp_path):
    estimator = TinyMSMobileNetV2(
        input_size=SIZE, width=0.1, batch_size=8, epochs=1, strategy="head"
    )
    estimator.train(write_folder(tmp_path, 6))
    assert estimator.card.class_names == ("blue", "green", "red")


def test_pretrained_weights_of_other_classes_give_the_backbone(tmp_path):
    np.random.seed(3)
    pretrained = MobileNetV2(7, width_mult=0.1)
    save_weights(pretrained, tmp_path / "pretrained.ckpt")
    estimator = MindSporeMobileNetV2(
        **SMALL, initial_weights=tmp_path / "pretrained.ckpt", epochs=1, strategy="head"
    )
    estimator.train(samples(9))
    theirs = {p.name: p.asnumpy() for p in pretrained.get_parameters()}
    ours = weights(estimator)
    backbone = [name for name in theirs if name.startswith("backbone")]
    assert all(np.array_equal(theirs[name], ours[name]) for name in backbone)
    assert ours["head.head.1.weight"].shape[0] == 3


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ([(picture("red", np.random.default_rng(0)), None)], "it has no label"),
        ([("/nowhere.jpg", "red")], r"/nowhere.jpg does not exist"),
        ([], "no samples"),
    ],
)
def test_unusable_data_changes_nothing(data, complaint, model):
    estimator = TinyMSMobileNetV2()
    estimator.load_weights(model)
    before = weights(estimator)
    with pytest.raises(DatasetError, match=complaint):
        estimator.train(data)
    assert changed(before, weights(estimator)) == set()


# --- predictions and evaluations --------------------------------------------------------------


def test_every_form_of_a_picture_is_predicted_alike(trained, tmp_path):
    estimator, _ = trained
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


def test_an_evaluation_always_has_the_same_keys_and_lengths(trained):
    estimator, _ = trained
    shapes = [
        {n: len(values) for n, values in estimator.evaluate(data).items() if n != "correct"}
        for data in (samples(9), samples(2, colours=["blue"]))
    ]
    assert shapes[0] == shapes[1]
    assert shapes[0]["precision"] == shapes[0]["recall"] == shapes[0]["f1"] == 3
    assert shapes[0]["accuracy"] == shapes[0]["f1_mean"] == 1


@both
def test_without_weights_nothing_is_made_up(kind):
    estimator = kind(**SMALL)
    with pytest.raises(ModelFileError, match="has no weights yet"):
        estimator.predict(samples(1)[0][0])
    with pytest.raises(ModelFileError, match="has no weights yet"):
        estimator.evaluate(samples(3))


# --- model files ------------------------------------------------------------------------------


@both
def test_one_file_tells_everything(kind, trained, model):
    estimator, _ = trained
    loaded = kind(batch_size=8)
    loaded.load(model)
    assert loaded.card == estimator.card
    assert loaded.card.class_names == ("red", "green", "blue")
    pictures = [pixels for pixels, _ in samples(5, seed=4)]
    assert loaded.predict(pictures) == estimator.predict(pictures)
    metadata = read_weights(model).metadata
    assert json.loads(metadata["class_names"]) == NAMES
    assert json.loads(metadata["input_size"]) == SIZE


def test_the_memory_lies_beside_the_model_and_goes_on(trained, model, tmp_path):
    memory = model.with_name("colours.memory.npz")
    names = [model.name, memory.name, "colours.onnx"]
    assert sorted(entry.name for entry in model.parent.iterdir()) == names
    estimator = MindSporeMobileNetV2(
        batch_size=8, epochs=1, strategy="head", replay_bytes=12 * PIXELS
    )
    estimator.load_weights(model)
    metrics = estimator.train(samples(6, seed=3))
    assert metrics["replayed"] == [12.0]
    assert estimator.memory.domains == ["round-1", "round-2"]
    assert estimator.memory.nbytes <= 12 * PIXELS
    estimator.save(tmp_path / "next.ckpt")
    assert ReplayMemory.load(tmp_path / "next.memory.npz", 10**6).nbytes == estimator.memory.nbytes


def test_a_broken_memory_stops_the_next_training_but_not_the_use(model, tmp_path):
    path = tmp_path / "m.ckpt"
    path.write_bytes(model.read_bytes())
    (tmp_path / "m.memory.npz").write_bytes(b"broken")
    estimator = TinyMSMobileNetV2()
    estimator.load(path)
    assert estimator.predict(samples(1)[0][0]).class_name == "red"
    with pytest.raises(ModelFileError, match=r"m.memory.npz"):
        TinyMSMobileNetV2().load_weights(path)


@pytest.mark.parametrize(
    ("keywords", "complaint"),
    [
        (
            {"class_names": ["ants", "bees"]},
            r"has class_names red, green, blue, this estimator is set to ants, bees",
        ),
        ({"class_names": ["green", "red", "blue"]}, "set to green, red, blue"),
        ({"class_names": ["red", "green"]}, "set to red, green"),
        ({"width": 1.0}, r"has width 0.1, this estimator is set to 1.0"),
        ({"input_size": 96}, r"has input_size 64, this estimator is set to 96"),
        ({"pad_mode": "same"}, r"has pad_mode pad, this estimator is set to same"),
    ],
)
def test_a_model_for_something_else_is_refused_with_both_names(keywords, complaint, model):
    estimator = TinyMSMobileNetV2(**keywords)
    for load in (estimator.load, estimator.load_weights):
        with pytest.raises(ForeignModelError, match=complaint):
            load(model)
    assert estimator.network is None


def unusable(kind, model, path):
    content = model.read_bytes()
    if kind == "empty":
        path.touch()
    elif kind == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "no model":
        path.write_text("hello")
    elif kind == "another network":
        mindspore.save_checkpoint(mindspore.nn.Dense(2, 2), str(path))
    elif kind == "other classes":
        save_weights(MobileNetV2(5, width_mult=0.1), path)
    elif kind == "nan":
        network = MobileNetV2(3, width_mult=0.1)
        network.head.head[1].bias.set_data(mindspore.Tensor(np.full(3, np.nan, np.float32)))
        save_weights(network, path)
    elif kind == "newer format":
        save_weights(
            MobileNetV2(3, width_mult=0.1),
            path,
            read_weights(model).metadata | {"format_version": "2"},
        )
    elif kind == "garbled metadata":
        save_weights(
            MobileNetV2(3, width_mult=0.1), path, read_weights(model).metadata | {"width": "wide"}
        )


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("missing", ModelFileError),
        ("empty", ModelFileError),
        ("truncated", ModelFileError),
        ("no model", ModelFileError),
        ("another network", ForeignModelError),
        ("other classes", ForeignModelError),
        ("nan", ModelFileError),
        ("newer format", ForeignModelError),
        ("garbled metadata", ModelFileError),
    ],
)
def test_an_unusable_model_file_leaves_the_estimator_as_it_was(kind, error, model, tmp_path):
    path = tmp_path / "unusable.ckpt"
    unusable(kind, model, path)
    estimator = TinyMSMobileNetV2(class_names=NAMES, width=0.1, input_size=SIZE)
    estimator.load(model)
    network = estimator.network
    with pytest.raises(error, match=r"unusable.ckpt"):
        estimator.load(path)
    assert estimator.network is network


def test_a_file_without_a_description_takes_the_settings(tmp_path):
    network = MobileNetV2(3, width_mult=0.1)
    save_weights(network, tmp_path / "plain.ckpt")
    named = TinyMSMobileNetV2(class_names=NAMES, width=0.1, input_size=SIZE)
    named.load(tmp_path / "plain.ckpt")
    assert named.card.class_names == tuple(NAMES)
    unnamed = TinyMSMobileNetV2(width=0.1, input_size=SIZE)
    unnamed.load(tmp_path / "plain.ckpt")
    assert unnamed.card.class_names == ("0", "1", "2")
    with pytest.raises(ConfigurationError, match="class_names must be given"):
        TinyMSMobileNetV2(width=0.1).load_weights(tmp_path / "plain.ckpt")


def test_the_onnx_file_gives_the_same_answers(model, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    estimator = TinyMSMobileNetV2(batch_size=8, export_onnx=True)
    estimator.load(model)
    estimator.save(tmp_path / "m.ckpt")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    pictures = [pixels for pixels, _ in samples(5, seed=4)]
    (logits,) = session.run(["logits"], {"pixels": load_pixels(pictures, SIZE)})
    for row, prediction in zip(logits, estimator.predict(pictures), strict=True):
        assert Prediction(row, NAMES) == pytest.approx(prediction, abs=1e-4)
    described = session.get_modelmeta().custom_metadata_map
    assert json.loads(described["class_names"]) == NAMES
