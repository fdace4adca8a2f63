"""Settings of a job that Sedna's resources have no field for: annotations of its metadata.

A cluster carries annotations along without looking at them, so the same YAML serves both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from sedna_tinyms.errors import did_you_mean
from sedna_tinyms.jobs.manifest.findings import Findings
from sedna_tinyms.jobs.manifest.spec import Gates
from sedna_tinyms.jobs.manifest.yaml_source import YamlNode, text_at

__all__ = ["PREFIX", "check_annotations", "read_gates"]

PREFIX = "sedna-tinyms.io/"


class _Annotation(NamedTuple):
    """A field of `Gates` and what its number must be."""

    field: str
    fits: Callable[[float], bool]
    range: str


ANNOTATIONS = {
    f"{PREFIX}deploy-confidence": _Annotation(
        "deploy_confidence",
        lambda number: 0 <= number < 1,
        'from 0 (not tested) to less than 1, such as "0.95"',
    ),
    f"{PREFIX}canary-max-latency-ms": _Annotation(
        "canary_max_latency_ms", lambda number: number > 0, 'of more than 0, such as "20"'
    ),
    f"{PREFIX}canary-timeout-seconds": _Annotation(
        "canary_timeout_seconds",
        lambda number: number >= 0,
        'of at least 0 (no canary), such as "120"',
    ),
    f"{PREFIX}keep-versions": _Annotation(
        "keep_versions", lambda number: number >= 1, 'of at least 1, such as "10"'
    ),
    f"{PREFIX}keep-bytes": _Annotation(
        "keep_bytes", lambda number: number >= 0, 'of bytes, such as "4e9"'
    ),
}


def check_annotations(job: YamlNode, findings: Findings) -> None:
    """Check the annotations of a job that are ours; all others are left alone."""
    annotations = job.get("metadata", "annotations")
    if annotations is None:
        return
    for name in annotations.mapping:
        if not name.startswith(PREFIX):
            continue
        line, path = annotations.key_lines[name], f"metadata.annotations.{name}"
        text = text_at(annotations, name)
        if name not in ANNOTATIONS:
            known = [each.removeprefix(PREFIX) for each in ANNOTATIONS]
            hint = did_you_mean(name.removeprefix(PREFIX), known)
            hint = hint or f"; known are {', '.join(known)}"
            findings.error("unknown-key", line, path, f"is no annotation of sedna-tinyms{hint}")
        elif text is not None and _number(name, text) is None:
            findings.error(
                "not-a-number" if _float(text) is None else "out-of-range",
                line,
                path,
                f"is {text!r}; it must be a number {ANNOTATIONS[name].range}",
            )


def read_gates(annotations: Mapping[str, str]) -> Gates:
    """Return what annotations that were found right say."""
    given = {
        annotation.field: _number(name, annotations[name])
        for name, annotation in ANNOTATIONS.items()
        if name in annotations
    }
    return Gates(**{field: number for field, number in given.items() if number is not None})


def _number(name: str, text: str) -> float | None:
    """Return the number that an annotation holds; None if it is none, or out of its range."""
    number = _float(text)
    if number is None or not math.isfinite(number) or not ANNOTATIONS[name].fits(number):
        return None
    return number


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
