"""Which samples a model gets right, as short as a controller can carry it.

An evaluation's metric ``correct`` holds 1.0 or 0.0 for each sample. On a cluster a report travels
by websocket into the job's ``status.conditions``, which keep every round's, within the 1.5 MB that
Kubernetes' store takes of one object. So a report says it in ``correct_bits``: how many samples,
and then 48 of them in a number, the first in its lowest bit. Such numbers pass any JSON unrounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = [
    "ANSWER",
    "CONTRADICTION",
    "NOT_LEARNED",
    "OF_TRAINING",
    "OUTCOMES",
    "pack_outcomes",
    "unpack_outcomes",
    "without_outcomes",
]

OUTCOMES = "correct"
"""The metric that holds one number a sample, in the order of the evaluation: 1.0 for a right
answer, 0.0 for a wrong one."""
CONTRADICTION = "contradiction"
"""The metric that holds, for each sample, by how much the highest probability exceeds that of the
given label: 0 where the model agrees, `NOT_LEARNED` where it has not learned the label's class."""
NOT_LEARNED = -1.0
ANSWER = "answer"
"""The metric that holds, for each sample, the number of the class with the highest probability."""
PACKED = "correct_bits"
OF_TRAINING = "valid_correct"
"""The same of a training's validation data, which nobody compares."""

BITS = 48


def pack_outcomes(metrics: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """Return metrics to report: outcomes packed, those of a training left out.

    Examples
    --------
    >>> pack_outcomes({"accuracy": [0.75], "correct": [1.0, 0.0, 1.0, 1.0]})
    {'accuracy': [0.75], 'correct_bits': [4.0, 13.0]}
    """
    packed = {name: value for name, value in metrics.items() if name != OF_TRAINING}
    outcomes = packed.get(OUTCOMES, [])
    if outcomes and set(outcomes) <= {0.0, 1.0}:
        del packed[OUTCOMES]
        words = (outcomes[start : start + BITS] for start in range(0, len(outcomes), BITS))
        packed[PACKED] = [float(len(outcomes))]
        packed[PACKED] += [
            float(sum(1 << place for place, right in enumerate(word) if right)) for word in words
        ]
    return packed


def unpack_outcomes(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `pack_outcomes` was given; what it cannot have written stays as it is.

    Examples
    --------
    >>> unpack_outcomes({"accuracy": [0.75], "correct_bits": [4.0, 13]})
    {'accuracy': [0.75], 'correct': [1.0, 0.0, 1.0, 1.0]}
    """
    packed: Any = metrics.get(PACKED)
    if not _is_packed(packed):
        return dict(metrics)
    count, *words = map(int, packed)
    bits = (float(word >> place & 1) for word in words for place in range(BITS))
    unpacked = {name: value for name, value in metrics.items() if name != PACKED}
    return unpacked | {OUTCOMES: [bit for bit, _ in zip(bits, range(count), strict=False)]}


def _is_packed(value: Any) -> bool:
    if not isinstance(value, list) or len(value) < 2:
        return False
    if not all(type(each) in (int, float) and 0 <= each < 1 << BITS for each in value):
        return False
    if any(each != int(each) for each in value):
        return False
    count = int(value[0])
    return (len(value) - 2) * BITS < count <= (len(value) - 1) * BITS


def without_outcomes(metrics: Mapping[str, object]) -> dict[str, object]:
    """Return metrics without those that hold a number a sample, which are too long to show."""
    long = (OUTCOMES, OF_TRAINING, CONTRADICTION, ANSWER)
    return {name: value for name, value in metrics.items() if name not in long}
