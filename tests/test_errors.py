import importlib

import pytest

from sedna_tinyms import errors
from sedna_tinyms.errors import ConfigurationError, MissingExtraError, Problems, did_you_mean, extra


def kinds():
    return [
        getattr(errors, name)
        for name in errors.__all__
        if isinstance(getattr(errors, name), type)
        and issubclass(getattr(errors, name), errors.SednaTinyMSError)
    ]


def test_the_tree_in_the_docstring_is_the_tree_in_the_code():
    for kind in kinds():
        line = next(
            line for line in errors.__doc__.splitlines() if f" {kind.__name__} ." in f" {line}"
        )
        assert f" {kind.exit_code} " in f"{line} ", line


def test_problems_are_said_together_and_the_rest_is_counted():
    problems = Problems()
    for i in range(23):
        problems.add(f"line {i}")
    with pytest.raises(
        ConfigurationError, match=r"(?s)broken:\n  line 0\n.*line 19\n  \.\.\. and 3 more"
    ):
        problems.raise_as(ConfigurationError, "broken")


def test_no_problems_raise_nothing():
    Problems().raise_as(ConfigurationError, "broken")


def test_the_nearest_name_is_offered_only_if_there_is_one():
    assert did_you_mean("treshold", ["threshold", "metric"]) == " (did you mean 'threshold'?)"
    assert did_you_mean("zzz", ["threshold", "metric"]) == ""


def test_a_missing_extra_says_how_to_install_it():
    with (
        pytest.raises(MissingExtraError, match=r"pip install 'sedna-tinyms\[report\]'"),
        extra("report", "a plot"),
    ):
        importlib.import_module("no_such_module_anywhere")
