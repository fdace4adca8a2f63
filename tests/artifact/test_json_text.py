import sys

import pytest

from sedna_tinyms.artifact.json_text import parse_json


@pytest.mark.parametrize("content", ['{"a": [1, null]}', b'{"a": [1, null]}'])
def test_json_is_read(content):
    assert parse_json(content) == {"a": [1, None]}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        pytest.param("", "Expecting value", id="nothing"),
        pytest.param("{", "Expecting property name", id="half"),
        pytest.param(b"\xff\xff", "codec can't decode", id="no text"),
        pytest.param("[" * 100_000 + "]" * 100_000, "nested too deeply", id="nested arrays"),
        pytest.param('{"a":' * 100_000, "nested too deeply", id="nested objects"),
        pytest.param("1" * 5000, "Exceeds the limit", id="a long number"),
    ],
)
def test_whatever_is_wrong_is_one_error(content, what):
    with pytest.raises(ValueError, match=what):
        parse_json(content)


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999", "-1e999", "9" * 400 + ".0"])
def test_every_number_is_finite(number):
    with pytest.raises(ValueError, match=r"no number of JSON|beyond the range of a float"):
        parse_json(f'{{"loss": [0.5, {number}]}}')


def test_the_largest_and_smallest_floats_are_numbers():
    assert parse_json("[1.7976931348623157e308, 5e-324, 1e-999]") == [sys.float_info.max, 5e-324, 0]
