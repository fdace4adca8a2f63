"""What the backends do beyond the conformance suite, which `tests/testing` runs with them."""

import functools
import json
import stat
from pathlib import Path

import fsspec
import mindspore
import numpy as np
import pytest
from backend_estimators import (
    DenseEstimator,
    PlainEstimator,
    dense,
    write_dense,
    write_number,
)
from fsspec.core import url_to_fs

from sedna_tinyms.backend import MSBackend, TinyMSBackend
from sedna_tinyms.backend.model_files import publish
from sedna_tinyms.errors import (
    ConfigurationError,
    ForeignModelError,
    MetricsError,
    ModelFileError,
    StorageError,
)
from sedna_tinyms.tinyms.context import PYNATIVE_MODE, temporary_mode


@pytest.fixture
def backend(tmp_path):
    return TinyMSBackend(PlainEstimator, model_save_path=str(tmp_path))


@pytest.fixture
def interpreted():
    """Compile nothing, which takes longer than all that these tests do."""
    with temporary_mode(PYNATIVE_MODE):
        yield


# --- names and attributes ---------------------------------------------------------------------


def test_attributes_that_set_backend_s_consumers_read(tmp_path):
    backend = TinyMSBackend(
        estimator=PlainEstimator,
        use_cuda=False,
        model_save_path=str(tmp_path),
        model_name=None,
        model_save_url="ignored",
    )
    assert backend.framework == "tinyms"
    assert isinstance(backend.estimator, PlainEstimator)
    assert backend.fine_tune is True
    assert backend.has_load is False
    assert backend.default_name is None
    assert backend.model_save_path == str(tmp_path)


@pytest.mark.parametrize(
    ("backend_class", "keywords", "name"),
    [
        (TinyMSBackend, {}, "model_finetune_tinyms.ckpt"),
        (MSBackend, {}, "model_finetune_mindspore.ckpt"),
        (MSBackend, {"fine_tune": False}, "modelmindspore.ckpt"),
        (MSBackend, {"model_name": "helmets"}, "helmets.ckpt"),
        (MSBackend, {"model_name": "helmets.ckpt"}, "helmets.ckpt"),
        (MSBackend, {"model_name": "helmets.v2"}, "helmets.v2.ckpt"),
    ],
)
def test_model_name_always_ends_in_ckpt(backend_class, keywords, name):
    assert backend_class(PlainEstimator, **keywords).model_name == name


# --- estimators -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        DenseEstimator,
        DenseEstimator(),
        lambda: DenseEstimator(),
        functools.partial(DenseEstimator),
        dense(0.0),
        lambda: dense(0.0),
        functools.partial(dense, 0.0),
        mindspore.Model(dense(0.0)),
    ],
    ids=[
        "class",
        "instance",
        "factory",
        "partial",
        "cell",
        "cell factory",
        "partial cell",
        "model",
    ],
)
@pytest.mark.usefixtures("interpreted")
def test_an_estimator_comes_in_any_form(given, tmp_path):
    backend = TinyMSBackend(given, model_save_path=write_dense(tmp_path / "m.ckpt", 2.0))
    assert backend.predict([[1.0, 1.0]]).tolist() == [[6.0, 6.0, 6.0]]
    backend.load(write_dense(tmp_path / "n.ckpt", 3.0))
    assert backend.predict([[1.0, 1.0]]).tolist() == [[9.0, 9.0, 9.0]]


def test_a_class_with_arguments_is_refused_with_the_way_out(raises):
    class Needy:
        def __init__(self, class_names):
            self.class_names = class_names

        def predict(self, data):
            return data

    with raises(ConfigurationError, "missing-value", name="Needy", golden=False):
        TinyMSBackend(Needy)


@pytest.mark.parametrize("given", [3, "model.ckpt", lambda: 3], ids=["number", "path", "factory"])
def test_what_is_no_estimator_is_refused(raises, given):
    with raises(ConfigurationError, "wrong-type"):
        TinyMSBackend(given)


def test_a_network_is_trained_evaluated_saved_and_loaded(tmp_path):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 96)
    x = np.eye(3)[y][:, :2] * 4 + rng.normal(size=(96, 2)) * 0.1
    mindspore.set_seed(1)
    backend = TinyMSBackend(mindspore.nn.Dense(2, 3), model_save_path=str(tmp_path))
    metrics = backend.train((x, y), valid_data=(x, y), epochs=20, learning_rate=0.5, batch_size=16)
    assert metrics["loss"][-1] < metrics["loss"][0] / 4
    assert len(metrics["loss"]) == 20
    assert metrics["accuracy"] == [1.0]
    saved = backend.save()
    other = TinyMSBackend(mindspore.nn.Dense(2, 3))
    assert other.evaluate((x, y), model_path=saved)["recall"] == [1.0, 1.0, 1.0]


