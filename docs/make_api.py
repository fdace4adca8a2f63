"""Writes the API reference: ``python docs/make_api.py > docs/api.md``.

A line for each public name, from its signature and the first line of its docstring. What MindSpore
brings under a TinyMS name is MindSpore's to document and is left out.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from enum import Enum
from typing import Any

MODULES = {
    "Jobs": [
        "sedna_tinyms.jobs",
        "sedna_tinyms.jobs.runner",
        "sedna_tinyms.jobs.events",
        "sedna_tinyms.jobs.explanation",
        "sedna_tinyms.jobs.rehearsal",
        "sedna_tinyms.jobs.rollback",
        "sedna_tinyms.jobs.versions",
    ],
    "Diagnosis": ["sedna_tinyms.diagnosis"],
    "Estimators": ["estimators", "estimators.canary"],
    "Backends and worker library": [
        "sedna_tinyms.backend",
        "sedna_tinyms.plugin",
        "sedna_tinyms.sedna",
        "sedna_tinyms.testing",
    ],
    "Learning": [
        f"sedna_tinyms.learning.{name}"
        for name in (
            "strategies",
            "cache",
            "activations",
            "memory",
            "selection",
            "accuracy_matrix",
            "metrics",
            "mining",
            "hard_examples",
        )
    ],
    "Engines": ["sedna_tinyms.engine", "sedna_tinyms.engine.mindspore_engine"],
    "TinyMS core": [
        "sedna_tinyms.tinyms",
        *(
            f"sedna_tinyms.tinyms.{name}"
            for name in (
                "model",
                "model.mobilenetv2_onnx",
                "vision",
                "data",
                "losses",
                "optimizers",
                "metrics",
                "callbacks",
                "context",
                "hub",
                "serving",
            )
        ),
    ],
    "Files": [
        f"sedna_tinyms.artifact.{name}"
        for name in (
            *("store", "version", "description", "manifest", "signing", "signed_file"),
            "comparison",
            *("weights_content", "files", "fetch", "unpack", "remote", "lock"),
        )
    ],
    "Pictures": ["sedna_tinyms.pictures"],
    "Ground": ["sedna_tinyms.heartbeat", "sedna_tinyms.onednn", "sedna_tinyms.errors"],
}
OURS = ("sedna_tinyms", "estimators")
LONGEST_DEFAULT = 16

HEADER = """# API

What each name is, in a line; parameters, units, errors and sources are in its docstring
(`help(name)`). The embedded worker library has the names of KubeEdge Sedna's.
Written by `docs/make_api.py`.
"""


def main() -> None:
    """Write the page to the standard output."""
    lines = [HEADER]
    for room, names in MODULES.items():
        lines.append(f"## {room}\n")
        for name in names:
            module = importlib.import_module(name)
            lines.append(f"### `{name}`\n")
            lines.append(f"{_first_line(module)}\n")
            lines += [*_entries(module), ""]
    sys.stdout.write("\n".join(lines).rstrip() + "\n")


def _entries(module: Any) -> Iterator[str]:
    for name in sorted(module.__all__, key=str.lower):
        value = getattr(module, name)
        if not callable(value) or not str(getattr(value, "__module__", "")).startswith(OURS):
            continue
        yield f"- **`{name}{_parameters(value)}`** {_first_line(value)}"


def _parameters(value: Any) -> str:
    if inspect.isclass(value):
        if issubclass(value, Enum):
            return f": {', '.join(value.__members__)}"
        if issubclass(value, Exception) or getattr(value, "_is_protocol", False):
            return ""
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return "(...)"
    return f"({', '.join(map(_parameter, parameters))})"


def _parameter(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    if parameter.default is parameter.empty:
        return f"{stars}{parameter.name}"
    default = repr(parameter.default)
    return f"{parameter.name}={default if len(default) <= LONGEST_DEFAULT else '...'}"


def _first_line(value: Any) -> str:
    return (inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " ")


if __name__ == "__main__":
    main()
