"""What becomes of each sample of a job, without a runner."""

from __future__ import annotations

from collections import Counter

import pytest
from golden import Raises
from hypothesis import given
from hypothesis import strategies as st

from sedna_tinyms.errors import ConfigurationError
from sedna_tinyms.jobs.ledger import SampleLedger
from sedna_tinyms.jobs.lines import SampleLine, content_digest, read_line, read_lines


class Clerk:
    """A ledger and short ways to fill it."""

    def __init__(self, train_prob: float = 0.8) -> None:
        self.ledger = SampleLedger(train_prob)
        self.rounds = 0

    def arrive(self, labels: str, start: int | None = None) -> list[int]:
        """Let a sample arrive for each letter, each of another picture; return their numbers."""
        first = len(self.ledger.samples) if start is None else start
        lines = [
            SampleLine(f"{first + i}.png {label}", f"{first + i}.png", label, f"digest-{first + i}")
            for i, label in enumerate(labels)
        ]
        before = len(self.ledger.samples)
        self.ledger.arrive(lines, self.ledger.split(lines))
        return [each.number for each in self.ledger.samples[before:]]

    def begin(self, parent: int | None = None, left_out: tuple[int, ...] = ()) -> list[int]:
        """Begin a round and return the numbers of its samples."""
        self.rounds += 1
        self.ledger.begin_round(self.rounds, parent, left_out)
        return [each.number for each in self.ledger.train_samples]

    def end(self, *, deployed: bool) -> None:
        """Let the round end well."""
        self.ledger.training_ended()
        self.ledger.take_evidence()
        self.ledger.evaluation_ended()
        self.ledger.round_ended()
        if deployed:
            self.ledger.in_service(self.rounds)

    def states(self) -> list[str]:
        return [each.state for each in self.ledger.samples]


@pytest.fixture
def clerk() -> Clerk:
    return Clerk()


# The lines


@pytest.mark.parametrize(
    ("line", "picture", "label"),
    [
        ("a.png ant", "a.png", "ant"),
        ("my holiday/a b.png\t7", "my holiday/a b.png", "7"),
        ("\N{ZERO WIDTH NO-BREAK SPACE}a.png ant\r", "a.png", "ant"),
        ("a.png", "", ""),
        ("a.png 1,2,3,4,0 5,6,7,8,1", "", ""),
        ("   ", "", ""),
    ],
)
def test_a_line_is_a_picture_and_a_label_or_a_sample_of_another_kind(
    line: str, picture: str, label: str
) -> None:
    assert read_line(line) == SampleLine(line, picture, label, "")


def test_a_picture_is_its_content(tmp_path) -> None:
    (tmp_path / "a.png").write_bytes(b"one")
    (tmp_path / "b.png").write_bytes(b"one")
    (tmp_path / "c.png").write_bytes(b"two")
    lines = read_lines(["a.png x", "b.png x", "c.png x", "gone.png x", ". x"], tmp_path)
    digests = [each.digest for each in lines]
    assert digests[0] == digests[1] != digests[2]
    assert digests[3:] == ["", ""]
    assert content_digest(tmp_path / ("x" * 5000)) == ""


# The split


def test_one_label_at_a_time_is_trained_on_as_well(clerk: Clerk) -> None:
    for _ in range(50):
        clerk.arrive("a")
    held_out = sum(each.held_out for each in clerk.ledger.samples)
    assert held_out == 10
    assert not clerk.ledger.samples[0].held_out


@given(st.lists(st.text("abcdef", max_size=9), max_size=30), st.sampled_from([0.5, 0.75, 0.8, 0.9]))
def test_each_class_has_its_share_whatever_the_arrivals(arrivals: list[str], share: float) -> None:
    clerk = Clerk(share)
    for labels in arrivals:
        clerk.arrive(labels)
    samples = clerk.ledger.samples
    held_out = sum(each.held_out for each in samples)
    assert held_out <= (1 - share) * len(samples) + 1
    classes = Counter(each.label for each in samples)
    held = Counter(each.label for each in samples if each.held_out)
    for name, count in classes.items():
        assert held[name] <= (1 - share) * count + 1
        assert held[name] < count, "the first of a class is trained on"


def test_classes_that_take_turns_all_get_their_share(clerk: Clerk) -> None:
    clerk.arrive("abcde" * 40)
    held = Counter(each.label for each in clerk.ledger.samples if each.held_out)
    assert set(held) == set("abcde")
    assert max(held.values()) - min(held.values()) <= 2
    assert held.total() == 40


