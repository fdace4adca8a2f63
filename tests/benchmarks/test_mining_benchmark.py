"""The mining benchmark finds out which filter spends labels well, on features made for it."""

import argparse
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
CLASSES = 3


@pytest.fixture
def mining(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import mining

    return mining


@pytest.fixture
def features(tmp_path, mining):
    """Two domains: the classes stand along the same axes, but in the second one elsewhere."""
    rng = np.random.default_rng(0)
    arrays = {}
    for domain in range(2):
        for split, count in (("train", 120), ("test", 60)):
            labels = np.arange(count) % CLASSES
            rows = 0.3 * rng.normal(size=(count, 16))
            rows[np.arange(count), (labels + domain) % CLASSES] += 2
            rows[:, 8 + domain] += 3
            arrays[f"{domain} {split}"] = rows.astype(np.float32)
            arrays[f"{domain} {split} labels"] = labels
    np.savez(tmp_path / mining.FEATURES, **arrays)
    return tmp_path


def measured(mining, features, name, stream="mixed"):
    options = argparse.Namespace(budget=10, seeds=[0, 1])
    run = mining.Run(0, 0, features, features, 0.0)
    return {"name": name} | mining.label(stream, name, options, run)


def test_every_filter_is_measured_on_every_stream(mining):
    names = [(row.measure.args) for row in mining.rows(argparse.Namespace())]
    assert len(names) == len(set(names)) == len(mining.FILTERS) * len(mining.STREAMS)


def test_a_row_has_its_numbers(mining, features):
    row = measured(mining, features, "Novelty")
    assert 0 < row["labels"] <= 10
    assert 0.4 < row["accuracy_before"] < row["accuracy"] <= 1
    gained = 1e4 * (row["accuracy"] - row["accuracy_before"]) / row["labels"]
    assert row["points_per_100_labels"] == pytest.approx(gained, rel=0.2)
    assert len(row["by_seed"]) == 2


def test_rows_are_compared_with_the_lot_of_their_stream(mining, features):
    found = [measured(mining, features, name) for name in ("random", "Novelty")]
    mining.finish(found)
    assert found[0]["times_random"] == 1
    assert found[1]["times_random"] > 1


def test_the_new_domain_alone_is_a_stream_of_its_own(mining, features):
    _, new, _ = mining._read(features / mining.FEATURES)
    known = mining.Part(np.zeros((20, 16), np.float32), np.zeros(20, np.int64))
    rng = np.random.default_rng(0)
    assert len(mining.shift(known, new, rng).labels) == 120
    assert len(mining.mixed(known, new, rng).labels) == 40
