"""What is measured, by a clock that passes as the work says."""

import argparse
from itertools import cycle
from types import SimpleNamespace

import core_workloads
import edge
import machine
import pytest
from harness import Run


class Clock:
    """Stands in for the module `time`."""

    def __init__(self):
        self.now = 1000.0
        self.processor = 50.0

    def perf_counter(self):
        return self.now

    monotonic = perf_counter

    def process_time(self):
        return self.processor

    def work(self, seconds, cores=1):
        self.now += seconds
        self.processor += seconds * cores


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    for module in (core_workloads, edge, machine):
        monkeypatch.setattr(module, "time", clock)
    return clock


def working(clock, *durations):
    left = iter(durations)
    return lambda: clock.work(next(left), cores=2)


def test_the_first_time_is_told_apart_and_the_best_of_the_others_counts(clock):
    work = working(clock, 8.0, 4.0, 1.0, 2.0)
    assert core_workloads.timed(work, repeats=3, most_seconds=60.0) == {
        "first_s": 8.0,
        "min_s": 1.0,
        "median_s": 2.0,
        "processor_min_s": 2.0,
        "repeats": 3,
    }


def test_what_takes_long_is_repeated_less(clock):
    row = core_workloads.timed(working(clock, 8.0, 4.0, 4.0), repeats=9, most_seconds=5.0)
    assert (row["repeats"], row["min_s"]) == (2, 4.0)
    row = core_workloads.timed(working(clock, 8.0, 4.0), repeats=9, most_seconds=0.0)
    assert row["repeats"] == 1


def test_a_stopwatch_tells_its_seconds_and_the_processors(clock):
    elapsed = machine.stopwatch()
    clock.work(3.0, cores=4)
    assert elapsed() == {"seconds": 3.0, "processor_seconds": 12.0}
    clock.work(1.0)
    assert elapsed() == {"seconds": 4.0, "processor_seconds": 13.0}


def test_answers_are_timed_by_picture_and_compared_with_the_labels(clock, monkeypatch):
    tests = [("a.png", "bolt"), ("b.png", "nut"), ("c.png", "nut")]
    asked = []
    durations = cycle([0.25, 0.5, 0.75])

    def answer(pictures):
        asked.append(list(pictures))
        clock.work(next(durations))
        return ["nut"] * len(pictures)

    monkeypatch.setattr(edge, "first_domain", lambda _: SimpleNamespace(test=tests))
    monkeypatch.setattr(edge, "resident_mb", lambda: 42.0)
    monkeypatch.setattr(edge, "install_mb", lambda without: 9.0 + len(without))
    run = Run(0, 0, None, None, started=clock.now)
    row = edge.measure(lambda _: answer, 2, argparse.Namespace(seconds=6.0), run)
    assert row == {
        "batch_size": 2,
        "ms_per_image": 125.0,
        "ms_per_image_median": 250.0,
        "resident_mb": 42.0,
        "first_answer_seconds": 0.25,
        "install_mb": 9.0,
        "accuracy": pytest.approx(2 / 3),
    }
    first, *timed = asked[:-2]
    assert first == ["a.png"]
    assert timed[:3] == [["a.png", "b.png"], ["c.png", "a.png"], ["b.png", "c.png"]]
    assert len(timed) == 12  # six seconds, of half a second each
    assert asked[-2:] == [["a.png", "b.png"], ["c.png"]]  # for the accuracy, each once
