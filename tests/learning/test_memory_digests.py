"""The replay memory knows its pictures by content, so that a label can be corrected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedna_tinyms.learning.memory import ReplayMemory

LARGE = 1 << 20


def digest(number: int) -> str:
    return f"{number:064x}"


def offer(memory: ReplayMemory, numbers: list[int], labels: list[str], domain: str) -> None:
    items = np.array(numbers, np.uint8)[:, None]
    digests = [digest(number) for number in numbers]
    memory.forget(digests)
    memory.update(items, labels, domain, digests=digests)


def kept(memory: ReplayMemory) -> dict[int, str]:
    found = memory.exemplars()
    pairs = [(int(item[0]), label) for item, label in zip(found.items, found.labels, strict=True)]
    assert len(dict(pairs)) == len(pairs), "a picture stands there twice"
    return dict(pairs)


def test_what_is_forgotten_is_named_with_its_label() -> None:
    memory = ReplayMemory(LARGE)
    offer(memory, [1, 2, 3], ["a", "a", "b"], "round-1")
    assert memory.forget([digest(2), digest(3), digest(9), ""]) == {digest(2): "a", digest(3): "b"}
    assert kept(memory) == {1: "a"}
    assert memory.seen == 1


def test_a_picture_that_comes_again_has_its_last_label() -> None:
    memory = ReplayMemory(LARGE)
    offer(memory, [1, 2, 3], ["a", "a", "b"], "round-1")
    offer(memory, [2, 4], ["b", "b"], "round-2")
    assert kept(memory) == {1: "a", 2: "b", 3: "b", 4: "b"}
    assert memory.seen == 4


def test_what_has_no_digest_is_never_found() -> None:
    memory = ReplayMemory(LARGE)
    memory.update(np.zeros((2, 1), np.uint8), ["a", "b"], "round-1")
    assert memory.forget(["", digest(0)]) == {}
    assert len(memory) == 2


def test_digests_are_saved_and_read(tmp_path: Path) -> None:
    memory = ReplayMemory(LARGE)
    offer(memory, [1, 2, 3], ["a", "a", "b"], "round-1")
    memory.save(tmp_path / "m.memory.npz")
    again = ReplayMemory.load(tmp_path / "m.memory.npz", LARGE)
    assert again.forget([digest(1)]) == {digest(1): "a"}
    assert kept(again) == {2: "a", 3: "b"}


@pytest.mark.parametrize("version", ["memory-version-1", "memory-version-2-sha256"])
def test_samples_of_an_earlier_format_have_no_digest(version: str, tmp_path: Path) -> None:
    path = Path(__file__).with_name("earlier_formats") / f"{version}.npz"
    memory = ReplayMemory.load(path, 1000, 7)
    before = len(memory)
    assert memory.forget([digest(number) for number in range(300)]) == {}
    assert len(memory) == before
    memory.save(tmp_path / "m.memory.npz")
    assert len(ReplayMemory.load(tmp_path / "m.memory.npz", 1000, 7)) == before


ROUNDS = st.lists(
    st.lists(
        st.tuples(st.integers(0, 30), st.sampled_from("ab")), max_size=8, unique_by=lambda x: x[0]
    ),
    max_size=8,
)


@given(rounds=ROUNDS, budget=st.integers(0, 12))
def test_no_picture_is_remembered_twice_or_with_an_earlier_label(
    rounds: list[list[tuple[int, str]]], budget: int
) -> None:
    memory = ReplayMemory(budget)
    last: dict[int, str] = {}
    for number, samples in enumerate(rounds):
        offer(memory, [n for n, _ in samples], [label for _, label in samples], f"round-{number}")
        last |= dict(samples)
        assert kept(memory).items() <= last.items()
        assert memory.nbytes <= budget
