"""A small declarative schema: what a value of a YAML document must look like.

The resources themselves are declared in `sedna_tinyms.jobs.manifest.resources`. A check adds to the
findings and goes on, so that one look finds everything that is wrong.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sedna_tinyms.errors import Problem, did_you_mean
from sedna_tinyms.jobs.manifest.findings import Findings
from sedna_tinyms.jobs.manifest.quantities import memory_bytes
from sedna_tinyms.jobs.manifest.yaml_source import YamlNode

__all__ = [
    "Anything",
    "Boolean",
    "Field",
    "Integer",
    "Kind",
    "ListOf",
    "MapOf",
    "Number",
    "Object",
    "Quantity",
    "Text",
    "describe",
]


class Kind(ABC):
    """What a value must be."""

    def check(self, node: YamlNode, path: str, findings: Findings) -> None:
        """Add to `findings` what is wrong with the value at `path`."""
        if node.value is None:
            findings.error("missing-value", node.line, path, "is empty: write a value")
        else:
            self._check(node, path, findings)

    @abstractmethod
    def _check(self, node: YamlNode, path: str, findings: Findings) -> None:
        """Check a value that is not null."""


@dataclass(frozen=True)
class Text(Kind):
    """A text, not empty unless `may_be_empty`; `problem` says what else is wrong with one."""

    problem: Callable[[str], Problem | None] | None = None
    may_be_empty: bool = False

    def _check(self, node: YamlNode, path: str, findings: Findings) -> None:
        if not isinstance(node.value, str):
            quoting = f': write it in quotes, "{node.text}"' if node.text else ""
            findings.error(
                "wrong-type", node.line, path, f"must be a text, and is {describe(node)}{quoting}"
            )
        elif not node.value and not self.may_be_empty:
            findings.error("empty", node.line, path, "must not be empty")
        elif "\0" in node.value:
            findings.error(
                "invalid-value",
                node.line,
                path,
                f"{node.value!r} contains a NUL character: remove it",
            )
        elif self.problem is not None and (problem := self.problem(node.value)):
            findings.error(problem.code, node.line, path, problem.text)


@dataclass(frozen=True)
class Number(Kind):
    """An integer or a float; `problem` says what is wrong with one."""

    problem: Callable[[float], Problem | None] | None = None

    def _check(self, node: YamlNode, path: str, findings: Findings) -> None:
        if isinstance(node.value, bool) or not isinstance(node.value, (int, float)):
            findings.error(
                "not-a-number", node.line, path, f"must be a number, and is {describe(node)}"
            )
        elif self.problem is not None and (problem := self.problem(node.value)):
            findings.error(problem.code, node.line, path, problem.text)


@dataclass(frozen=True)
class Integer(Kind):
    """A whole number of at least `least`."""

    least: int = 0

    def _check(self, node: YamlNode, path: str, findings: Findings) -> None:
        if isinstance(node.value, bool) or not isinstance(node.value, int):
            findings.error(
                "not-an-integer",
                node.line,
                path,
                f"must be a whole number, and is {describe(node)}",
            )
        elif node.value < self.least:
            findings.error(
                "out-of-range",
                node.line,
                path,
                f"is {node.value}; it must be at least {self.least}",
            )


@dataclass(frozen=True)
class Boolean(Kind):
    """``true`` or ``false``."""

    def _check(self, node: YamlNode, path: str, findings: Findings) -> None:
        if not isinstance(node.value, bool):
            findings.error(
                "wrong-type", node.line, path, f"must be true or false, and is {describe(node)}"
            )


@dataclass(frozen=True)
class Quantity(Kind):
    """An amount of a resource: a number, or a text such as ``500m`` or ``2Gi``."""

    def _check(self, node: YamlNode, path: str, findings: Findings) -> None:
        if isinstance(node.value, bool) or not isinstance(node.value, (str, int, float)):
            findings.error(
                "wrong-type",
                node.line,
                path,
                f"must be an amount such as 2 or 500Mi, and is {describe(node)}",
            )
        elif memory_bytes(node.value) is None:
            findings.error(
                "invalid-value",
                node.line,
                path,
                f"{node.value!r} is no amount to Kubernetes: write 2 or 500Mi",
            )


@dataclass(frozen=True)
class Anything(Kind):
    """A value that is passed over."""

    def _check(self, node: YamlNode, path: str, findings: Findings) -> None:
        """Accept it."""


@dataclass(frozen=True)
class ListOf(Kind):
    """A list of at least `least` items of one kind."""

    item: Kind
    least: int = 0

    def _check(self, node: YamlNode, path: str, findings: Findings) -> None:
        if not isinstance(node.value, list):
            findings.error(
                "wrong-type", node.line, path, f"must be a list, and is {describe(node)}"
            )
            return
        if len(node.items) < self.least:
            findings.error("wrong-length", node.line, path, f"must hold at least {self.least}")
        for index, item in enumerate(node.items):
            self.item.check(item, f"{path}[{index}]", findings)


@dataclass(frozen=True)
class MapOf(Kind):
    """A mapping with keys of one's own and values of one kind."""

    value: Kind

    def _check(self, node: YamlNode, path: str, findings: Findings) -> None:
        if not isinstance(node.value, dict):
            _not_a_mapping(node, path, findings)
        for key, value in node.mapping.items():
            self.value.check(value, join(path, key), findings)


@dataclass(frozen=True)
class Field:
    """One key of an `Object`."""

    kind: Kind
    required: bool = False


@dataclass(frozen=True)
class Object(Kind):
    """A mapping with known keys; a key that is null counts as absent."""

    fields: Mapping[str, Field]

    def _check(self, node: YamlNode, path: str, findings: Findings) -> None:
        if not isinstance(node.value, dict):
            _not_a_mapping(node, path, findings)
            return
        for key, value in node.value.items():
            if key not in self.fields:
                hint = did_you_mean(key, self.fields) or f"; known are {', '.join(self.fields)}"
                findings.error(
                    "unknown-key", node.key_lines[key], join(path, key), f"is no known key{hint}"
                )
            elif value.value is not None:
                self.fields[key].kind.check(value, join(path, key), findings)
        for key, field in self.fields.items():
            if field.required and node.get(key) is None:
                line = node.key_lines.get(key, node.line)
                findings.error(
                    "missing-key", line, join(path, key), "is missing, and Sedna requires it"
                )


def _not_a_mapping(node: YamlNode, path: str, findings: Findings) -> None:
    findings.error("wrong-type", node.line, path, f"must be a mapping, and is {describe(node)}")


def join(path: str, key: str) -> str:
    """Return the JSON path of a key below `path`."""
    return f"{path}.{key}" if path else key


def describe(node: YamlNode) -> str:
    """Return what a value is, in words."""
    if isinstance(node.value, dict):
        return "a mapping"
    if isinstance(node.value, list):
        return "a list"
    if isinstance(node.value, str):
        return f"the text {node.value!r}" if len(node.value) <= 60 else "a text"
    kind = "boolean" if isinstance(node.value, bool) else "number"
    return f"the {kind} {node.text[:60]}"
