"""What travels in a report of which samples a model gets right."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedna_tinyms.outcomes import pack_outcomes, unpack_outcomes


@given(outcomes=st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=500))
def test_what_is_packed_is_unpacked(outcomes):
    metrics = {"accuracy": [0.5], "correct": outcomes, "valid_correct": outcomes}
    sent = json.loads(json.dumps(pack_outcomes(metrics)))
    assert unpack_outcomes(sent) == {"accuracy": [0.5], "correct": outcomes}


def test_a_report_stays_short():
    """Half a byte a sample, where a condition of a cluster's job would hold five."""
    for count in (1_000, 100_000):
        outcomes = [1.0, 0.0, 1.0] * (count // 3)
        sent = pack_outcomes({"correct": outcomes})
        assert len(json.dumps(sent)) < 0.5 * len(outcomes)
    assert max(sent["correct_bits"]) < 2**53  # whole in any JSON


@pytest.mark.parametrize("outcomes", [[0.5, 1.0], [2.0], []])
def test_other_numbers_are_left_alone(outcomes):
    assert pack_outcomes({"correct": outcomes}) == {"correct": outcomes}


@pytest.mark.parametrize(
    "packed",
    [
        [],
        [1],
        [0, 0],
        [49, 1],
        [1, 1, 1],
        [1, -1],
        [1, 0.5],
        [1, 1 << 48],
        [1e300, 1],
        [float("inf"), 1],
        [float("nan"), 1],
        [True, True],
        ["1", 1],
        "ab",
        None,
        7,
    ],
)
def test_what_was_not_packed_stays(packed):
    metrics = {"accuracy": [0.5], "correct_bits": packed}
    assert unpack_outcomes(metrics)["correct_bits"] is packed


def test_both_models_results_have_the_same_shape():
    """A controller compares number by number, and panics where one is missing."""
    new = pack_outcomes({"correct": [1.0] * 100})
    old = pack_outcomes({"correct": [0.0] * 100})
    assert {name: len(value) for name, value in new.items()} == {"correct_bits": 4}
    assert new.keys() == old.keys()
    assert len(old["correct_bits"]) == 4


@given(st.lists(st.sampled_from([-1.0, *(step / 50 for step in range(51))]), min_size=1))
def test_contradictions_come_back(contradiction):
    packed = pack_outcomes({"contradiction": contradiction})
    assert list(packed) == ["contradiction_bits"]
    assert len(packed["contradiction_bits"]) == 1 + -(-len(contradiction) // 8)
    assert unpack_outcomes(json.loads(json.dumps(packed))) == {"contradiction": contradiction}


@pytest.mark.parametrize("odd", [0.333, 1.02, -0.5, float("nan")])
def test_contradictions_that_are_none_stay(odd):
    metrics = {"contradiction": [0.5, odd]}
    assert list(pack_outcomes(metrics)) == ["contradiction"]


def test_bits_that_are_no_contradictions_stay():
    assert list(unpack_outcomes({"contradiction_bits": [1.0, 55.0]})) == ["contradiction_bits"]
