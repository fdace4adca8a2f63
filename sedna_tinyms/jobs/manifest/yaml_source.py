"""Reads YAML the way ``kubectl`` does, remembering where every key and value stands.

Nodes are composed and nothing is ever constructed: a tag such as ``!!python/object`` cannot do
more than be refused with its line.

Plain scalars mean what they mean to ``kubectl``, which reads YAML 1.1 through Go's yaml.v2:

==================================================  ==========================================
``20:00``, ``24:00``, ``2026-01-01``                text (by the letter of YAML 1.1, the first is
                                                    the number 1200)
``yes``, ``no``, ``on``, ``off``, ``y``, ``true``   booleans: quote them where a text is wanted
``8``, ``010``, ``0o10``, ``0x8``, ``0b1000``       integers
``1e3``, ``.5``                                     floats; ``.inf`` and ``.nan`` are refused,
                                                    because JSON has no such numbers
``~``, ``null``, nothing                            null
==================================================  ==========================================

Stricter than ``kubectl``: a duplicate key is an error (there the last one wins), and so is any
tag beyond ``!!str``, ``!!int``, ``!!float``, ``!!bool``, ``!!null``, ``!!map`` and ``!!seq``.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import yaml
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from sedna_tinyms.errors import JobSpecError

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_NODES",
    "YamlNode",
    "parse_documents",
    "read_documents",
    "text_at",
]

MAX_BYTES = 1 << 20
"""The largest file that is read: 1 MiB, about what etcd stores of one object."""

MAX_DEPTH = 64
"""How deep lists and mappings may nest."""

MAX_NODES = 50_000
"""How many values a file may hold, aliases expanded."""

Scalar: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True)
class YamlNode:
    """A value with its place in the file (lines and columns count from 1).

    Attributes
    ----------
    value : str, int, float, bool, None, list of YamlNode, or dict of str to YamlNode
        The value; containers hold nodes again.
    text : str
        A scalar as written, without quotes.
    key_lines : dict of str to int
        Of a mapping: the line of every key.
    """

    value: Scalar | list[YamlNode] | dict[str, YamlNode]
    line: int
    column: int
    text: str = ""
    key_lines: dict[str, int] = field(default_factory=dict)

    @property
    def mapping(self) -> dict[str, YamlNode]:
        """The value if it is a mapping, else an empty one."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[YamlNode]:
        """The value if it is a list, else an empty one."""
        return self.value if isinstance(self.value, list) else []

    def get(self, *keys: str) -> YamlNode | None:
        """Return the node found by following `keys`, or None where one is missing or null."""
        node: YamlNode | None = self
        for key in keys:
            node = node.mapping.get(key) if node is not None else None
        return None if node is None or node.value is None else node

    def plain(self) -> object:
        """Return the value as plain data, as JSON would hold it."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


def text_at(node: YamlNode | None, *keys: str) -> str | None:
    """Return the text found by following `keys` from a node; None where there is none."""
    found = node.get(*keys) if node is not None else None
    return found.value if found is not None and isinstance(found.value, str) else None


def read_documents(path: Path | str) -> list[YamlNode]:
    """Read every document of a YAML file that holds anything.

    Raises
    ------
    JobSpecError
        If the file cannot be read, is too large, is not UTF-8, is not YAML, or holds a custom
        tag or a duplicate key. The message begins with the file and the line.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise JobSpecError(
            f"cannot read the job YAML {path}: {error.strerror}",
            code="missing-file" if isinstance(error, FileNotFoundError) else "unreadable-file",
            path=str(path),
        ) from error
    return parse_documents(content, path)