def test_a_compiled_model_trains_with_its_own_loss_and_is_loaded_in_place(tmp_path):
    network = mindspore.nn.Dense(2, 1, weight_init=0.0, bias_init=0.0)
    from sedna_tinyms.tinyms.model import Model

    model = Model(network)
    model.compile(mindspore.nn.MSELoss(), mindspore.nn.SGD(network.trainable_params(), 0.1))
    backend = TinyMSBackend(model, model_save_path=str(tmp_path))
    dataset = mindspore.dataset.NumpySlicesDataset(
        {"x": np.ones((8, 2), np.float32), "y": np.full((8, 1), 3, np.float32)}
    ).batch(4)
    losses = backend.train(dataset, epochs=5)["loss"]
    assert losses[-1] < losses[0] / 10
    saved = backend.save()
    trained = backend.predict([[1, 1]]).tolist()
    backend.set_weights([[[0.0, 0.0]], [0.0]])
    assert backend.predict([[1, 1]]).tolist() == [[0.0]]
    backend.load(saved)
    assert backend.predict([[1, 1]]).tolist() == trained
    assert backend.estimator.network is network


# --- train ------------------------------------------------------------------------------------


def test_fine_tuning_starts_from_the_base_model(backend, tmp_path, monkeypatch):
    monkeypatch.setenv("BASE_MODEL_URL", write_number(tmp_path / "base" / "base.ckpt", 40))
    backend.train(train_data=[1, 1])
    assert backend.estimator.number == 42
    backend.train(train_data=[1])
    assert backend.estimator.number == 43  # goes on, instead of beginning again


def test_without_fine_tuning_the_base_model_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("BASE_MODEL_URL", write_number(tmp_path / "base.ckpt", 40))
    backend = TinyMSBackend(PlainEstimator, fine_tune=False)
    backend.train([2])
    assert backend.estimator.number == 2


def test_a_base_directory_must_hold_one_model(raises, backend, tmp_path, monkeypatch):
    base = tmp_path / "base"
    write_number(base / "base.ckpt", 40)
    write_number(base / "base.memory.npz", 0)
    monkeypatch.setenv("BASE_MODEL_URL", str(base))
    backend.train([2])
    assert backend.estimator.number == 42
    write_number(base / "other.ckpt", 1)
    with raises(ModelFileError, "ambiguous", path=base, found=("base.ckpt", "other.ckpt")):
        TinyMSBackend(PlainEstimator).train([2])


@pytest.mark.parametrize("place", ["memory://jobs/base.ckpt", "base"], ids=["remote", "no suffix"])
@pytest.mark.parametrize("companion", [".memory.npz", ".strategy.npz"])
def test_a_base_model_brings_what_belongs_to_it(place, companion, tmp_path, monkeypatch):
    class Remembering(PlainEstimator):
        def load_weights(self, path):
            assert path.endswith(".ckpt")
            self.load(path)
            self.number += json.loads(Path(path.replace(".ckpt", companion)).read_text())

    url = place if "://" in place else str(tmp_path / place)
    for name, content in ((url, "40"), (url.removesuffix(".ckpt") + companion, "2")):
        with fsspec.open(name, "w") as file:
            file.write(content)
    monkeypatch.setenv("BASE_MODEL_URL", url)
    backend = TinyMSBackend(Remembering)
    backend.train([0])
    assert backend.estimator.number == 42


@pytest.mark.parametrize("place", ["memory://jobs/next.ckpt", "next.ckpt"])
def test_nothing_of_an_earlier_model_stays_beside_a_new_one(place, tmp_path):
    url = place if "://" in place else str(tmp_path / place)
    for suffix in (".onnx", ".memory.npz", ".strategy.npz"):
        with fsspec.open(url.removesuffix(".ckpt") + suffix, "w") as file:
            file.write("an earlier round's")
    (tmp_path / "saved").mkdir()
    for name in ("m.ckpt", "m.memory.npz"):
        (tmp_path / "saved" / name).write_text("this round's")
    publish(tmp_path / "saved", "m.ckpt", url)
    files, parent = url_to_fs(url.rpartition("/")[0])
    found = {name.rpartition("/")[2] for name in files.find(parent, maxdepth=1)}
    assert found >= {"next.ckpt", "next.memory.npz"}
    assert not found & {"next.onnx", "next.strategy.npz"}
    assert files.cat_file(f"{parent}/next.memory.npz") == b"this round's"


