"""Conformance suites, shipped so that others can test their own libraries and backends.

`LIBRARY_CHECKS` say what a Sedna worker library does, `BACKEND_CHECKS` what a backend must do to
serve in it. `Controller` listens as a LocalController does.
"""

from sedna_tinyms.testing.backend_checks import BACKEND_CHECKS, BackendCase, check_backend
from sedna_tinyms.testing.controller import Controller, Posted
from sedna_tinyms.testing.estimator import OneNumber
from sedna_tinyms.testing.library import Library, libraries
from sedna_tinyms.testing.library_checks import LIBRARY_CHECKS
from sedna_tinyms.testing.onnx_checks import ONNX_CHECKS
from sedna_tinyms.testing.tinyms_checks import TINYMS_CHECKS

__all__ = [
    "BACKEND_CHECKS",
    "LIBRARY_CHECKS",
    "ONNX_CHECKS",
    "TINYMS_CHECKS",
    "BackendCase",
    "Controller",
    "Library",
    "OneNumber",
    "Posted",
    "check_backend",
    "libraries",
]