def parse_documents(content: bytes, source: Path | str) -> list[YamlNode]:
    """Parse the content of a YAML file; `source` is what error messages call it."""
    if len(content) > MAX_BYTES:
        raise JobSpecError(
            f"{source} is larger than {MAX_BYTES} bytes, and a job YAML is a few thousand: "
            "is this the right file?",
            code="too-large",
            path=str(source),
            most=MAX_BYTES,
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise JobSpecError(
            f"{source}:{line}: byte 0x{byte:02x} is not UTF-8: save the file as UTF-8",
            code="not-utf8",
            path=str(source),
            line=line,
        ) from error
    try:
        return _documents(text)
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise JobSpecError(
            f"{source}:{line}: the character U+{ord(text[error.position]):04X} is not allowed in "
            "YAML: remove it",
            code="not-yaml",
            path=str(source),
            line=line,
        ) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        context = f"{error.context}: " if error.context else ""
        line = mark.line + 1 if mark else 1
        raise JobSpecError(
            f"{source}:{line}: not YAML: {context}{error.problem}",
            code=error.code if isinstance(error, _RefusedYamlError) else "not-yaml",
            path=str(source),
            line=line,
        ) from error


def _documents(text: str) -> list[YamlNode]:
    composer = _NodeComposer(text)
    converter = _Converter()
    documents = []
    try:
        while composer.check_node():
            node = composer.get_node()
            if node is not None:
                documents.append(converter.convert(node))
    except (ValueError, OverflowError) as error:
        # PyYAML converts \U escapes and %YAML versions without a look at their size.
        raise yaml.MarkedYAMLError(problem=str(error), problem_mark=composer.get_mark()) from error
    return [document for document in documents if document.value is not None]


class _RefusedYamlError(yaml.MarkedYAMLError):
    """YAML that is refused here, with the code of the error that it ends in."""

    def __init__(self, code: str, problem: str, mark: yaml.Mark) -> None:
        super().__init__(problem=problem, problem_mark=mark)
        self.code = code


class _NodeComposer(Reader, Scanner, Parser, Composer, BaseResolver):
    """PyYAML's loader without a constructor, and with limits."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)
        self._depth = 0
        self._count = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._count += 1
        self._depth += 1
        _check_limits(self._count, self._depth, self.get_mark())
        node = Composer.compose_node(self, parent, index)
        self._depth -= 1
        return node

    def resolve(self, kind: type[yaml.Node], value: object, implicit: object) -> str:
        """Leave it to `_plain_scalar` what an unquoted scalar is."""
        if kind is yaml.ScalarNode and isinstance(implicit, tuple) and implicit[0]:
            return PLAIN
        return str(BaseResolver.resolve(self, kind, value, implicit))  # type: ignore[no-untyped-call]


def _check_limits(count: int, depth: int, mark: yaml.Mark) -> None:
    if count > MAX_NODES:
        problem = f"more than {MAX_NODES} values once aliases are expanded"
    elif depth > MAX_DEPTH:
        problem = f"nested deeper than {MAX_DEPTH} levels"
    else:
        return
    raise _RefusedYamlError("too-large", problem, mark)


class _Converter:
    """Turns PyYAML's nodes into `YamlNode`, resolving scalars, aliases and merge keys."""

    def __init__(self) -> None:
        self._depth = 0
        self._count = 0

    def convert(self, node: yaml.Node) -> YamlNode:
        self._count += 1
        self._depth += 1
        # An alias is the node itself once more, also inside itself: both limits count here again.
        _check_limits(self._count, self._depth, node.start_mark)
        kind = node.tag.removeprefix(STANDARD)
        if kind not in TAGS[type(node)]:
            raise _error(
                node,
                "unsupported",
                f"the tag {_written(node.tag)} is not allowed here: write the value plainly",
            )
        converted = self._value(node, kind)
        self._depth -= 1
        return converted

    def _value(self, node: yaml.Node, kind: str) -> YamlNode:
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        if isinstance(node, yaml.MappingNode):
            entries, key_lines = self._entries(node)
            return YamlNode(entries, line, column, key_lines=key_lines)
        if isinstance(node, yaml.SequenceNode):
            return YamlNode([self.convert(item) for item in node.value], line, column)
        return YamlNode(_scalar(node, kind), line, column, text=node.value)

    def _entries(self, node: yaml.MappingNode) -> tuple[dict[str, YamlNode], dict[str, int]]:
        entries: dict[str, YamlNode] = {}
        key_lines: dict[str, int] = {}
        merged: list[YamlNode] = []
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _error(
                    key_node, "wrong-type", "a key must be a text, not a list or a mapping"
                )
            key = self.convert(key_node)
            if key_node.tag == PLAIN and key.text == "<<":
                merged += self._merge_sources(value_node)
                continue
            if key.text in entries:
                first = key_lines[key.text]
                raise _error(
                    key_node,
                    "duplicate",
                    f"the key {key.text!r} stands here for the second time (first in line "
                    f"{first}): remove one",
                )
            entries[key.text] = self.convert(value_node)
            key_lines[key.text] = key.line
        for source in merged:
            for name, value in source.mapping.items():
                entries.setdefault(name, value)
                key_lines.setdefault(name, source.key_lines[name])
        return entries, key_lines

    def _merge_sources(self, node: yaml.Node) -> list[YamlNode]:
        source = self.convert(node)
        sources = source.items if isinstance(source.value, list) else [source]
        if not all(isinstance(each.value, dict) for each in sources):
            raise _error(
                node, "wrong-type", "the merge key << takes a mapping, or a list of mappings"
            )
        return sources


STANDARD = "tag:yaml.org,2002:"
PLAIN = "plain"
"""The tag of an unquoted scalar that has none of its own."""

SCALAR_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "null": (type(None),),
}
TAGS: dict[type[yaml.Node], set[str]] = {
    yaml.ScalarNode: {PLAIN, *SCALAR_TYPES},
    yaml.SequenceNode: {"seq"},
    yaml.MappingNode: {"map"},
}


