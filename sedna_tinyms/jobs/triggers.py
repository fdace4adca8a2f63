"""When to train, and whether to deploy: Sedna's timer and condition.

A trigger fires when the timer, if there is one, covers the time of day and the condition holds.
Nothing here raises, whatever the metrics are: a verdict that is not met says why.
"""

from __future__ import annotations

import datetime
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sedna_tinyms.errors import did_you_mean
from sedna_tinyms.jobs.manifest.spec import Condition, Timer, Trigger

__all__ = [
    "METRIC",
    "OPERATORS",
    "TOLERANCE",
    "Verdict",
    "brief",
    "check_condition",
    "check_timer",
    "check_trigger",
    "finite_number",
    "why_not_finite",
]

TOLERANCE = 1e-6
"""Two numbers closer than this are equal to the operators ``eq`` and ``ne``."""


def _equal(left: float, right: float) -> bool:
    return abs(left - right) < TOLERANCE


def _not_equal(left: float, right: float) -> bool:
    return not _equal(left, right)


SYMBOLS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "=": _equal,
    "!=": _not_equal,
    "<=": operator.le,
    "<": operator.lt,
}
OPERATORS: dict[str, str] = {
    **{symbol: symbol for symbol in SYMBOLS},
    "==": "=",
    "gt": ">",
    "ge": ">=",
    "eq": "=",
    "ne": "!=",
    "le": "<=",
    "lt": "<",
}
"""Every operator that Sedna knows, with the symbol it stands for."""

METRIC = re.compile(r"(?P<name>[^\[\]\s]+)(?:\[(?P<index>[0-9]{1,9})\])?")
"""``name`` or ``name[i]``."""


@dataclass(frozen=True)
class Verdict:
    """Whether something holds, and why; true where it is `met`.

    Attributes
    ----------
    met : bool
        Whether it holds.
    reason : str
        Why, in words.
    code : str
        Why, for a program: ``met``, ``not-met``, ``wrong-time``, or what is wrong with the
        condition or the metrics.
    """

    met: bool
    reason: str
    code: str

    def __bool__(self) -> bool:
        return self.met


def check_trigger(trigger: Trigger, metrics: Mapping[str, object], now: datetime.time) -> Verdict:
    """Say whether a trigger fires.

    Parameters
    ----------
    trigger : Trigger
        From trainSpec or deploySpec.
    metrics : mapping
        ``{"num_of_samples": n}`` for training; for deployment each metric of the new model as a
        list of numbers, and its difference to the old model's under ``<metric>_delta``.
    now : datetime.time
        The local time of day.
    """
    if trigger.timer is not None:
        timely = check_timer(trigger.timer, now)
        if not timely:
            return timely
    return check_condition(trigger.condition, metrics)


def check_timer(timer: Timer, now: datetime.time) -> Verdict:
    """Say whether the time of day lies within a timer, both of its minutes included.

    A start later than the end means over midnight; ``24:00`` is an end that never passes.
    """
    # Texts of the form HH:MM sort like the times they name, "24:00" after all of them.
    clock = now.strftime("%H:%M")
    if timer.start <= timer.end:
        met = timer.start <= clock <= timer.end
    else:
        met = clock >= timer.start or clock <= timer.end
    return Verdict(
        met,
        f"{clock} is {'' if met else 'not '}between {timer.start} and {timer.end}",
        "met" if met else "wrong-time",
    )


def check_condition(condition: Condition, metrics: Mapping[str, object]) -> Verdict:
    """Say whether a condition holds for these metrics."""
    symbol = OPERATORS.get(condition.operator)
    if symbol is None:
        known = ", ".join(OPERATORS)
        return Verdict(False, f"{condition.operator!r} is not one of {known}", "unknown-name")
    value = _look_up(condition.metric, metrics)
    if isinstance(value, Verdict):
        return value
    met = SYMBOLS[symbol](value, condition.threshold)
    return Verdict(
        met,
        f"{condition.metric} {_short(value)} is {'' if met else 'not '}{symbol} "
        f"{_short(condition.threshold)}",
        "met" if met else "not-met",
    )


def _look_up(metric: str, metrics: Mapping[str, object]) -> float | Verdict:
    """Return the number that a metric names, or why there is none."""
    match = METRIC.fullmatch(metric)
    if match is None:
        advice = "write a name, or a name and an index as in name[0]"
        return Verdict(False, f"{metric!r} is not a metric: {advice}", "invalid-value")
    name, index = match["name"], match["index"]
    if name not in metrics:
        known = ", ".join(sorted(map(str, metrics))) or "none"
        hint = did_you_mean(name, metrics)
        return Verdict(
            False, f"there is no metric {name!r}{hint}; there are: {known}", "missing-key"
        )
    value = metrics[name]
    if isinstance(value, (list, tuple)):
        if index is None:
            reason = f"{name} is a list of {len(value)}: write {name}[0] for its first number"
            return Verdict(False, reason, "wrong-type")
        if int(index) >= len(value):
            reason = f"{name} has {len(value)} numbers, so there is no {metric}"
            return Verdict(False, reason, "out-of-range")
        value = value[int(index)]
    elif index is not None:
        return Verdict(False, f"{name} is not a list: write {name} without an index", "wrong-type")
    number = finite_number(value)
    if number is None:
        reason = f"{metric} is {brief(value)}, not a finite number"
        return Verdict(False, reason, why_not_finite(value))
    return number


def finite_number(value: object) -> float | None:
    """Return a finite number as a float; anything else, and a bool, as None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:  # an int beyond every float
        return None
    return number if math.isfinite(number) else None


def why_not_finite(value: object) -> str:
    """Return the code for what `finite_number` is None of."""
    a_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return "not-finite" if a_number else "not-a-number"


def brief(value: object) -> str:
    """Return what a message shows of a value, which may be anything."""
    try:
        text = repr(value)
    except ValueError:  # an int of more digits than Python writes out
        return "a number of thousands of digits"
    return text if len(text) <= 40 else text[:37] + "..."


def _short(number: float) -> str:
    return f"{number:.6g}"
