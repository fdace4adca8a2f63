from types import SimpleNamespace

import numpy as np
import pytest

from sedna_tinyms.learning.strategies.latent import Latent
from sedna_tinyms.learning.strategies.lwf import LwF


def lesson(remembered, new=100):
    """Samples of earlier rounds, so many of each, and new ones."""
    domains = [name for name, count in remembered.items() for _ in range(count)]
    items = np.zeros((len(domains) + new, 1))
    return SimpleNamespace(items=items, new=new, domains=[*domains, *["now"] * new])


@pytest.mark.parametrize(
    ("remembered", "old"),
    [({"a": 100}, 0.5), ({"a": 300}, 0.5), ({"a": 25}, 0.875), ({"a": 30, "b": 70}, 0.75)],
    ids=["all", "more than all", "a quarter", "half, of two rounds"],
)
def test_the_fewer_are_remembered_the_more_the_previous_network_counts(remembered, old):
    weights = Latent().opinions(lesson(remembered))
    count = sum(remembered.values())
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights[:count], old)
    np.testing.assert_allclose(weights[count:], old / 2)


def test_without_memory_the_previous_network_counts_as_much_as_the_label():
    np.testing.assert_array_equal(LwF().opinions(lesson({})), np.ones(100, np.float32))