def _error(node: yaml.Node, code: str, problem: str) -> _RefusedYamlError:
    return _RefusedYamlError(code, problem, node.start_mark)


def _written(tag: str) -> str:
    return f"!!{tag.removeprefix(STANDARD)}" if tag.startswith(STANDARD) else tag


def _scalar(node: yaml.Node, kind: str) -> Scalar:
    text: str = node.value
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise _error(
            node, "not-utf8", "half of a surrogate pair is not a character: write \\U0001F600"
        )
    if kind == "str":
        return text
    value = _plain_scalar(text)
    if isinstance(value, float) and not math.isfinite(value):
        raise _error(
            node,
            "not-finite",
            f"{text} is a number that Kubernetes cannot hold: write a finite one",
        )
    if kind == PLAIN:
        return value
    if type(value) not in SCALAR_TYPES[kind]:
        raise _error(node, "wrong-type", f"{text!r} is not what its tag {_written(node.tag)} says")
    return float(value) if kind == "float" and isinstance(value, int) else value


def _spellings(word: str) -> tuple[str, str, str]:
    return word, word.capitalize(), word.upper()


CONSTANTS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", *_spellings("null")), None),
    **{text: True for word in ("y", "yes", "on", "true") for text in _spellings(word)},
    **{text: False for word in ("n", "no", "off", "false") for text in _spellings(word)},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
INTEGERS = {
    16: re.compile(r"([-+]?)0[xX]([0-9a-fA-F]{1,16})"),
    8: re.compile(r"([-+]?)0[oO]?([0-7]{1,21})"),
    2: re.compile(r"([-+]?)0[bB]([01]{1,64})"),
    10: re.compile(r"([-+]?)(0|[1-9][0-9]{0,18})"),
}
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def _plain_scalar(text: str) -> Scalar:
    """Return what an unquoted text means (see the table at the top of this module)."""
    if text in CONSTANTS:
        return CONSTANTS[text]
    if text[0] not in "+-.0123456789":
        return text
    number = text.replace("_", "")
    for base, pattern in INTEGERS.items():
        match = pattern.fullmatch(number)
        if match:
            return int(match[1] + match[2], base)
    return float(number) if FLOAT.fullmatch(number) else text
