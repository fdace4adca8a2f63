"""Rows of their own processes, what is left out, the table and the JSON file."""

import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sedna_tinyms.errors import StorageError, UsageError, WorkerError

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TOY = Path(__file__).with_name("toy_benchmark.py")
ENDLESS = Path(__file__).with_name("endless_benchmark.py")
LIMIT_SECONDS = 60.0


def toy(directory, *arguments):
    return subprocess.run(
        [sys.executable, TOY, *arguments, "--json", directory / "out.json"],
        env={**os.environ, "PYTHONPATH": str(BENCHMARKS)},
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    directory = tmp_path_factory.mktemp("toy")
    done = toy(directory, "--repeat", "2")
    return done, json.loads((directory / "out.json").read_text())


def test_rows_that_cannot_be_measured_are_left_out_by_name(whole, snapshot):
    done, report = whole
    assert report["benchmark"] == "toy"
    assert [row["name"] for row in report["rows"]] == ["quick", "stock"]
    absent, failing = report["left_out"]
    assert (absent["name"], absent["code"]) == ("absent", "missing-extra")
    assert (failing["name"], failing["code"]) == ("failing", "worker-failed")
    assert "the row's own complaint" in done.stderr
    said = [line for line in done.stderr.splitlines() if "left out" in line]
    assert "\n".join(said) == snapshot


def test_a_row_that_fails_fails_the_benchmark(whole, tmp_path):
    assert whole[0].returncode == WorkerError.exit_code
    assert toy(tmp_path, "--rows", "absent,stock").returncode == 0


def test_the_fastest_run_counts_and_the_median_stands_beside_it(whole):
    quick, stock = whole[1]["rows"]
    assert (quick["seconds"], quick["seconds_median"], len(quick["runs"])) == (2.0, 2.5, 2)
    assert (stock["seconds"], len(stock["runs"])) == (3.0, 1)


def test_rows_are_measured_in_turn(whole):
    names = ("quick", "stock")
    said = [line.partition(":")[0] for line in whole[0].stderr.splitlines()]
    assert [name for name in said if name in names] == ["quick", "stock", "quick"]


def test_every_run_has_a_process_and_a_cold_cache_of_its_own(whole):
    runs = [run for row in whole[1]["rows"] for run in row["runs"]]
    assert len({run["process"] for run in runs}) == len({run["cache"] for run in runs}) == 3
    assert all(run["peak_memory_mb"] > 5 for run in runs)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="oneDNN's limit is x86's")
def test_only_the_stock_row_leaves_onednn_alone(whole):
    quick, stock = whole[1]["rows"]
    assert (quick["oneDNN"], stock["oneDNN"]) == ("AVX2", None)


def test_all_rows_begin_from_the_same_preparation(whole):
    assert {row["start"] for row in whole[1]["rows"]} == {"ready"}


def test_rows_are_finished_together_and_facts_stand_beside_them(whole):
    _, report = whole
    assert [row["place"] for row in report["rows"]] == [0, 1]
    assert report["together"] == 2
    assert report["cores"] >= 1
    assert report["versions"]["python"] == platform.python_version()
    assert report["options"]["seeds"] == [0, 1, 2]


def test_the_table_alone_goes_to_standard_output_in_markdown(whole):
    done, _ = whole
    heading, rule, quick, stock = filter(str.strip, done.stdout.splitlines())
    cells = [[cell.strip() for cell in line.split("|")] for line in (heading, quick, stock)]
    assert cells[0] == ["", "row", "seconds", "place", ""]
    assert cells[1] == ["", "quick", "2.0", "0", ""]
    assert cells[2] == ["", "stock", "3.0", "1", ""]
    assert set(rule.strip()) == set("|-")


def test_an_unknown_row_is_refused_with_the_nearest(tmp_path, snapshot):
    done = toy(tmp_path, "--rows", "qick")
    assert done.returncode == UsageError.exit_code
    assert done.stderr == snapshot
    assert not (tmp_path / "out.json").exists()


def test_a_file_that_cannot_be_written_is_found_before_the_first_row(tmp_path, snapshot):
    (tmp_path / "out.json").mkdir()
    done = toy(tmp_path)
    assert done.returncode == StorageError.exit_code
    assert done.stderr == snapshot


def test_the_help_tells_the_defaults(tmp_path):
    words = " ".join(toy(tmp_path, "--help").stdout.partition("options:")[2].split())
    options = dict(re.findall(r"--(\w+) [A-Z],?B? (.*?)(?= --|$)", words))
    assert options["repeat"].endswith("(default: 3)")
    assert options["seeds"].endswith("(default: 0,1,2)")
    assert "default" not in re.search("--json OUT (.*?) --rows", words)[1]


@pytest.mark.parametrize(
    "arguments", [("--repeat", "0"), ("--images", "-1"), ("--seeds", "a,b"), ("--seeds", "")]
)
def test_numbers_out_of_range_are_refused(tmp_path, arguments):
    assert toy(tmp_path, *arguments).returncode == 2


# --- interrupted --------------------------------------------------------------------------------


def wait_until(condition):
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(pid):
    try:
        stat = Path("/proc", str(pid), "stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
@pytest.mark.parametrize(
    ("number", "outlives", "code"),
    [(signal.SIGTERM, False, 143), (signal.SIGINT, False, -2), (signal.SIGKILL, True, -9)],
)
def test_a_row_does_not_outlive_its_benchmark(number, outlives, code, tmp_path):
    noted, temporary = tmp_path / "noted", tmp_path / "temporary"
    temporary.mkdir()
    benchmark = subprocess.Popen(
        [sys.executable, ENDLESS],
        env={
            **os.environ,
            "PYTHONPATH": str(BENCHMARKS),
            "NOTED": str(noted),
            "TMPDIR": str(temporary),
        },
        stderr=subprocess.DEVNULL,
    )
    with benchmark:
        wait_until(noted.exists)
        row, child = map(int, noted.read_text().split())
        benchmark.send_signal(number)
    assert benchmark.returncode == code
    wait_until(lambda: not alive(row))
    if outlives:  # nobody was left to end what the row had started, or to clean up
        os.kill(child, signal.SIGKILL)
    else:
        assert list(temporary.iterdir()) == []
    wait_until(lambda: not alive(child))
