"""The hard-example filters of Sedna, under the names that a job's YAML uses.

A filter is called with one inference result and says whether it is a hard example. Detections are
boxes, rows whose element 4 is a score; classifications are the probabilities of the classes. Lists
and NumPy arrays will do. Parameters may be strings, which is what a job's YAML delivers.
"""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np

from sedna_tinyms.errors import ConfigurationError
from sedna_tinyms.sedna.common.class_factory import ClassFactory, ClassType

__all__ = [
    "BaseFilter",
    "CloudOnlyFilter",
    "CrossEntropyFilter",
    "EdgeOnlyFilter",
    "IBTFilter",
    "RandomFilter",
    "ThresholdFilter",
]

SCORE = 4
"""Where the score stands in a box."""


class BaseFilter:
    """Base of all filters; register your own with `ClassFactory` under `ClassType.HEM`."""

    def __call__(self, infer_result: Any = None) -> bool:
        """Tell whether the result is that of a hard example."""
        raise NotImplementedError

    @classmethod
    def data_check(cls, data: Any) -> bool:
        """Tell whether a value is a probability."""
        return 0.0 <= float(data) <= 1.0


@ClassFactory.register(ClassType.HEM, alias="Threshold")
class ThresholdFilter(BaseFilter):
    """Hard if the mean score of the boxes is below `threshold`."""

    def __init__(self, threshold: float | str = 0.5, **_kwargs: Any) -> None:
        self.threshold = _number("Threshold", "threshold", threshold)

    def __call__(self, infer_result: Any = None) -> bool:
        """Tell whether the boxes are unsure on average."""
        scores = _scores("Threshold", infer_result)
        return bool(scores) and math.fsum(scores) / len(scores) < self.threshold


@ClassFactory.register(ClassType.HEM, alias="CrossEntropy")
class CrossEntropyFilter(BaseFilter):
    """Hard if one minus the normalised entropy of the probabilities is below the threshold."""

    def __init__(self, threshold_cross_entropy: float | str = 0.5, **_kwargs: Any) -> None:
        self.threshold_cross_entropy = _number(
            "CrossEntropy", "threshold_cross_entropy", threshold_cross_entropy
        )

    def __call__(self, infer_result: Any = None) -> bool:
        """Tell whether the probabilities are spread."""
        probabilities = _rows(infer_result)
        if any(np.ndim(p) for p in probabilities):
            raise ConfigurationError(
                "CrossEntropy takes the class probabilities of one picture, a flat list; "
                f"it was given rows such as {probabilities[0]!r}",
                code="wrong-shape",
                name="CrossEntropy",
            )
        if not probabilities or not all(self.data_check(p) for p in probabilities):
            return False
        negative_entropy = math.fsum(float(p) * math.log(p) for p in probabilities if p > 0)
        # A single class leaves nothing to be unsure about, and log(1) nothing to divide by.
        normaliser = math.log(len(probabilities)) or 1.0
        return 1.0 + negative_entropy / normaliser < self.threshold_cross_entropy


@ClassFactory.register(ClassType.HEM, alias="IBT")
class IBTFilter(BaseFilter):
    """Image-box thresholds: hard if at least ``1 - threshold_img`` of the boxes are unsure."""

    def __init__(
        self,
        threshold_img: float | str = 0.5,
        threshold_box: float | str = 0.5,
        **_kwargs: Any,
    ) -> None:
        self.threshold_img = _number("IBT", "threshold_img", threshold_img)
        self.threshold_box = _number("IBT", "threshold_box", threshold_box)

    def __call__(self, infer_result: Any = None) -> bool:
        """Tell whether enough of the boxes are unsure."""
        scores = _scores("IBT", infer_result)
        if not scores or not all(self.data_check(score) for score in scores):
            return False
        unsure = sum(score <= self.threshold_box for score in scores)
        return unsure / len(scores) >= 1 - self.threshold_img


@ClassFactory.register(ClassType.HEM, alias="Random")
class RandomFilter(BaseFilter):
    """Hard with the probability `random_ratio`, whatever the result."""

    def __init__(self, random_ratio: float | str = 0.3, **_kwargs: Any) -> None:
        self.random_ratio = _number("Random", "random_ratio", random_ratio)

    def __call__(self, infer_result: Any = None) -> bool:  # noqa: ARG002
        """Tell by lot."""
        return random.random() < self.random_ratio  # noqa: S311 - a sample, not a secret


@ClassFactory.register(ClassType.HEM, alias="CloudOnly")
class CloudOnlyFilter(BaseFilter):
    """Always hard."""

    def __init__(self, **_kwargs: Any) -> None: ...

    def __call__(self, infer_result: Any = None) -> bool:  # noqa: ARG002
        """Say yes."""
        return True


@ClassFactory.register(ClassType.HEM, alias="EdgeOnly")
class EdgeOnlyFilter(BaseFilter):
    """Never hard."""

    def __init__(self, **_kwargs: Any) -> None: ...

    def __call__(self, infer_result: Any = None) -> bool:  # noqa: ARG002
        """Say no."""
        return False


def _number(name: str, parameter: str, value: float | str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ConfigurationError(
            f"{parameter} of the hard-example filter {name} is {value!r}; it must be a number",
            code="not-a-number",
            name=parameter,
            value=value,
        ) from None


def _rows(result: Any) -> list[Any]:
    return [] if result is None else list(result)


def _scores(name: str, boxes: Any) -> list[float]:
    """Return every box's score; none if one of the boxes is too short to have one."""
    rows = _rows(boxes)
    if any(np.ndim(row) == 0 for row in rows):
        raise ConfigurationError(
            f"the hard-example filter {name} takes boxes [x, y, x, y, score, class]; it was given "
            f"plain numbers such as {rows[0]!r}: for class probabilities, use CrossEntropy",
            code="wrong-shape",
            name=name,
        )
    if any(len(row) <= SCORE for row in rows):
        return []
    return [float(row[SCORE]) for row in rows]