def test_an_error_names_the_model_s_own_place(raises, tmp_path):
    (tmp_path / "model.1").write_bytes(b"not a model")
    with raises(ModelFileError, "damaged", golden=False, path=tmp_path / "model.1"):
        TinyMSBackend(DenseEstimator).load(str(tmp_path / "model.1"))


@pytest.mark.parametrize(
    ("content", "code"), [(None, "missing-file"), (b"", "empty"), (b"not a model", "damaged")]
)
def test_an_unusable_base_model_stops_the_training(raises, content, code, tmp_path, monkeypatch):
    base = tmp_path / "base.ckpt"
    if content is not None:
        base.write_bytes(content)
    monkeypatch.setenv("BASE_MODEL_URL", str(base))
    backend = TinyMSBackend(PlainEstimator)
    with raises(ModelFileError, code, path=base):
        backend.train([2])
    assert backend.estimator.calls == []
    assert not backend.has_load


def test_a_foreign_base_model_stops_the_training(raises, tmp_path, monkeypatch):
    class Network(mindspore.nn.Cell):
        def __init__(self):
            super().__init__()
            self.other = dense(1.0)

    foreign = tmp_path / "foreign.ckpt"
    mindspore.save_checkpoint(Network(), str(foreign))
    monkeypatch.setenv("BASE_MODEL_URL", str(foreign))
    with raises(ForeignModelError, "foreign-model", path=foreign):
        TinyMSBackend(DenseEstimator).train([2])


def test_an_estimator_that_cannot_load_cannot_be_fine_tuned(raises, tmp_path, monkeypatch):
    class Forgetful:
        def train(self, train_data):
            return None

    monkeypatch.setenv("BASE_MODEL_URL", write_number(tmp_path / "base.ckpt", 40))
    with raises(ConfigurationError, "missing-method", name="Forgetful"):
        TinyMSBackend(Forgetful).train([1])


def test_keywords_reach_the_estimator_as_far_as_it_takes_them(caplog, snapshot):
    class Choosy(PlainEstimator):
        def train(self, train_data, *, epochs=1):
            return {"epochs": epochs}

    assert TinyMSBackend(Choosy).train([1], epochs=3, epoch=4) == {"epochs": [3.0]}
    assert [text.rpartition("<locals>.")[2] for text in caplog.messages] == snapshot


def test_training_without_metrics_reports_none(backend):
    backend.estimator.train = lambda train_data: None
    assert backend.train([1]) == {}


# --- evaluate ---------------------------------------------------------------------------------


def test_the_model_is_reloaded_when_the_path_or_the_file_changed(backend, tmp_path):
    first, second = write_number(tmp_path / "1.ckpt", 1), write_number(tmp_path / "2.ckpt", 2)
    backend.model_save_path = first
    assert backend.evaluate([]) == {"number": [1.0]}
    backend.model_save_path = second
    assert backend.evaluate([]) == {"number": [2.0]}
    write_number(tmp_path / "2.ckpt", 33)
    assert backend.evaluate([], model_path=second) == {"number": [33.0]}


def test_the_same_file_is_not_loaded_twice(backend, tmp_path):
    path = write_number(tmp_path / "1.ckpt", 1)
    backend.evaluate([], model_path=path)
    served = backend.estimator
    backend.evaluate([], model_path=path)
    assert backend.estimator is served


def test_what_was_just_trained_is_evaluated_as_it_is(backend):
    backend.train([5])
    assert backend.evaluate([]) == {"number": [5.0]}


def test_the_estimator_need_not_know_model_path(tmp_path, caplog):
    class Plain(PlainEstimator):
        def evaluate(self, data):
            return {"number": self.number}

    path = write_number(tmp_path / "1.ckpt", 1)
    assert TinyMSBackend(Plain).evaluate([], model_path=path) == {"number": [1.0]}
    assert "model_path" not in caplog.text


def test_nan_in_an_evaluation_is_an_error_with_a_reason(raises, backend, tmp_path):
    backend.estimator.evaluate = lambda data: {"accuracy": float("nan")}
    backend.has_load = True
    with raises(MetricsError, "not-finite"):
        backend.evaluate([])


