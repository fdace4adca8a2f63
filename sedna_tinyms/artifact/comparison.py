"""What differs between two model versions: words, metrics, files, and the weights themselves."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.artifact.manifest import OpenDirectory
from sedna_tinyms.artifact.version import WEIGHTS, ModelVersion
from sedna_tinyms.artifact.weights_content import read_content
from sedna_tinyms.errors import ModelFileError

__all__ = ["compare_versions"]

UNINTERESTING = ("version", "created", "metrics", "class_names")


def compare_versions(old: ModelVersion, new: ModelVersion) -> dict[str, Any]:
    """Compare two versions.

    Returns
    -------
    dict
        Plain data: ``words`` (old and new value by name), ``classes`` (``added``, ``removed``),
        ``metrics`` (old and new value by name), ``files`` (bytes before and after, and whether
        they are the same) and ``weights`` by file: the number of parameters that are the same,
        and for each other one its shapes, or the largest and the relative change.
    """
    words = (asdict(old.description), asdict(new.description))
    names = [tuple(each["class_names"] or ()) for each in words]
    said = [{n: v for n, v in each.items() if n not in UNINTERESTING} for each in words]
    return {
        "words": _changes(*said),
        "classes": {
            "added": [name for name in names[1] if name not in names[0]],
            "removed": [name for name in names[0] if name not in names[1]],
        },
        "metrics": _changes(old.description.metrics, new.description.metrics),
        "files": _files(old, new),
        "weights": _weights(old, new),
    }


def _changes(old: Any, new: Any) -> dict[str, Any]:
    return {
        name: {"old": old.get(name), "new": new.get(name)}
        for name in (*old, *(name for name in new if name not in old))
        if old.get(name) != new.get(name)
    }


def _files(old: ModelVersion, new: ModelVersion) -> dict[str, Any]:
    before, after = ({each.path: each for each in v.manifest.files} for v in (old, new))
    return {
        name: {
            "old_bytes": before[name].size if name in before else None,
            "new_bytes": after[name].size if name in after else None,
            "same": name in before and name in after and before[name] == after[name],
        }
        for name in sorted({*before, *after})
    }


def _weights(old: ModelVersion, new: ModelVersion) -> dict[str, Any]:
    both = {each.path for each in old.manifest.files} & {each.path for each in new.manifest.files}
    return {
        name: _compare_arrays(before, after)
        for name in sorted(both)
        if name.endswith(WEIGHTS)
        and (before := _arrays(old, name)) is not None
        and (after := _arrays(new, name)) is not None
    }


def _arrays(version: ModelVersion, name: str) -> dict[str, NDArray[Any]] | None:
    """Return the arrays of a weights file; None if it is of a format that is not read here."""
    with OpenDirectory.at(version.directory) as opened:
        content = opened.read_checked(version.manifest.entry(name), keep=True)
    try:
        return read_content(content, name).arrays
    except ModelFileError:
        return None


def _compare_arrays(old: dict[str, NDArray[Any]], new: dict[str, NDArray[Any]]) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    for name in (*old, *(name for name in new if name not in old)):
        before, after = old.get(name), new.get(name)
        if before is None or after is None or before.shape != after.shape:
            shapes = [None if each is None else list(each.shape) for each in (before, after)]
            changed[name] = {"old_shape": shapes[0], "new_shape": shapes[1]}
        elif not np.array_equal(before, after):
            difference = after.astype(np.float64) - before.astype(np.float64)
            norm = float(np.linalg.norm(before.astype(np.float64)))
            moved = float(np.linalg.norm(difference))
            changed[name] = {
                "largest_change": float(np.abs(difference).max()),
                "relative_change": moved / norm if norm else None,
            }
    return {"same": len({*old, *new}) - len(changed), "changed": changed}
