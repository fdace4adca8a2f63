from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedna_tinyms.errors import JobSpecError
from sedna_tinyms.jobs.manifest.yaml_source import (
    MAX_BYTES,
    MAX_NODES,
    YamlNode,
    parse_documents,
    read_documents,
)


def parse(text: str) -> YamlNode:
    (document,) = parse_documents(text.encode(), "job.yaml")
    return document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("20:00", "20:00"),
        ("02:00", "02:00"),
        ("24:00", "24:00"),
        ("190:20:30", "190:20:30"),
        ("2026-01-01", "2026-01-01"),
        ("yes", True),
        ("OFF", False),
        ("y", True),
        ("oN", "oN"),
        ("~", None),
        ("", None),
        ("0.8", 0.8),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-7", -7),
        ("+7", 7),
        ("010", 8),
        ("0o10", 8),
        ("0x1F", 31),
        ("0b101", 5),
        ("089", 89.0),
        ("1_000", 1000),
        ("18446744073709551616", 18446744073709551616.0),
        (".", "."),
        ("1.2.3", "1.2.3"),
        ("/data/train.txt", "/data/train.txt"),
        ("'8'", "8"),
        ('"yes"', "yes"),
        ("!!str 8", "8"),
        ("!!float 8", 8.0),
        ("!!int '8'", 8),
    ],
)
def test_scalars_mean_what_they_mean_to_kubectl(text: str, value: object) -> None:
    node = parse(f"key: {text}\n").mapping["key"]
    assert node.value == value
    assert type(node.value) is type(value)


def test_every_value_and_key_knows_its_place() -> None:
    document = parse("spec:\n  args:\n    - train.py\n    - x\n  name: job\n")
    spec = document.mapping["spec"]
    assert spec.key_lines == {"args": 2, "name": 5}
    item = spec.mapping["args"].items[1]
    assert (item.line, item.column, item.value) == (4, 7, "x")


def test_documents_are_told_apart_and_empty_ones_skipped() -> None:
    documents = parse_documents(b"---\na: 1\n---\n---\n# nothing\n---\nb: 2\n", "job.yaml")
    assert [document.plain() for document in documents] == [{"a": 1}, {"b": 2}]
    assert documents[1].line == 7


def test_aliases_and_merge_keys_are_expanded(raises: Any) -> None:
    document = parse("base: &base {a: 1, b: 2}\nother:\n  <<: *base\n  b: 3\nlist: [*base]\n")
    assert document.plain() == {
        "base": {"a": 1, "b": 2},
        "other": {"a": 1, "b": 3},
        "list": [{"a": 1, "b": 2}],
    }
    with raises(JobSpecError, "wrong-type", line=1):
        parse("a: &a 1\nb:\n  <<: *a\n")


def test_a_byte_order_mark_and_windows_line_ends_are_harmless() -> None:
    (document,) = parse_documents(b"\xef\xbb\xbfa: 1\r\nb: x\r\n", "job.yaml")
    assert document.plain() == {"a": 1, "b": "x"}
    assert document.key_lines == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "line", "code"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "duplicate"),
        ("a: 1\nb: !!python/object:os.system {}\n", 2, "unsupported"),
        ("a: !!python/object/apply:os.system ['true']\n", 1, "unsupported"),
        ("a: !secret x\n", 1, "unsupported"),
        ("a: !!binary aGVsbG8=\n", 1, "unsupported"),
        ("a: !!timestamp 2026-01-01\n", 1, "unsupported"),
        ("a: !!set {x, y}\n", 1, "unsupported"),
        ("a: 1\nb: .nan\n", 2, "not-finite"),
        ("a: 1e999\n", 1, "not-finite"),
        ("a: !!int x\n", 1, "wrong-type"),
        ("? [a, b]\n: 1\n", 1, "wrong-type"),
        ('a: "\\ud800"\n', 1, "not-utf8"),
        ("a: 1\nb: \x07\n", 2, "not-yaml"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(
    raises: Any, text: str, line: int, code: str
) -> None:
    with raises(JobSpecError, code, path="job.yaml", line=line):
        parse(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a:\n  - 1\n b: 2\n", 3),
        ("a: [1, 2\n", 2),
        ("a: 1\n\tb: 2\n", 2),
        ("a: *nowhere\n", 1),
        ('a: 1\nb: "\\UFFFFFFFF"\n', 2),
        pytest.param("%YAML " + "9" * 5000 + ".1\n---\na: 1\n", 1, id="version"),
    ],
)
def test_what_is_not_yaml_is_named_with_its_line(raises: Any, text: str, line: int) -> None:
    with raises(JobSpecError, "not-yaml", golden=False, path="job.yaml", line=line) as raised:
        parse(text)
    assert str(raised.value).startswith(f"job.yaml:{line}: not YAML: ")


@pytest.mark.parametrize(
    ("content", "line"), [(b"a: 1\nb: caf\xe9\n", 2), ("a: 1\n".encode("utf-16"), 1)]
)
def test_bytes_that_are_not_utf_8_are_named_with_their_line(
    raises: Any, content: bytes, line: int
) -> None:
    with raises(JobSpecError, "not-utf8", line=line):
        parse_documents(content, "job.yaml")


BOMB = "a0: &a0 [x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(BOMB, id="aliases of aliases"),
        pytest.param("[" * 100_000, id="deep"),
        pytest.param("a: &a [*a]\n", id="alias of itself"),
        pytest.param("- x\n" * (MAX_NODES + 1), id="long"),
        pytest.param("#" * (MAX_BYTES + 1), id="large"),
    ],
)
def test_bombs_are_defused(raises: Any, text: str) -> None:
    with raises(JobSpecError, "too-large", path="job.yaml"):
        parse(text)


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, raises: Any) -> None:
    path = tmp_path / "none.yaml"
    with raises(JobSpecError, "missing-file", golden=False, path=path):
        read_documents(path)
    with raises(JobSpecError, "unreadable-file", golden=False, path=tmp_path):
        read_documents(tmp_path)


def refusal(content: bytes) -> str | None:
    try:
        for document in parse_documents(content, "job.yaml"):
            document.plain()
    except JobSpecError as error:
        return str(error)
    return None


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_reader(content: bytes) -> None:
    message = refusal(content)
    assert message is None or message.startswith("job.yaml:")


@given(st.text(alphabet="ab:- \n\t[]{}&*!|>%@'\"\\#?,<.0x~_UuX+1\u2028\ud7ff", max_size=60))
def test_no_text_crashes_the_reader(text: str) -> None:
    message = refusal(text.encode())
    assert message is None or message.startswith("job.yaml:")
