import math

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


def test_nan_is_taken_or_refused():
    assert math.isnan(parse_json("NaN"))
    with pytest.raises(ValueError, match="-Infinity is no number of JSON"):
        parse_json("[-Infinity]", allow_nan=False)
