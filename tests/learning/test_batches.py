import itertools
from fractions import Fraction

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sedna_tinyms.learning.batches import Batches


def batches(sizes, batch_size, steps=1, seed=0, variants=1):
    """Samples are numbers; those of one domain are consecutive."""
    numbers = np.arange(sum(sizes), dtype=np.float32)
    domains = [f"d{d}" for d, size in enumerate(sizes) for _ in range(size)]
    return Batches(
        [numbers + 1000 * variant for variant in range(variants)],
        np.eye(sum(sizes), dtype=np.float32),
        domains,
        batch_size=batch_size,
        steps=steps,
        seed=seed,
        prepare=lambda drawn: drawn.astype(np.float32),
    )


few = st.lists(st.integers(1, 30), min_size=1, max_size=6)
many = st.lists(st.integers(1, 3), min_size=7, max_size=300)


@settings(deadline=None)
@given(few | many, st.integers(1, 16), st.integers(0, 9))
@example([1, 1, 1, 1, 1, 1, 2, 3, 3, 3, 3, 3], 11, 0)  # a share of 2, less in floats
def test_every_batch_is_full_and_every_domain_keeps_its_weight(sizes, batch_size, seed):
    made = batches(sizes, batch_size, seed=seed)
    made.steps = made.steps_per_epoch
    epoch = [made[step] for step in range(len(made))]
    assert all(len(x) == len(y) == batch_size for x, y in epoch)
    drawn = np.concatenate([y.argmax(1) for _, y in epoch])
    np.testing.assert_array_equal(np.concatenate([x for x, _ in epoch]), drawn)
    bounds = np.cumsum([0, *sizes])
    counts = np.histogram(drawn, bounds)[0]
    places = len(drawn)
    for old in counts[:-1]:
        share = min(Fraction(1, len(sizes)), Fraction(2, 3 * (len(sizes) - 1)))
        assert places * share - 1 <= old <= max(1, places * share)
    assert counts[-1] >= places / 3
    for start, end in itertools.pairwise(bounds):
        each = np.bincount(drawn, minlength=bounds[-1])[start:end]
        assert each.max() - each.min() <= 1  # in turn


def test_more_domains_than_places_take_turns():
    made = batches([1] * 90 + [6], 8)
    made.steps = 12 * made.steps_per_epoch
    drawn = np.concatenate([made[step][1].argmax(1) for step in range(len(made))])
    assert set(drawn) == set(range(96))
    assert (drawn >= 90).mean() >= 1 / 3


def test_the_order_depends_on_the_seed_and_the_epoch_and_nothing_else():
    one, same, other = (batches([20, 5], 5, steps=10, seed=s) for s in (1, 1, 2))
    assert [one[3][0].tolist(), one[0][0].tolist()] == [same[3][0].tolist(), same[0][0].tolist()]
    assert one[0][0].tolist() != one[5][0].tolist()
    assert one[0][0].tolist() != other[0][0].tolist()


def test_variants_are_drawn_at_random():
    made = batches([64], 64, variants=2)
    inputs, targets = made[0]
    mirrored = inputs >= 1000
    assert 10 < mirrored.sum() < 54
    np.testing.assert_array_equal(inputs - 1000 * mirrored, targets.argmax(1))
