import json
import logging

import pytest

from sedna_tinyms.errors import ConfigurationError
from sedna_tinyms.sedna.common.class_factory import ClassFactory, ClassType
from sedna_tinyms.sedna.common.config import BaseConfig, Config, Context
from sedna_tinyms.sedna.common.log import LOGGER


@pytest.fixture
def warnings_logged():
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    LOGGER.addHandler(handler)
    yield records
    LOGGER.removeHandler(handler)


def test_the_environment_is_read_when_it_is_asked_for(monkeypatch):
    for url in ("/a", "/b"):
        monkeypatch.setenv("MODEL_URL", url)
        assert BaseConfig.model_url == BaseConfig().model_url == url
    monkeypatch.delenv("MODEL_URL")
    assert BaseConfig().model_url is None


def test_an_assigned_value_stands_until_it_is_deleted(monkeypatch):
    monkeypatch.setenv("MODEL_URL", "/environment")
    config = BaseConfig()
    config.from_json({"model_url": "/assigned"})
    try:
        assert BaseConfig.model_url == BaseConfig()["model_url"] == "/assigned"
    finally:
        del config.model_url
    assert config.model_url == "/environment"


def test_there_is_one_config_and_get_takes_the_default_for_what_is_empty():
    assert BaseConfig() is BaseConfig()
    assert BaseConfig().get("namespace", "default") == "default"
    assert BaseConfig()["no_such_setting"] is None


def test_inline_json_parameters_are_read(monkeypatch):
    monkeypatch.setenv("PARAMETERS", '{"lr": 0.1, "net": {"width": 0.35}}')
    assert BaseConfig().parameter.net.width == 0.35


@pytest.mark.parametrize("text", ["lr: 0.1\n", '{"lr": 0.1}'])
def test_settings_come_from_files_too(tmp_path, text):
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    assert Config(path).lr == 0.1


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("[1]", "wrong-type"),
        ("no json", "invalid-value"),
        ("absent.yaml", "unreadable-file"),
        ("settings.py", "invalid-value"),
        ("{", "invalid-value"),
        pytest.param('{"a":' * 50_000, "invalid-value", id="nested"),
    ],
)
def test_settings_that_are_none_are_refused(raises, source, code):
    with raises(ConfigurationError, code, golden=False, value=source):
        Config(source)


def test_an_object_in_yaml_is_not_constructed(raises, tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text("!!python/object/apply:os.system ['true']")
    with raises(ConfigurationError, "invalid-value", golden=False, value=str(path)):
        Config(path)


def test_a_misspelt_setting_gets_a_suggestion():
    with pytest.raises(AttributeError, match="did you mean 'width'"):
        _ = Config({"width": 1}).witdh


def test_parameters_are_found_in_capitals_and_an_empty_one_is_absent(monkeypatch):
    monkeypatch.setenv("EPOCHS", "3")
    monkeypatch.setenv("input_shape", "224")
    monkeypatch.setenv("EMPTY", "")
    assert Context.get_parameters("epochs") == "3"
    assert Context.get_parameters("input_shape") == "224"
    assert Context.get_parameters("empty", 7) == 7


def test_an_algorithm_s_parameters_are_strings_and_yield_to_the_call(monkeypatch):
    monkeypatch.setenv("HEM_NAME", "IBT")
    given = [{"key": "threshold_img", "value": "0.9"}, {"key": "threshold_box"}]
    monkeypatch.setenv("HEM_PARAMETERS", json.dumps(given))
    assert Context.get_algorithm_from_api("HEM", threshold_box=0.8) == {
        "method": "IBT",
        "param": {"threshold_img": "0.9", "threshold_box": 0.8},
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("null", 0),
        ("", 0),
        ("{", 1),
        ("[3]", 1),
        ("7", 1),
        pytest.param("[" * 50_000, 1, id="nested"),
    ],
)
def test_unusable_parameters_are_left_out_and_said(monkeypatch, warnings_logged, text, said):
    monkeypatch.setenv("HEM_NAME", "Random")
    monkeypatch.setenv("HEM_PARAMETERS", text)
    assert Context.get_algorithm_from_api("HEM") == {"method": "Random", "param": {}}
    assert len(warnings_logged) == said


def define(name):
    def function():
        return name

    function.__qualname__ = name
    return function


def test_another_thing_under_a_taken_name_is_refused_and_the_same_again_is_not(raises):
    shelf = "test: duplicates"
    ClassFactory.register_cls(define("one"), shelf, alias="x")
    again = ClassFactory.register_cls(define("one"), shelf, alias="x")
    assert ClassFactory.get_cls(shelf, "x") is again
    with raises(ConfigurationError, "duplicate", name="x", golden=False):
        ClassFactory.register_cls(define("two"), shelf, alias="x")


def test_a_name_may_be_that_of_a_shelf():
    ClassFactory.register_cls(define("f"), "test: names", alias=ClassType.HEM)
    assert ClassFactory.is_exists("test: names", ClassType.HEM)


@pytest.mark.parametrize("name", ["Treshold", None])
def test_an_unknown_name_is_a_value_error_that_lists_the_known(raises, name):
    ClassFactory.register_cls(define("t"), "test: unknown", alias="Threshold")
    with raises(ConfigurationError, "unknown-name", name=name, valid=("Threshold",)) as raised:
        ClassFactory.get_cls("test: unknown", name)
    assert isinstance(raised.value, ValueError)