# --- save -------------------------------------------------------------------------------------


def test_save_writes_where_the_job_says_and_everyone_can_read_it(tmp_path):
    backend = TinyMSBackend(DenseEstimator, model_save_path=str(tmp_path / "train" / "1"))
    path = backend.save(str(tmp_path / "train" / "1" / "model_finetune_tinyms.ckpt"))
    assert path == str(tmp_path / "train" / "1" / "model_finetune_tinyms.ckpt")
    entries = list((tmp_path / "train" / "1").iterdir())
    assert [entry.name for entry in entries] == ["model_finetune_tinyms.ckpt"]
    assert stat.S_IMODE(entries[0].stat().st_mode) == 0o644


def test_save_elsewhere_leaves_the_local_file(backend, tmp_path):
    backend.train([7])
    elsewhere = tmp_path / "elsewhere" / "copy.ckpt"
    assert backend.save(str(elsewhere)) == str(elsewhere)
    assert json.loads(elsewhere.read_text()) == 7
    assert json.loads((tmp_path / "model_finetune_tinyms.ckpt").read_text()) == 7


def test_save_to_a_remote_place_leaves_the_local_file(backend, tmp_path):
    backend.train([7])
    assert backend.save("memory://bucket/m.ckpt", "local") == "memory://bucket/m.ckpt"
    with fsspec.open("memory://bucket/m.ckpt") as remote:
        assert json.load(remote) == 7
    assert (tmp_path / "local.ckpt").is_file()
    backend.load("memory://bucket/m.ckpt")
    assert backend.predict(None) == [7, None]


def test_save_below_a_remote_directory(tmp_path):
    backend = TinyMSBackend(PlainEstimator, model_save_path="memory://bucket/train/1")
    backend.train([8])
    assert backend.save() == "memory://bucket/train/1/model_finetune_tinyms.ckpt"
    assert backend.evaluate([], model_path=backend.save()) == {"number": [8.0]}


def test_siblings_go_with_the_model_and_stale_ones_go_away(tmp_path):
    class WithSiblings(PlainEstimator):
        def save(self, model_path):
            super().save(model_path)
            if self.number == 1:
                super().save(model_path.replace(".ckpt", ".memory.npz"))
                super().save(model_path.replace(".ckpt", ".onnx"))

    backend = TinyMSBackend(WithSiblings, model_save_path=str(tmp_path / "here"))
    backend.train([1])
    backend.save(str(tmp_path / "there" / "x.ckpt"))
    assert sorted(entry.name for entry in (tmp_path / "there").iterdir()) == [
        "x.ckpt",
        "x.memory.npz",
        "x.onnx",
    ]
    backend.train([1])
    backend.save(str(tmp_path / "there" / "x.ckpt"))
    assert [entry.name for entry in (tmp_path / "there").iterdir()] == ["x.ckpt"]


def test_a_failing_save_leaves_the_old_model(backend, tmp_path):
    backend.train([1])
    path = backend.save()

    def half_a_save(model_path):
        with open(model_path, "w") as file:  # noqa: PTH123
            file.write("half")
        raise OSError("no space left on device")

    backend.estimator.save = half_a_save
    with pytest.raises(OSError, match="no space left"):
        backend.save()
    assert backend.evaluate([], model_path=path) == {"number": [1.0]}
    assert [entry.name for entry in tmp_path.iterdir()] == ["model_finetune_tinyms.ckpt"]


def test_a_save_that_writes_nothing_is_an_error(raises, backend):
    backend.estimator.save = lambda model_path: None
    with raises(StorageError, "missing-file", name="model_finetune_tinyms.ckpt", golden=False):
        backend.save()


# --- load -------------------------------------------------------------------------------------


def test_predict_loads_the_model_first(tmp_path):
    path = write_number(tmp_path / "m.ckpt", 4)
    backend = TinyMSBackend(PlainEstimator, model_save_path=path)
    assert backend.predict("x") == [4, "x"]
    assert backend.has_load


def test_predict_without_a_model_is_an_error_and_creates_nothing(raises, tmp_path):
    backend = TinyMSBackend(DenseEstimator, model_save_path=str(tmp_path / "deploy.ckpt"))
    with raises(ModelFileError, "missing-file", path=tmp_path / "deploy.ckpt"):
        backend.predict([[1.0, 1.0]])
    assert not backend.has_load
    assert list(tmp_path.iterdir()) == []


