from dataclasses import fields, replace

import numpy as np
import pytest

from sedna_tinyms.learning.strategies import Lesson
from sedna_tinyms.learning.strategies.latent import Latent
from sedna_tinyms.learning.strategies.lwf import LwF


def lesson(remembered, seen, new=100):
    """Samples of earlier rounds, of so many that there were, and new ones."""
    unused = dict.fromkeys(field.name for field in fields(Lesson))
    items = np.zeros((remembered + new, 1))
    return Lesson(**unused | {"items": items, "new": new, "seen": seen})


@pytest.mark.parametrize(
    ("remembered", "seen", "old"),
    [(100, 100, 0.5), (10, 10, 0.5), (25, 100, 0.875), (100, 200, 0.75), (0, 0, 1)],
    ids=["all", "all of few", "a quarter", "half", "nothing, of nobody knows how many"],
)
def test_the_fewer_are_remembered_the_more_the_previous_network_counts(remembered, seen, old):
    weights = Latent().opinions(lesson(remembered, seen))
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights[:remembered], old)
    np.testing.assert_allclose(weights[remembered:], old / 2)


def test_without_memory_the_previous_network_counts_as_much_as_the_label():
    np.testing.assert_array_equal(LwF().opinions(lesson(0, 0)), np.ones(100, np.float32))


@pytest.mark.parametrize("more", [0, 1, 5000])
def test_no_more_is_looked_at_than_asked_for(more):
    most = 200
    whole = lesson(most + more, 2 * (most + more), new=3)
    numbers = np.arange(len(whole.items))
    whole = replace(whole, items=numbers[:, None], labels=numbers, domains=list(numbers), seed=0)
    taken = whole.remembering_at_most(most)
    assert len(taken.items) == most + 3
    assert len(set(taken.labels.tolist())) == most + 3
    np.testing.assert_array_equal(taken.items[:, 0], taken.labels)
    np.testing.assert_array_equal(taken.domains, taken.labels)
    np.testing.assert_array_equal(taken.labels[-3:], numbers[-3:])
    assert whole.thinness == 0.5
    assert taken.thinness == 1 - most / whole.seen
