"""Incremental learning: a model that trains, is compared, serves and finds its hard examples."""

from sedna_tinyms.sedna.core.incremental_learning.incremental_learning import IncrementalLearning

__all__ = ["IncrementalLearning"]
