"""What moved between two results of a benchmark."""

import json
from pathlib import Path

import pytest
from compare import compare, main

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def row(name, *runs, **together):
    return {"name": name, **runs[0], **together, "runs": list(runs)}


def result(*rows, **facts):
    return {"benchmark": "toy", "rows": list(rows), **facts}


def seconds(*values, name="head"):
    return result(row(name, *({"seconds": value} for value in values)))


def only(before, after):
    (moved,) = compare(before, after)
    return moved


@pytest.fixture
def files(tmp_path):
    """Return a function that writes results to files, and returns their paths."""

    def write(*results):
        paths = [tmp_path / f"{number}.json" for number in range(len(results))]
        for path, said in zip(paths, results, strict=True):
            path.write_text(said if isinstance(said, str) else json.dumps(said))
        return [str(path) for path in paths]

    return write


def test_the_best_run_and_the_median_are_compared():
    moved = only(seconds(4.0, 2.0, 3.0), seconds(3.0, 9.0, 6.0))
    assert (moved.row, moved.column) == ("head", "seconds")
    assert (moved.before.best, moved.before.median) == (2.0, 3.0)
    assert (moved.after.best, moved.after.median) == (3.0, 6.0)
    assert (moved.ratio, moved.median_ratio) == (1.5, 2.0)
    assert (moved.factor, moved.verdict) == (1.5, "worse")


def test_one_slow_run_moves_nothing():
    assert only(seconds(2.0, 3.0, 3.0), seconds(2.0, 9.0, 9.0)).factor == 1.0
    assert only(seconds(2.0, 4.0, 4.0), seconds(3.0, 3.0, 3.0)).factor == 1.0  # they disagree


@pytest.mark.parametrize(
    ("column", "before", "after", "factor", "verdict"),
    [
        ("seconds", 4.0, 2.0, 2.0, "better"),
        ("seconds", 2.0, 4.0, 2.0, "worse"),
        ("peak_memory_mb", 2.0, 4.0, 2.0, "worse"),
        ("accuracy", 0.5, 1.0, 2.0, "better"),
        ("accuracy", 1.0, 0.5, 2.0, "worse"),
        ("capacity_per_second", 20, 10, 2.0, "worse"),
        ("accuracy_std", 1.0, 2.0, 2.0, "other"),
        ("replayed", 1.0, 2.0, 2.0, "other"),
        ("seconds", 2.0, 2.0, 1.0, "other"),
        ("failed", 0, 1, float("inf"), "worse"),
        ("backward_transfer", -0.5, 0.5, float("inf"), "better"),
        ("failed", 0, 0, 1.0, "other"),
    ],
)
def test_less_or_more_is_better_by_the_column(column, before, after, factor, verdict):
    moved = only(result(row("head", {column: before})), result(row("head", {column: after})))
    assert (moved.factor, moved.verdict) == (factor, verdict)


def test_of_an_accuracy_the_best_run_is_the_highest():
    runs = [{"accuracy": 0.5}, {"accuracy": 0.75}]
    moved = only(result(row("head", *runs)), result(row("head", *runs[:1])))
    assert (moved.before.best, moved.after.best) == (0.75, 0.5)


def test_rows_without_runs_say_their_minimum_and_median_themselves():
    before = result({"side": "ours", "batch": 8, "min_s": 2.0, "median_s": 3.0})
    after = result({"side": "ours", "batch": 8, "min_s": 4.0, "median_s": 9.0})
    moved = only(before, after)
    assert moved.row == "ours, 8"
    assert (moved.ratio, moved.median_ratio) == (2.0, 3.0)
    before = result({"name": "ours", "seconds": 2.0, "seconds_median": 3.0})
    after = result({"name": "ours", "seconds": 1.0, "seconds_median": 1.0})
    assert (only(before, after).ratio, only(before, after).median_ratio) == (0.5, 1 / 3)


def test_what_is_no_number_is_not_compared():
    odd = {"by_seed": [1, 2], "engine": "openvino", "whole": True, "mean": None}
    assert compare(result(row("head", odd)), result(row("head", odd))) == []


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_nothing_moves_between_a_result_and_itself(path):
    said = json.loads(path.read_text())
    found = compare(said, said)
    assert len(found) >= 5
    assert {moved.factor for moved in found} == {1.0}


def test_the_table_has_what_moved_beyond_the_threshold(files, capsys):
    before, after = files(
        result(row("head", {"seconds": 1.0}), row("latent", {"seconds": 10.0, "other": 1})),
        result(row("head", {"seconds": 1.04}), row("latent", {"seconds": 12.0, "other": 1})),
    )

    def rows(*options):
        assert main([before, after, *options]) == 0
        _, _, *lines = filter(str.strip, capsys.readouterr().out.splitlines())
        return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]

    assert rows() == [["latent", "seconds", "10", "12", "1.200", "10", "12", "1.200", "worse"]]
    assert [cells[:2] for cells in rows("--threshold", "1.01")] == [
        ["head", "seconds"],
        ["latent", "seconds"],
    ]
    assert rows("--threshold", "1.3") == []
    everything = rows("--all")
    assert [cells[-1] for cells in everything] == ["-", "worse", "-"]


def test_the_exit_code_is_1_only_if_asked_and_only_for_what_became_worse(files):
    before, slower = files(seconds(1.0, 1.0), seconds(1.3, 1.4))
    assert main([before, slower]) == 0
    assert main([before, slower, "--fail-above", "1.25"]) == 1
    assert main([before, slower, "--fail-above", "1.35"]) == 0
    assert main([slower, before, "--fail-above", "1.25"]) == 0  # it became better


def test_other_surroundings_and_other_rows_are_noted(files, capsys):
    before = seconds(1.0) | {"cores": 2, "versions": {"numpy": "1.25", "python": "3.11"}}
    after = seconds(1.0, name="latent") | {"cores": 4, "versions": {"python": "3.11"}}
    assert main(files(before, after)) == 0
    notes = capsys.readouterr().err.splitlines()
    assert [line for line in notes if "2" in line and "4" in line and "cores" in line]
    assert [line for line in notes if "numpy" in line and "1.25" in line]
    assert not [line for line in notes if "python" in line]
    assert [line for line in notes if "head" in line]
    assert [line for line in notes if "latent" in line]


@pytest.mark.parametrize(
    "said",
    [
        "[1",
        "[]",
        {"rows": 3},
        {"benchmark": "toy", "rows": [1]},
        seconds(1.0) | {"benchmark": "another"},
        result(row("head", {"seconds": 1.0}), row("head", {"seconds": 2.0})),
    ],
)
def test_what_cannot_be_compared_is_refused(said, files, capsys):
    before, after = files(seconds(1.0), said)
    assert main([before, after]) == 2
    assert capsys.readouterr().out == ""
    assert main([before, f"{after}.missing"]) == 2


@pytest.mark.parametrize("factor", ["0.5", "x", "nan", "inf", "-2"])
def test_a_factor_is_a_number_of_1_or_more(factor, files, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*files(seconds(1.0), seconds(2.0)), "--threshold", factor])
    assert ended.value.code == 2
    assert repr(factor) in capsys.readouterr().err
