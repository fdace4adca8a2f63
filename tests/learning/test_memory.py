import multiprocessing
import os
import signal
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sedna_tinyms.errors import ConfigurationError, ForeignModelError, ModelFileError
from sedna_tinyms.learning.memory import ReplayMemory
from sedna_tinyms.learning.selection import herding_ranks

ITEM = np.zeros((2, 3), np.uint8).nbytes


def numbered(count, start=0):
    return np.arange(start, start + count, dtype=np.uint8)[:, None, None].repeat(2, 1).repeat(3, 2)


def kept(memory):
    """What is kept, as (label, domain, number) triples."""
    items, labels, domains = memory.exemplars()
    return [
        (label, domain, int(item[0, 0]))
        for item, label, domain in zip(items, labels, domains, strict=True)
    ]


rounds = st.lists(
    st.tuples(st.text("abc", min_size=1, max_size=1), st.integers(0, 12)), min_size=1, max_size=4
)


@settings(deadline=None)
@given(
    st.lists(rounds, max_size=4),
    st.lists(st.integers(0, 60 * ITEM), min_size=1),
    st.integers(0, 9),
    st.booleans(),
)
def test_the_budget_holds_whatever_happens(experiences, budgets, seed, chosen):
    memory = ReplayMemory(budgets[0], seed)
    offered = set()
    for number, experience in enumerate(experiences):
        domain = f"round-{number}"
        for label, count in experience:
            ranks = herding_ranks(numbered(count), [label] * count) if chosen else None
            memory.update(numbered(count), [label] * count, domain, ranks)
            offered |= {(label, domain, i) for i in range(count)}
            assert memory.exemplars().items.nbytes == memory.nbytes <= memory.budget_bytes
    for budget in budgets:
        before = memory.nbytes
        memory.budget_bytes = budget
        assert memory.exemplars().items.nbytes == memory.nbytes <= min(before, budget)
    assert set(kept(memory)) <= offered
    assert sum(memory.counts.values()) == len(memory) == len(kept(memory))


@settings(deadline=None)
@given(st.lists(rounds, min_size=1, max_size=5), st.integers(0, 60), st.integers(0, 9))
def test_no_cell_has_more_than_its_share_while_another_lacks_samples(experiences, places, seed):
    memory = ReplayMemory(places * ITEM, seed)
    seen = Counter()
    for number, experience in enumerate(experiences):
        for label, count in experience:
            memory.update(numbered(count), [label] * count, f"round-{number % 2}")
            seen[label, f"round-{number % 2}"] += count
    most = max(memory.counts.values(), default=0)
    assert all(count >= min(seen[cell], most - 1) for cell, count in memory.counts.items())
    assert memory.seen == seen.total()


@settings(deadline=None, max_examples=25)
@given(rounds, st.integers(0, 40 * ITEM), st.integers(0, 40 * ITEM))
def test_the_budget_holds_from_the_loading_on(tmp_path_factory, experience, budget, next_budget):
    memory = ReplayMemory(budget)
    for label, count in experience:
        memory.update(numbered(count), [label] * count, "d")
    memory.save(path := tmp_path_factory.mktemp("memory") / "m.npz")
    loaded = ReplayMemory.load(path, next_budget)
    assert loaded.nbytes <= min(next_budget, memory.nbytes)
    assert set(kept(loaded)) <= set(kept(memory))
    assert loaded.seen == memory.seen == sum(count for _, count in experience)