@pytest.mark.parametrize("train_prob", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_share_of_nothing_or_everything_is_refused(train_prob: float, raises: Raises) -> None:
    with raises(ConfigurationError, "out-of-range", name="train_prob", value=train_prob):
        SampleLedger(train_prob)


# Waiting and learned


def test_a_sample_is_done_with_when_a_deployed_model_has_learned_it(clerk: Clerk) -> None:
    first = clerk.arrive("aaaaabbbbb")
    assert clerk.ledger.may_start
    given = clerk.begin()
    clerk.end(deployed=False)
    assert [each.number for each in clerk.ledger.waiting] == given
    assert (clerk.ledger.num_of_samples, clerk.ledger.may_start) == (0, False)
    second = clerk.arrive("aaaaabbbbb")
    assert clerk.ledger.num_of_samples == 8
    both = clerk.begin()
    assert set(given) < set(both)
    assert {each for each in both if each not in given} < set(second)
    clerk.end(deployed=True)
    assert clerk.ledger.waiting == []
    assert clerk.states().count("learned") == len(both) == 16
    assert clerk.states().count("held out") == len(first + second) - 16


def test_after_a_rollback_the_labels_of_later_rounds_wait_again(clerk: Clerk) -> None:
    clerk.arrive("aaaaa")
    first = clerk.begin()
    clerk.end(deployed=True)
    clerk.arrive("bbbbb")
    second = clerk.begin(parent=1)
    clerk.end(deployed=True)
    clerk.ledger.in_service(1)
    assert [each.number for each in clerk.ledger.waiting] == second
    clerk.ledger.in_service(None)
    assert [each.number for each in clerk.ledger.waiting] == first + second
    clerk.ledger.in_service(2)
    assert clerk.ledger.waiting == []


# Evidence


def test_evidence_is_everything_held_out_of_arrivals_that_had_their_round(clerk: Clerk) -> None:
    clerk.arrive("a" * 10)
    clerk.begin()
    clerk.arrive("b" * 10)
    clerk.ledger.take_evidence()
    assert [each.label for each in clerk.ledger.eval_samples] == ["a", "a"]
    clerk.end(deployed=True)
    clerk.begin(parent=1)
    clerk.ledger.take_evidence()
    assert [each.label for each in clerk.ledger.eval_samples] == ["a", "a", "b", "b"]
    clerk.ledger.take_evidence(left_out=(1,))
    assert [each.label for each in clerk.ledger.eval_samples] == ["b", "b"]


def test_much_evidence_is_taken_evenly_from_all_arrivals(clerk: Clerk) -> None:
    for labels in ("a" * 100, "b" * 20, "c" * 5):
        clerk.arrive(labels)
    clerk.begin()
    whole = Counter(each.label for each in clerk.ledger.evidence())
    assert whole == {"a": 20, "b": 4, "c": 1}
    some = clerk.ledger.evidence(at_most=11)
    assert Counter(each.label for each in some) == {"a": 6, "b": 4, "c": 1}
    assert [each.number for each in some] == sorted(each.number for each in some)


# Failures


def test_samples_that_fail_a_training_twice_are_set_aside_and_no_others(clerk: Clerk) -> None:
    clerk.arrive("aaaaa")
    first = clerk.begin()
    assert clerk.ledger.round_failed("train") == []
    assert not clerk.ledger.may_start
    clerk.arrive("bbbbb")
    clerk.begin()
    aside = [each.number for each in clerk.ledger.round_failed("train")]
    assert aside == first
    assert {clerk.states()[number - 1] for number in aside} == {"set aside"}
    clerk.ledger.mended()
    assert clerk.ledger.may_start
    assert set(first) < set(clerk.begin())


def test_what_is_no_workers_failure_is_held_against_nobody(clerk: Clerk) -> None:
    clerk.arrive("aaaaa")
    for _ in range(5):
        clerk.begin()
        assert clerk.ledger.round_failed(None) == []
    assert clerk.ledger.num_of_samples == 4


# Corrections


def test_a_picture_that_comes_again_with_another_label_is_corrected(clerk: Clerk) -> None:
    clerk.arrive("aaaaaa")
    clerk.begin()
    clerk.end(deployed=True)
    held_out = [each.number for each in clerk.ledger.samples if each.held_out]
    clerk.arrive("b" * 6, start=0)
    assert clerk.states()[:6] == ["corrected"] * 6
    assert [n - 6 for n in range(7, 13) if clerk.ledger.samples[n - 1].held_out] == held_out
    assert clerk.ledger.corrected == 6
    assert clerk.ledger.num_of_samples == 6 - len(held_out)
    clerk.begin(parent=1)
    assert {each.label for each in clerk.ledger.evidence()} == {"b"}


def test_a_picture_that_comes_again_with_its_label_is_nothing_new(clerk: Clerk) -> None:
    clerk.arrive("aaaa")
    clerk.begin()
    clerk.end(deployed=True)
    assert clerk.arrive("aaaa", start=0) == []
    assert (clerk.ledger.repeated, clerk.ledger.may_start) == (4, False)


def test_a_correction_within_one_arrival_counts(clerk: Clerk) -> None:
    same = [SampleLine(f"x.png {label}", "x.png", label, "digest") for label in "ab"]
    clerk.ledger.arrive(same, clerk.ledger.split(same))
    assert clerk.states() == ["corrected", "waiting"]


def test_samples_without_a_picture_are_all_samples_of_their_own(clerk: Clerk) -> None:
    lines = [read_line("the same line")] * 3
    clerk.ledger.arrive(lines, clerk.ledger.split(lines))
    assert len(clerk.ledger.samples) == 3
    assert (clerk.ledger.repeated, clerk.ledger.corrected) == (0, 0)


# Quarantine


def test_a_quarantined_arrival_takes_part_in_nothing_until_it_is_released(clerk: Clerk) -> None:
    clerk.arrive("a" * 10)
    bad = clerk.arrive("b" * 10)
    clerk.begin()
    clerk.ledger.quarantine(2, "a reason")
    assert not {each.number for each in clerk.ledger.train_samples} & set(bad)
    assert {each.label for each in clerk.ledger.evidence()} == {"a"}
    clerk.end(deployed=True)
    assert clerk.ledger.summary()["quarantine"] == [
        {"arrival": 2, "samples": 10, "reason": "a reason"}
    ]
    clerk.ledger.release(bad)
    assert clerk.ledger.num_of_samples == 8
    assert clerk.ledger.summary()["quarantine"] == []
    assert set(clerk.begin(parent=1)) < set(bad)
    assert clerk.ledger.to_check() == [], "a person has looked at it"


def test_a_corrected_label_leaves_quarantine_and_the_others_stay(clerk: Clerk) -> None:
    clerk.arrive("b" * 5)
    clerk.begin()
    clerk.ledger.quarantine(1, "a reason")
    clerk.arrive("a", start=0)
    assert clerk.states() == ["corrected", *["quarantined"] * 4, "waiting"]


def test_quarantined_arrivals_are_checked_again_when_their_classes_gain_labels(
    clerk: Clerk,
) -> None:
    clerk.arrive("a" * 10 + "b" * 10)
    clerk.begin()
    clerk.ledger.check_passed([1])
    clerk.end(deployed=True)
    clerk.arrive("b" * 5)
    clerk.begin(parent=1)
    clerk.ledger.quarantine(2, "a reason")
    clerk.end(deployed=False)
    assert clerk.ledger.to_check() == []
    clerk.arrive("b" * 10)
    assert [each.number for each in clerk.ledger.to_check()] == [3]
    clerk.begin(parent=1)
    clerk.ledger.check_passed([3])
    clerk.end(deployed=True)
    assert [each.number for each in clerk.ledger.to_check()] == [2]
    clerk.begin(parent=3)
    assert clerk.ledger.train_samples == []
    clerk.ledger.check_passed([2])
    clerk.ledger.join_round()
    assert {each.arrival for each in clerk.ledger.train_samples} == {2}
    assert clerk.ledger.has_something_new


def test_a_dropped_sample_is_gone_and_its_picture_may_come_again(clerk: Clerk) -> None:
    numbers = clerk.arrive("aaaa")
    clerk.ledger.drop(numbers)
    assert clerk.states() == ["dropped"] * 4
    assert not clerk.ledger.may_start
    assert len(clerk.arrive("aaaa", start=0)) == 4


# Whatever happens


@given(st.lists(st.tuples(st.text("abc", min_size=1, max_size=6), st.integers(0, 6)), max_size=12))
def test_no_sample_is_lost_or_doubled_whatever_happens(story: list[tuple[str, int]]) -> None:
    clerk = Clerk(0.75)
    ledger = clerk.ledger
    parent: int | None = None
    for labels, what in story:
        clerk.arrive(labels)
        given = clerk.begin(parent)
        assert len(given) == len(set(given))
        assert [each for each in given if ledger.samples[each - 1].held_out] == []
        if what == 0:
            ledger.round_failed("train")
        elif what == 1:
            ledger.round_failed("eval")
        elif what == 2:
            ledger.round_failed(None)
        elif what == 3 and ledger.suspects():
            ledger.quarantine(ledger.suspects()[-1], "a reason")
            clerk.end(deployed=False)
        elif what == 4:
            clerk.end(deployed=True)
            parent = clerk.rounds
        elif what == 5:
            clerk.end(deployed=True)
            ledger.in_service(parent)
        else:
            clerk.end(deployed=False)
        counts = ledger.summary()
        named = ("waiting", "learned", "held_out", "set_aside", "quarantined")
        assert sum(counts[name] for name in named) == counts["total"] == len(ledger.samples)
        waiting = {each.number for each in ledger.waiting}
        assert waiting == {each.number for each in ledger.samples if each.state == "waiting"}
