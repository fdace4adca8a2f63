"""What each kind of event says, in one line of text."""

from pathlib import Path

import pytest

from sedna_tinyms.jobs import events
from sedna_tinyms.jobs.arrivals import ArrivalVerdict
from sedna_tinyms.jobs.records import RoundRecord
from sedna_tinyms.jobs.workers.worker import WorkerExit

FAILED = RoundRecord(3)
FAILED.finish("failed", "a reason", "a-code")
FAILED.failure = {"stage": "train", "reason": "WorkerFailed", "last_lines": ["one", "two"]}
END = WorkerExit(0, 12.3, 900_000_000)

EVENTS = [
    events.JobStarted("toy", "default", Path("/output"), "http://127.0.0.1:9100", 0),
    events.JobStarted("toy", "default", Path("/output"), "http://127.0.0.1:9100", 3),
    events.SamplesArrived(10, 8, "the verdict of the trigger"),
    events.RoundStarted(1, 8, "/models/initial/model.ckpt"),
    events.WorkerStarted(1, "train", "train-worker-abcde", 7, Path("/output/logs/1-train.log")),
    events.WorkerFinished(1, "train", "train-worker-abcde", END),
    events.EnginesChosen(1, "eval", {"predictions": "one engine: why", "more": "another"}),
    events.SamplesArrived(10, 8, "the verdict of the trigger", corrected=2, repeated=3),
    events.LabelsChecked(1, {7: ArrivalVerdict("skipped", "a reason", "too-few")}),
    events.Decided(1, "deployed", "a reason", "met"),
    events.Decided(1, "not proven", "a reason", "not-met"),
    events.CanaryEnded(1, "failed", "a reason", "out-of-range"),
    events.Deployed(1, "hot", "/output/train/1/model.ckpt"),
    events.RolledBack(1, 2, "a reason"),
    events.RollbackServed(1),
    events.RoundFinished(RoundRecord(2, outcome="deployed", reason="a reason")),
    events.RoundFinished(FAILED),
    events.Noted("something", "a-code"),
    events.JobStopped("a reason"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_says_what_happened(event, snapshot):
    assert str(event) == snapshot


def test_every_kind_of_event_is_among_them():
    kinds = {type(event).__name__ for event in EVENTS}
    assert kinds == set(events.__all__) - {"Event"}
