"""Everything that setuptools needs to know stands in pyproject.toml."""

from setuptools import setup

setup()