def test_a_directory_in_the_model_s_place_is_named(raises, tmp_path):
    (tmp_path / "deploy.ckpt").mkdir()
    backend = TinyMSBackend(DenseEstimator, model_save_path=str(tmp_path / "deploy.ckpt"))
    with raises(ModelFileError, "not-a-file", path=tmp_path / "deploy.ckpt"):
        backend.predict([[1.0, 1.0]])
    assert not backend.has_load


def broken_file(kind, tmp_path):
    path = tmp_path / f"{kind}.ckpt"
    if kind == "truncated":
        write_dense(path, 1.0)
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-20])
    elif kind == "other classes":
        write_dense(path, 1.0, outputs=5)
    elif kind == "foreign":
        mindspore.save_checkpoint(mindspore.nn.BatchNorm2d(3), str(path))
    elif kind == "nan":
        write_dense(path, float("nan"))
    return path


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("kind", ["truncated", "other classes", "foreign", "nan"])
@pytest.mark.parametrize("estimator", [DenseEstimator, lambda: dense(0.0)], ids=["own", "cell"])
def test_a_failed_load_leaves_the_old_model_in_service(kind, estimator, tmp_path):
    backend = TinyMSBackend(estimator)
    path = broken_file(kind, tmp_path)
    with pytest.raises((ModelFileError, RuntimeError)):
        backend.load(str(path))
    assert not backend.has_load

    backend.load(write_dense(tmp_path / "m.ckpt", 2.0))
    served = backend.estimator
    before = sorted(tmp_path.iterdir())
    with pytest.raises((ModelFileError, RuntimeError)):
        backend.load(str(path))
    assert backend.estimator is served
    assert backend.has_load
    assert backend.predict([[1.0, 1.0]]).tolist() == [[6.0, 6.0, 6.0]]
    assert sorted(tmp_path.iterdir()) == before


def test_a_failed_load_is_tried_again(backend, tmp_path):
    path = tmp_path / "m.ckpt"
    path.write_text("{half")
    with pytest.raises(ModelFileError):
        backend.load(str(path))
    write_number(path, 6)
    backend.load(str(path))
    assert backend.predict(0) == [6, 0]


def test_an_instance_that_cannot_be_copied_survives_a_failed_load(tmp_path):
    class Uncopyable(DenseEstimator):
        def __deepcopy__(self, memo):
            raise TypeError("holds a socket")

        def load(self, model_url):
            self.network.weight.set_data(mindspore.Tensor(np.full((3, 2), 9, np.float32)))
            self.loaded_from = model_url
            super().load(model_url)

    estimator = Uncopyable()
    backend = TinyMSBackend(estimator, model_save_path=write_dense(tmp_path / "m.ckpt", 2.0))
    assert backend.predict([[1.0, 1.0]]).tolist() == [[6.0, 6.0, 6.0]]
    assert backend.estimator is estimator
    before = estimator.loaded_from
    with pytest.raises(RuntimeError):
        backend.load(str(broken_file("other classes", tmp_path)))
    assert backend.predict([[1.0, 1.0]]).tolist() == [[6.0, 6.0, 6.0]]
    assert estimator.loaded_from == before


def test_a_checkpoint_with_optimizer_state_loads(tmp_path):
    network = dense(2.0)
    optimizer = mindspore.nn.Momentum(network.trainable_params(), 0.1, 0.9)
    step = mindspore.nn.TrainOneStepCell(
        mindspore.nn.WithLossCell(network, mindspore.nn.MSELoss()), optimizer
    )
    mindspore.save_checkpoint(step, str(tmp_path / "m.ckpt"))
    backend = TinyMSBackend(dense(0.0), model_save_path=str(tmp_path / "m.ckpt"))
    assert backend.predict([[1.0, 1.0]]).tolist() == [[6.0, 6.0, 6.0]]


# --- weights ----------------------------------------------------------------------------------


def test_weights_come_and_go_as_arrays_or_nested_lists():
    backend = TinyMSBackend(dense(2.0))
    weights = backend.get_weights()
    assert [w.shape for w in weights] == [(3, 2), (3,)]
    assert all(w.dtype == np.float32 for w in weights)
    backend.set_weights([(w * 2).tolist() for w in weights])
    assert backend.has_load
    assert backend.predict([[1.0, 1.0]]).tolist() == [[12.0] * 3]
    assert [w.tolist() for w in backend.get_weights()] == [[[4.0, 4.0]] * 3, [4.0] * 3]


