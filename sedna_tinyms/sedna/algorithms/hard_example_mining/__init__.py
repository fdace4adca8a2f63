"""Filters that decide which pictures are worth a label."""

from sedna_tinyms.learning.mining import register
from sedna_tinyms.sedna.algorithms.hard_example_mining.hard_example_mining import (
    BaseFilter,
    CloudOnlyFilter,
    CrossEntropyFilter,
    EdgeOnlyFilter,
    IBTFilter,
    RandomFilter,
    ThresholdFilter,
)
from sedna_tinyms.sedna.common.class_factory import ClassFactory

__all__ = [
    "BaseFilter",
    "CloudOnlyFilter",
    "CrossEntropyFilter",
    "EdgeOnlyFilter",
    "IBTFilter",
    "RandomFilter",
    "ThresholdFilter",
]

register(ClassFactory)
