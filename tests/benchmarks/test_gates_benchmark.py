"""The benchmark of deploy rules, on drawn features instead of pictures."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy")

import gates


@pytest.fixture
def parts():
    """Return two domains of three classes that a linear classifier tells apart."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 12)) * 3
    found = []
    for shift in (0.0, 0.5):
        classes = np.arange(96) % 3
        features = centres[classes] + rng.normal(size=(96, 12)) + shift
        found.append((features.astype(np.float32), classes))
    return found


def played(parts, stream, size=16, *, checks=True):
    pictures, bad = gates.stream_of(parts, stream, size, seed=0)
    done = gates.play(pictures, size, 3, checks=checks, confidence=0.5)
    accuracy = done.in_service[-1].accuracy(pictures.features, pictures.classes)
    return done, bad, accuracy


def test_clean_arrivals_are_all_learned_and_none_is_kept_out(parts):
    done, bad, accuracy = played(parts, "mixed clean")
    assert (bad, done.kept_out, done.lost) == (set(), set(), 0)
    assert done.rounds == 12
    assert done.learned >= 0.6 * 192
    assert accuracy > 0.9


def test_mislabelled_arrivals_are_caught_by_the_check(parts):
    done, bad, accuracy = played(parts, "mixed fifth")
    assert bad == {5, 10}
    assert done.kept_out == bad
    assert accuracy > 0.9
    assert done.lost == 0


def test_the_rule_of_the_first_release_loses_labels(parts):
    pictures, _ = gates.stream_of(parts, "mixed clean", 8, seed=0)
    before = gates.play_before(pictures, 8, 3)
    now = gates.play(pictures, 8, 3, checks=True, confidence=0.5)
    assert before.learned < now.learned


@pytest.mark.parametrize("stream", gates.STREAMS)
def test_a_stream_is_the_same_each_time_and_has_every_picture_once(parts, stream):
    first, bad = gates.stream_of(parts, stream, 16, seed=3)
    again, bad_again = gates.stream_of(parts, stream, 16, seed=3)
    assert bad == bad_again
    np.testing.assert_array_equal(first.labels, again.labels)
    assert len(first.labels) == 192
    assert np.any(first.labels != first.classes) == (not stream.endswith("clean"))


def test_the_upper_bound_of_no_event_in_three_hundred():
    assert gates._most(0, 300) == pytest.approx(0.00994, abs=1e-4)
    assert gates._most(3, 3) == 1.0