@pytest.mark.parametrize(
    ("weights", "code", "indices"),
    [
        ([np.ones((3, 2), np.float32)], "wrong-length", []),
        ([np.ones((2, 3)), np.ones(3)], "wrong-shape", [0]),
        ([np.ones((3, 2)), np.ones(3, np.int64)], "wrong-type", [1]),
        ([np.ones((3, 2)), [1, 2, 3]], "wrong-type", [1]),
        ([np.ones((3, 2)), [1.0, [2.0], 3.0]], "wrong-shape", [1]),
        ([np.ones((3, 2)), [1.0, float("nan"), 3.0]], "not-finite", [1]),
    ],
    ids=["too few", "shape", "integer array", "integers", "ragged", "nan"],
)
def test_weights_that_do_not_fit_change_nothing(raises, weights, code, indices):
    backend = TinyMSBackend(dense(2.0))
    with raises(ConfigurationError, code) as raised:
        backend.set_weights(weights)
    assert [each.fields["index"] for each in raised.value.problems] == indices
    assert not backend.has_load
    assert backend.get_weights()[0].tolist() == [[2.0, 2.0]] * 3


def test_an_estimator_s_own_weights_are_used():
    class Own(PlainEstimator):
        weights = ([1.0, 2.0],)

        def get_weights(self):
            return self.weights

        def set_weights(self, weights):
            self.weights = weights

    backend = TinyMSBackend(Own)
    backend.set_weights([[3.0, 4.0]])
    assert [w.tolist() for w in backend.get_weights()] == [[3.0, 4.0]]


# --- model_info -------------------------------------------------------------------------------


def test_model_info_reports_checkpoint_first_then_onnx(backend, tmp_path):
    path = write_number(tmp_path / "train" / "m.ckpt", 1)
    info = backend.model_info(path, relpath=str(tmp_path), result={"loss": np.float32(0.5)})
    assert info == [{"format": "ckpt", "url": "/train/m.ckpt", "metrics": {"loss": [0.5]}}]
    (tmp_path / "train" / "m.onnx").touch()
    assert [(entry["format"], entry["url"]) for entry in backend.model_info(path)] == [
        ("ckpt", path),
        ("onnx", path.replace(".ckpt", ".onnx")),
    ]


def test_a_training_says_how_long_saving_took_and_an_evaluation_does_not(backend, tmp_path):
    backend.model_save_path = str(tmp_path)
    metrics = backend.train([1])
    model = backend.save()
    (info,) = backend.model_info(model, result=metrics)
    (seconds,) = info["metrics"]["seconds_saving"]
    assert seconds > 0
    measured = backend.evaluate(None, model_path=model)
    (info,) = backend.model_info(model, result=measured)
    assert "seconds_saving" not in info["metrics"]


def test_what_an_estimator_computes_with_is_in_its_entries(backend, tmp_path):
    backend.estimator.engines = {"frozen part": "onnxruntime f32 on 1 thread: asked for"}
    (info,) = backend.model_info("m.ckpt")
    assert info["engines"] == backend.estimator.engines


def test_model_info_packs_which_samples_are_right(backend, tmp_path):
    """A cluster keeps every round's report in the job's resource, which may hold 1.5 MB."""
    result = {"accuracy": [0.5], "correct": [1.0, 0.0] * 500, "valid_correct": [1.0] * 500}
    (entry,) = backend.model_info(tmp_path / "m.ckpt", result=result)
    assert set(entry["metrics"]) == {"accuracy", "correct_bits"}
    assert len(json.dumps(entry)) < 600


@pytest.mark.parametrize(
    ("url", "prefix", "shown"),
    [
        ("/home/data/output/m.ckpt", "/home/data", "/output/m.ckpt"),
        ("/home/data/output/m.ckpt", "/home/data/", "/output/m.ckpt"),
        ("/home/data2/m.ckpt", "/home/data", "/home/data2/m.ckpt"),
        ("/output/m.ckpt", "/home/data", "/output/m.ckpt"),
        ("/output/m.ckpt", "", "/output/m.ckpt"),
        ("/output/m.ckpt", None, "/output/m.ckpt"),
    ],
)
def test_a_path_prefix_is_cut_at_a_directory(backend, url, prefix, shown):
    assert backend.model_info(url, relpath=prefix)[0]["url"] == shown


def test_metrics_of_model_info_are_a_json_object(raises, backend):
    assert backend.model_info("m.ckpt", result=None)[0]["metrics"] == {}
    with raises(MetricsError, "wrong-type"):
        backend.model_info("m.ckpt", result=0.9)
