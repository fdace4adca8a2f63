import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from sedna_tinyms.jobs import events
from sedna_tinyms.jobs.progress import LiveView, rounds_table, show_progress
from sedna_tinyms.jobs.records import RoundRecord, StageRecord
from sedna_tinyms.jobs.workers.worker import WorkerExit


@pytest.fixture
def story(tmp_path):
    log = tmp_path / "1-train.log"
    log.write_text("epoch 1\nepoch 2 [of 3]\n")
    record = RoundRecord(1, train_samples=8, eval_samples=2)
    record.stages["train"] = StageRecord(12.3, 900_000_000, 0)
    record.finish("deployed", "the trigger's words\nmore", "met")
    end = WorkerExit(0, 12.3, 900_000_000)
    return [
        events.JobStarted("toy", "default", tmp_path, "http://127.0.0.1:1", 0),
        events.WorkerStarted(0, "inference", "inferworker-a", 7, Path("0-inference.log")),
        events.SamplesArrived(10, 8, "so far so good"),
        events.RoundStarted(1, 8, "/models/initial.ckpt"),
        events.WorkerStarted(1, "train", "train-worker-a", 8, log),
        events.Noted("something [odd] happened", "odd"),
        events.WorkerFinished(1, "train", "train-worker-a", end),
        events.Decided(1, True, "the trigger's words", "met"),
        events.Deployed(1, "hot", "/output/train/1/m.ckpt"),
        events.RoundFinished(record),
        events.JobStopped("Ctrl-C"),
    ]


def test_elsewhere_than_on_a_terminal_each_event_is_a_line(story):
    stream = io.StringIO()
    with show_progress(stream) as show:
        for event in story:
            show(event)
    lines = stream.getvalue().splitlines()
    assert len(lines) == len(story) + 1  # the reason had two
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in lines[:10])
    text = stream.getvalue()
    assert "\x1b" not in text
    without_times = re.sub(r"^\d\d:\d\d:\d\d ", "", text, flags=re.MULTILINE)
    assert without_times == "".join(f"{event}\n" for event in story)


def test_on_a_terminal_it_shows_the_rounds_and_what_goes_on(story, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("time.monotonic", lambda: 0.0)
    stream = io.StringIO()
    with show_progress(stream, live=True) as show:
        for event in story:
            show(event)
    text = stream.getvalue()
    assert "default/toy" in text
    assert "12.3 s, 0.90 GB" in text
    assert "the trigger's words" in text
    assert "something [odd] happened" in text
    assert str(story[-1]) in text


def test_the_last_line_of_the_running_workers_log_is_shown(story, monkeypatch, snapshot):
    monkeypatch.setattr("time.monotonic", lambda: 0.0)
    view = LiveView()
    for event in story[:5]:
        view.take(event)
    console = Console(file=io.StringIO(), width=120)
    console.print(view)
    assert "epoch 2 [of 3]" in console.file.getvalue()
    assert console.file.getvalue() == snapshot


def test_at_80_columns_each_reason_is_whole_below_its_round(story):
    record = story[-2].record
    record.stages["eval"] = StageRecord(123.4, 1_200_000_000, 0)
    record.finish("rejected", "reason of fifty-six characters, as long as they often are", "met")
    console = Console(file=io.StringIO(), width=80)
    console.print(rounds_table("default/toy", [record, record]))
    lines = console.file.getvalue().splitlines()
    row = "    1  8+2      12.3 s, 0.90 GB  123.4 s, 1.20 GB  -       rejected"
    why = "       reason of fifty-six characters, as long as they often are"
    assert [line.rstrip() for line in lines[2:]] == [row, why] * 2
