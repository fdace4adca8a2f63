"""What third parties can test their own work with."""

from sedna_tinyms.testing.controller import Controller, Posted
from sedna_tinyms.testing.estimator import OneNumber
from sedna_tinyms.testing.library import Library, libraries
from sedna_tinyms.testing.library_checks import LIBRARY_CHECKS, TINYMS_CHECKS

__all__ = [
    "LIBRARY_CHECKS",
    "TINYMS_CHECKS",
    "Controller",
    "Library",
    "OneNumber",
    "Posted",
    "libraries",
]
