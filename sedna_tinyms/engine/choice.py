"""Which engine a model runs on, and why; what was measured is remembered."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sedna_tinyms.artifact.files import write_json
from sedna_tinyms.artifact.json_text import parse_json
from sedna_tinyms.errors import StorageError

__all__ = ["Choice", "cache_directory", "recall", "remember"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """An engine for a model.

    Attributes
    ----------
    engine : {"onnxruntime", "openvino", "mindspore"}
        What computes.
    precision : {"f32", "bf16"}
        What it computes in; a quantised file's int8 operators stay int8.
    threads : int
        Cores that one run uses.
    reason : str
        Why this one.
    milliseconds : mapping of str to float
        Per sample, of each candidate that was measured: ``{"openvino bf16": 2.1}``.
    measured : {"now", "earlier"} or None
        When they were measured; None where nothing was.
    """

    engine: str
    precision: str
    threads: int
    reason: str
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    measured: str | None = None

    def __str__(self) -> str:
        cores = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        measured = ", ".join(
            f"{name} {took:.2f}"
            for name, took in sorted(self.milliseconds.items(), key=lambda item: item[1])
        )
        times = f" (ms a sample: {measured})" if measured else ""
        return f"{self.engine} {self.precision} on {cores}: {self.reason}{times}"


def recall(question: Mapping[str, Any]) -> dict[str, float]:
    """Return the milliseconds measured earlier, or nothing unless each candidate was measured.

    `question` is what the answer depends on: `candidates`, and the structure of the model, the
    processor, versions.
    """
    path = _path(question)
    try:
        found = parse_json(path.read_text(encoding="utf-8"))
        measured = {str(name): float(took) for name, took in found["milliseconds"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        logger.warning("%s cannot be used (%r); the engines are measured again", path, error)
        return {}
    usable = all(math.isfinite(took) and took > 0 for took in measured.values())
    return measured if usable and set(measured) == set(question["candidates"]) else {}


def remember(question: Mapping[str, Any], milliseconds: Mapping[str, float]) -> None:
    """Keep what was measured; a cache that cannot be written only means measuring again."""
    try:
        write_json(_path(question), {"question": question, "milliseconds": milliseconds})
    except StorageError as error:
        logger.warning("the engines will be measured again next time: %s", error)


def _path(question: Mapping[str, Any]) -> Path:
    text = json.dumps(question, sort_keys=True)
    name = hashlib.sha256(text.encode()).hexdigest()[:32]
    return cache_directory("engines") / f"{name}.json"


def cache_directory(name: str) -> Path:
    """Return where the engines keep something for this user; it may not exist."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    try:
        base = base.expanduser()
    except RuntimeError:  # a container's user may have no home
        base = Path(tempfile.gettempdir())
    return base / "sedna-tinyms" / name
