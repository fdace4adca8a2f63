"""Which samples a model gets right, as short as a controller can carry it.

An evaluation's metric ``correct`` holds 1.0 or 0.0 for each sample. On a cluster a report travels
by websocket into the job's ``status.conditions``, which keep every round's, within the 1.5 MB that
Kubernetes' store takes of one object. So a report says it in ``correct_bits``: how many samples,
and then 48 of them in a number, the first in its lowest bit. Such numbers pass any JSON unrounded.
``contradiction`` is packed alike, eight samples in a number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "CONTRADICTION",
    "CONTRADICTION_STEPS",
    "GATE",
    "NOT_LEARNED",
    "OF_TRAININGS",
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
CONTRADICTION_STEPS = 50
"""It is a multiple of 1/50, so that a report can carry eight of them in a number."""
GATE = "gate"
"""The metric that says whether a new model passes: 1.0 or 0.0; that of the old one is 0.0."""
PACKED = "correct_bits"
OF_TRAININGS = ("valid_correct", "valid_contradiction")
"""The same of a training's validation data, which nobody compares."""

PACKED_CONTRADICTION = "contradiction_bits"

BITS = 48
"""How many bits a number of a report carries: JSON and floats of 64 bits pass them unrounded."""
WIDTH = 6
"""Bits of a contradiction: its steps, and `UNKNOWN` for a class that is not learned."""
UNKNOWN = 63


def pack_outcomes(metrics: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """Return metrics to report: those with a number a sample packed, a training's left out.

    Examples
    --------
    >>> pack_outcomes({"accuracy": [0.75], "correct": [1.0, 0.0, 1.0, 1.0]})
    {'accuracy': [0.75], 'correct_bits': [4.0, 13.0]}
    >>> pack_outcomes({"contradiction": [0.0, 0.02, -1.0]})
    {'contradiction_bits': [3.0, 258112.0]}
    """
    packed = {name: value for name, value in metrics.items() if name not in OF_TRAININGS}
    outcomes = packed.get(OUTCOMES, [])
    if outcomes and set(outcomes) <= {0.0, 1.0}:
        del packed[OUTCOMES]
        packed[PACKED] = _pack([int(each) for each in outcomes], 1)
    contradiction = packed.get(CONTRADICTION, [])
    steps = [_steps(each) for each in contradiction]
    if steps and None not in steps:
        del packed[CONTRADICTION]
        packed[PACKED_CONTRADICTION] = _pack([each for each in steps if each is not None], WIDTH)
    return packed


def unpack_outcomes(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `pack_outcomes` was given; what it cannot have written stays as it is.

    Examples
    --------
    >>> unpack_outcomes({"accuracy": [0.75], "correct_bits": [4.0, 13]})
    {'accuracy': [0.75], 'correct': [1.0, 0.0, 1.0, 1.0]}
    >>> unpack_outcomes({"contradiction_bits": [3.0, 258112.0]})
    {'contradiction': [0.0, 0.02, -1.0]}
    """
    found = dict(metrics)
    outcomes = _unpack(found.get(PACKED), 1)
    if outcomes is not None:
        del found[PACKED]
        found[OUTCOMES] = [float(each) for each in outcomes]
    steps = _unpack(found.get(PACKED_CONTRADICTION), WIDTH)
    if steps is not None and all(
        each in (*range(CONTRADICTION_STEPS + 1), UNKNOWN) for each in steps
    ):
        del found[PACKED_CONTRADICTION]
        found[CONTRADICTION] = [
            NOT_LEARNED if each == UNKNOWN else each / CONTRADICTION_STEPS for each in steps
        ]
    return found


def _steps(contradiction: float) -> int | None:
    """Return a contradiction as a whole number of steps; None if it is none."""
    if contradiction == NOT_LEARNED:
        return UNKNOWN
    steps = contradiction * CONTRADICTION_STEPS
    if not 0 <= steps <= CONTRADICTION_STEPS or abs(steps - round(steps)) > 1e-6:
        return None
    return round(steps)


def _pack(numbers: Sequence[int], width: int) -> list[float]:
    """Return how many numbers there are, and so many bits of each, 48 in a number."""
    step = BITS // width
    words = (numbers[start : start + step] for start in range(0, len(numbers), step))
    return [
        float(len(numbers)),
        *(float(sum(each << width * place for place, each in enumerate(word))) for word in words),
    ]


def _unpack(value: Any, width: int) -> list[int] | None:
    """Return what `_pack` was given; None if this is none of what it writes."""
    if not _is_packed(value, BITS // width):
        return None
    count, *words = map(int, value)
    mask = (1 << width) - 1
    numbers = [word >> width * place & mask for word in words for place in range(BITS // width)]
    return numbers[:count]


def _is_packed(value: Any, step: int) -> bool:
    if not isinstance(value, list) or len(value) < 2:
        return False
    if not all(type(each) in (int, float) and 0 <= each < 1 << BITS for each in value):
        return False
    if any(each != int(each) for each in value):
        return False
    count = int(value[0])
    return (len(value) - 2) * step < count <= (len(value) - 1) * step


def without_outcomes(metrics: Mapping[str, object]) -> dict[str, object]:
    """Return metrics without those that hold a number a sample, which are too long to show."""
    long = (OUTCOMES, CONTRADICTION, *OF_TRAININGS)
    return {name: value for name, value in metrics.items() if name not in long}
