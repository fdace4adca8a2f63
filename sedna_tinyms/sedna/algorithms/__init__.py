"""Algorithms that a job names in its YAML."""
