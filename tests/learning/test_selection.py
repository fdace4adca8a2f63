import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sedna_tinyms.errors import ConfigurationError
from sedna_tinyms.learning.selection import MOST_HERDED, herding_ranks, shares

cells = st.dictionaries(
    st.tuples(st.sampled_from("abcd"), st.sampled_from("wxyz")), st.integers(0, 30), max_size=16
)


@settings(deadline=None)
@given(cells, st.integers(0, 300))
def test_all_places_are_shared_out_evenly(counts, places):
    given = shares(counts, places)
    assert list(given) == list(counts)
    assert sum(given.values()) == min(places, sum(counts.values()))
    assert all(0 <= given[cell] <= counts[cell] for cell in counts)
    most = max(given.values(), default=0)
    assert all(given[cell] >= min(counts[cell], most - 1) for cell in counts)


@settings(deadline=None)
@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 120))
def test_places_that_are_too_few_are_spread_over_classes_and_domains(labels, domains, places):
    counts = {(f"l{i}", f"d{j}"): 9 for j in range(domains) for i in range(labels)}
    given = shares(counts, places)
    of_domain = [sum(n for (_, d), n in given.items() if d == f"d{j}") for j in range(domains)]
    of_label = [sum(n for (lab, _), n in given.items() if lab == f"l{i}") for i in range(labels)]
    assert max(of_domain) - min(of_domain) <= 1
    assert max(of_label) - min(of_label) <= 2


def greedy(features):
    """Herding as its definition says, step by step."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    chosen = []
    while len(chosen) < len(unit):
        left = [n for n in range(len(unit)) if n not in chosen]
        means = [unit[[*chosen, n]].mean(0) for n in left]
        chosen.append(left[np.argmin([np.linalg.norm(unit.mean(0) - m) for m in means])])
    return chosen


@pytest.mark.parametrize("seed", range(5))
def test_herding_is_its_definition(seed):
    features = np.random.default_rng(seed).normal(size=(12, 4)) + 1
    order = np.argsort(herding_ranks(features, ["a"] * 12))
    assert order.tolist() == greedy(features)


def test_few_chosen_ones_have_the_mean_of_all():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 32)) + rng.normal(size=32)
    ranks = herding_ranks(features, ["a"] * 200)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)

    def distance(some):
        return np.linalg.norm(unit[some].mean(0) - unit.mean(0))

    at_random = np.mean([distance(rng.permutation(200)[:20]) for _ in range(20)])
    assert distance(np.argsort(ranks)[:20]) < at_random / 3


def test_each_class_is_ranked_by_itself():
    features = np.random.default_rng(0).normal(size=(10, 4))
    labels = list("aabbbbabba")
    ranks = herding_ranks(features, labels)
    for name in "ab":
        members = [n for n, label in enumerate(labels) if label == name]
        alone = herding_ranks(features[members], [name] * len(members))
        np.testing.assert_array_equal(ranks[members], alone)
        count = len(members)
        assert sorted(alone) == pytest.approx([(n + 0.5) / count for n in range(count)])


def test_activations_are_compared_by_their_channels():
    maps = np.random.default_rng(0).normal(size=(9, 5, 2, 2)).astype(np.float16)
    means = maps.mean((2, 3), np.float32)
    np.testing.assert_array_equal(herding_ranks(maps, [0] * 9), herding_ranks(means, [0] * 9))


def test_a_huge_class_is_ranked_in_a_moment():
    features = np.random.default_rng(0).normal(size=(MOST_HERDED + 1000, 2)) + 1
    ranks = herding_ranks(features, ["a"] * len(features))
    assert len(np.unique(ranks)) == len(features)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_allclose(unit[np.argsort(ranks)[:50]].mean(0), unit.mean(0), atol=0.02)


def test_odd_features_do_no_harm(raises):
    assert len(herding_ranks(np.empty((0, 4)), [])) == 0
    assert sorted(herding_ranks(np.zeros((2, 4)), [1, 1])) == [0.25, 0.75]
    with raises(ConfigurationError, "wrong-length", name="labels", value=1, expected=2):
        herding_ranks(np.zeros((2, 4)), ["a"])