@settings(deadline=None)
@given(st.integers(0, 4000), st.integers(1, 6), st.integers(1, 6))
def test_places_that_are_fewer_than_the_cells_leave_nothing_out(budget, classes, rounds):
    memory = ReplayMemory(budget)
    labels = [f"class-{number % classes}" for number in range(10 * classes)]
    for number in range(rounds):
        memory.update(np.zeros((len(labels), 50), np.float16), labels, f"round-{number}")
    places = min(budget // 100, 10 * classes * rounds)
    assert len(memory) == places
    domains = [domain for (_, domain), count in memory.counts.items() for _ in range(count)]
    assert len(set(domains)) == min(places, rounds)


@pytest.mark.parametrize("budget", [0, ITEM - 1])
def test_without_room_for_one_sample_nothing_is_kept(budget):
    memory = ReplayMemory(budget)
    memory.update(numbered(5), ["a"] * 5, "round-1")
    assert len(memory) == memory.nbytes == 0
    assert memory.domains == ["round-1"]


def test_cells_are_balanced_and_small_ones_leave_their_share_to_others():
    memory = ReplayMemory(12 * ITEM)
    memory.update(numbered(40), ["a"] * 30 + ["b"] * 8 + ["c"] * 2, "day")
    assert memory.counts == {("a", "day"): 5, ("b", "day"): 5, ("c", "day"): 2}
    memory.update(numbered(40), ["a"] * 40, "night")
    assert sorted(memory.counts.values()) == [2, 3, 3, 4]
    assert memory.counts["c", "day"] == 2
    assert len(memory) == 12


def test_every_sample_of_a_cell_has_the_same_chance():
    hits = np.zeros(20)
    for seed in range(400):
        memory = ReplayMemory(8 * ITEM, seed)
        memory.update(numbered(10), ["a"] * 10, "d")
        memory.update(numbered(6), ["a"] * 6, "other")  # the first cell shrinks to 4 places
        memory.update(numbered(10, start=10), ["a"] * 10, "d")
        for _, domain, number in kept(memory):
            hits[number] += domain == "d"
    assert hits.sum() == pytest.approx(400 * 4, rel=0.05)
    assert hits.min() > 45  # 80 are expected, with a deviation of 8
    assert hits.max() < 115


def test_the_chosen_ones_stay_and_a_smaller_budget_keeps_the_first_of_them():
    features = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float16)
    order = np.argsort(ranks := herding_ranks(features, ["a"] * 30))
    memory = ReplayMemory(20 * 16)
    memory.update(features, ["a"] * 30, "d", ranks)
    for places in (20, 7, 1):
        memory.budget_bytes = places * 16
        np.testing.assert_array_equal(memory.exemplars().items, features[order[:places]])


def test_two_parts_of_a_round_are_kept_in_proportion():
    memory = ReplayMemory(12 * ITEM)
    for start, count in ((0, 40), (100, 20)):
        ranks = (np.arange(count) + 0.5) / count
        memory.update(numbered(count, start), ["a"] * count, "d", ranks)
    numbers = sorted(number for _, _, number in kept(memory))
    assert numbers == [*range(8), *range(100, 104)]


def test_the_seed_decides():
    def memory(seed):
        memory = ReplayMemory(5 * ITEM, seed)
        memory.update(numbered(30), ["a"] * 30, "d")
        return kept(memory)

    assert memory(1) == memory(1)
    assert memory(1) != memory(2)


def test_samples_must_be_alike(raises):
    memory = ReplayMemory(100)
    memory.update(numbered(2), ["a", "a"], "d")
    with raises(ConfigurationError, "wrong-shape", name="items", value=(4,), expected=(2, 3)):
        memory.update(np.zeros((1, 4), np.float32), ["a"], "d")
    with raises(ConfigurationError, "wrong-length", name="labels", value=1, expected=2):
        memory.update(numbered(2), ["a"], "d")
    with raises(ConfigurationError, "wrong-shape", name="ranks", value=(3,), expected=(2,)):
        memory.update(numbered(2), ["a", "a"], "d", np.zeros(3))
    with raises(ConfigurationError, "out-of-range", name="ranks", value=(0.0, 7.0)):
        memory.update(numbered(2), ["a", "a"], "d", np.array([0.0, 7.0]))
    assert len(memory) == 2


@pytest.mark.parametrize("budget", [-1, 1.5, True, "8"])
def test_a_budget_is_a_number_of_bytes(budget, raises):
    with raises(ConfigurationError, "out-of-range", name="budget_bytes", value=budget):
        ReplayMemory(budget)


# --- on disk ----------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path):
    memory = ReplayMemory(9 * ITEM, 3)
    memory.update(numbered(20), ["a"] * 15 + ["größe"] * 5, "round-1")
    memory.update(numbered(9, start=50), ["a"] * 9, "round-2")
    path = tmp_path / "m.memory.npz"
    memory.save(path)
    return memory, path


def test_a_memory_comes_back_and_goes_on_as_if_it_had_stayed(saved):
    memory, path = saved
    loaded = ReplayMemory.load(path, 9 * ITEM, 3)
    assert kept(loaded) == kept(memory)
    assert loaded.domains == memory.domains
    for each in (memory, loaded):
        each.update(numbered(30, start=100), ["a"] * 30, "round-2")
    assert kept(loaded) == kept(memory)


def test_a_smaller_budget_takes_effect_on_loading(saved):
    _, path = saved
    loaded = ReplayMemory.load(path, 4 * ITEM)
    assert loaded.nbytes == 4 * ITEM


