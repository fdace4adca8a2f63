"""What third parties can test their own work with."""

from sedna_tinyms.testing.controller import Controller, Posted
from sedna_tinyms.testing.estimator import OneNumber

__all__ = ["Controller", "OneNumber", "Posted"]
