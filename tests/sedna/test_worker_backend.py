import json
from pathlib import Path

import pytest

from sedna_tinyms.errors import ConfigurationError, ModelFileError
from sedna_tinyms.sedna.backend import BACKENDS, set_backend
from sedna_tinyms.sedna.backend.base import BackendBase
from sedna_tinyms.testing import OneNumber


def model(path, value):
    path.write_text(json.dumps(value))
    return str(path)


class Callable(OneNumber):
    def __call__(self, inputs):
        raise AssertionError("a network was called as if it were a class")


def test_a_class_a_factory_and_an_object_will_do():
    for estimator in (OneNumber, lambda: OneNumber(), OneNumber(), Callable()):
        backend = BackendBase(estimator)
        backend.train(train_data=[1], value=0.7)
        assert backend.estimator.value == 0.7


def test_the_name_of_the_model_file():
    assert BackendBase(OneNumber).model_name == "model_finetune_.pkl"
    assert BackendBase(OneNumber, fine_tune=False).model_name == "model.pkl"
    assert BackendBase(OneNumber, model_name="net.ckpt").model_name == "net.ckpt"


def test_keyword_only_and_open_keywords_reach_the_estimator():
    def keyword_only(data, *, epochs):
        return data, epochs

    def open_keywords(data, **options):
        return data, options

    assert BackendBase.parse_kwargs(keyword_only, epochs=3, other=1) == {"epochs": 3}
    assert BackendBase.parse_kwargs(open_keywords, epochs=3) == {"epochs": 3}


def test_an_estimator_may_have_fit_alone():
    class Fitting:
        def fit(self, train_data):
            return {"loss": [train_data]}

    assert BackendBase(Fitting).train(train_data=1, epochs=3) == {"loss": [1]}


def test_a_missing_method_is_named(raises):
    with raises(ConfigurationError, "missing-method", expected=("fit", "train")):
        BackendBase(object()).train(train_data=[])


def test_a_saved_model_is_copied_and_the_local_file_stays(tmp_path):
    backend = BackendBase(OneNumber, model_save_path=str(tmp_path / "local"), model_name="m.json")
    backend.train(train_data=[], value=0.7)
    target = str(tmp_path / "other" / "model.json")
    assert backend.save(target) == target
    assert Path(target).read_text() == (tmp_path / "local" / "m.json").read_text() == "0.7"


def test_a_save_that_wrote_nothing_is_an_error(raises, tmp_path):
    class Forgetful(OneNumber):
        def save(self, model_path):
            """Write nothing."""

    with raises(ModelFileError, "missing-file"):
        BackendBase(Forgetful(), model_save_path=str(tmp_path)).save(str(tmp_path / "m"))


def test_a_missing_model_is_an_error_and_nothing_is_created(raises, tmp_path):
    backend = BackendBase(OneNumber, model_save_path=str(tmp_path))
    with raises(ModelFileError, "missing-file", path=tmp_path / "absent.json"):
        backend.load(str(tmp_path / "absent.json"))
    assert not backend.has_load
    assert not any(tmp_path.iterdir())


def test_evaluation_loads_whatever_model_the_path_names(tmp_path):
    backend = BackendBase(OneNumber)
    seen = []
    for path in (model(tmp_path / "new", 0.9), model(tmp_path / "old", 0.6)):
        backend.model_save_path = path
        seen += backend.evaluate(data=[], model_path=path)["accuracy"]
    assert seen == [0.9, 0.6]


def test_a_hot_loaded_model_stays_though_it_came_from_elsewhere(tmp_path):
    backend = BackendBase(OneNumber, model_save_path=model(tmp_path / "deployed", 0.2))
    assert backend.predict([])[0] == 0.2
    backend.load(model(tmp_path / "hot", 0.8))
    assert backend.predict([])[0] == 0.8
    assert backend.model_save_path == str(tmp_path / "deployed")


def test_a_model_is_described_for_the_controllers():
    assert BackendBase(OneNumber).model_info(
        "/home/data/out/m.ckpt", relpath="/home/data", result={"accuracy": [1.0]}
    ) == [{"format": "ckpt", "url": "/out/m.ckpt", "metrics": {"accuracy": [1.0]}}]


def test_without_a_backend_type_it_is_tinyms(monkeypatch):
    monkeypatch.delenv("BACKEND_TYPE", raising=False)
    monkeypatch.setitem(BACKENDS, "TINYMS", "types:SimpleNamespace")
    monkeypatch.setenv("MODEL_URL", "/out")
    assert set_backend(OneNumber).model_save_path == "/out"


def test_no_estimator_gives_no_backend():
    assert set_backend() is None


@pytest.mark.parametrize("name", ["TENSORFLOW", "keras", "Torch"])
def test_a_backend_that_only_kubeedge_has_is_an_error(raises, monkeypatch, name):
    monkeypatch.setenv("BACKEND_TYPE", name)
    with raises(ConfigurationError, "unsupported", name="BACKEND_TYPE", value=name.upper()):
        set_backend(OneNumber)


def test_a_misspelt_backend_is_warned_about(monkeypatch, snapshot):
    monkeypatch.setenv("BACKEND_TYPE", "TINYM")
    with pytest.warns(UserWarning, match="BACKEND_TYPE") as warned:
        backend = set_backend(OneNumber)
    assert type(backend) is BackendBase
    assert [str(each.message) for each in warned] == snapshot