def test_activations_of_other_weights_are_refused(tmp_path, raises):
    memory = ReplayMemory(1000, space="cut_14-float16-aaaa")
    memory.update(np.ones((3, 4), np.float16), ["a", "b", "a"], "d")
    memory.save(path := tmp_path / "m.memory.npz")
    loaded = ReplayMemory.load(path, 1000, space="cut_14-float16-aaaa")
    assert loaded.space == ReplayMemory.load(path, 1000).space == "cut_14-float16-aaaa"
    assert loaded.exemplars().items.dtype == np.float16
    other = "cut_14-float16-bbbb"
    with raises(ForeignModelError, "foreign-model", path=path, value=loaded.space, expected=other):
        ReplayMemory.load(path, 1000, space=other)


def save_and_stop_in_front_of_the_rename(path, saving):
    def stop(handle):
        saving.set()
        signal.pause()

    os.fsync = stop
    ReplayMemory(100).save(path)


def test_a_saving_that_is_killed_leaves_the_memory_of_before(saved):
    memory, path = saved
    spawning = multiprocessing.get_context("spawn")
    saving = spawning.Event()
    process = spawning.Process(target=save_and_stop_in_front_of_the_rename, args=(path, saving))
    process.start()
    assert saving.wait(60)
    process.kill()
    process.join()
    assert kept(ReplayMemory.load(path, 9 * ITEM)) == kept(memory)


def test_an_empty_memory_can_be_saved(tmp_path):
    memory = ReplayMemory(0)
    memory.save(tmp_path / "empty.npz")
    assert len(ReplayMemory.load(tmp_path / "empty.npz", 100)) == 0
    memory.update(np.zeros((3, 4), np.float32), ["a"] * 3, "d")
    memory.save(tmp_path / "full.npz")
    loaded = ReplayMemory.load(tmp_path / "full.npz", 100)
    loaded.update(np.zeros((3, 4), np.float32), ["b"] * 3, "d")
    assert loaded.counts == {("a", "d"): 0, ("b", "d"): 3}


def rewritten(path, **changes):
    """Save again with other arrays, None for no such array."""
    with np.load(path) as archive:
        arrays = {**archive, **changes}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


def encrypted(path):
    """Set the flag of each entry in the archive's directory that it is encrypted."""
    content = bytearray(path.read_bytes())
    place = content.find(b"PK\1\2")
    while place >= 0:
        content[place + 8] |= 1
        place = content.find(b"PK\1\2", place + 1)
    path.write_bytes(content)


DAMAGE = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "encrypted": encrypted,
    "no npz": lambda path: path.write_bytes(b"hello"),
    "other bytes": lambda path: rewritten(path, items=np.zeros((9, 2, 3), np.uint8)),
    "an array missing": lambda path: rewritten(path, ranks=None),
    "other space": lambda path: rewritten(path, space=np.array("elsewhere")),
    "version": lambda path: rewritten(path, version=np.array(4)),
    "pickle": lambda path: rewritten(path, labels=np.array([None] * 9)),
    "foreign": lambda path: np.savez(path, weights=np.zeros(3)),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_broken_memory_is_refused_with_its_name(kind, saved, raises):
    _, path = saved
    DAMAGE[kind](path)
    code = {"missing": "missing-file", "version": "wrong-version"}.get(kind, "damaged")
    theirs = {
        "empty",
        "truncated",
        "encrypted",
        "no npz",
        "pickle",
    }  # in NumPy's and zipfile's words
    with raises(ModelFileError, code, path=path, golden=kind not in theirs):
        ReplayMemory.load(path, 100)


@settings(deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 255))
def test_a_flipped_byte_is_noticed_or_does_no_harm(tmp_path_factory, position, change):
    memory = ReplayMemory(3 * ITEM)
    memory.update(numbered(3), ["a", "b", "c"], "d")
    path = tmp_path_factory.mktemp("memory") / "m.npz"
    memory.save(path)
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= change
    path.write_bytes(content)
    try:
        loaded = ReplayMemory.load(path, 3 * ITEM)
    except ModelFileError:
        return
    assert kept(loaded) == kept(memory)


def test_whatever_there_is_room_for_is_kept():
    memory = ReplayMemory(1000)
    memory.update(np.zeros((4, 1), np.uint8), list("aabb"), "first", np.array([0, 1, 1.0, 1.0]))
    assert memory.counts == {("a", "first"): 2, ("b", "first"): 2}


def test_nothing_changes_nothing():
    memory = ReplayMemory(1000)
    memory.update(np.zeros((4, 1), np.uint8), list("aabb"), "first")
    memory.update(np.empty(0), [], "second")
    assert (len(memory), memory.domains) == (4, ["first"])
