"""A new model is tried out in a real process between the decision and its deployment."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from small_checkpoint import write_checkpoint
from small_onnx import write_classifier

from sedna_tinyms.jobs.events import CanaryEnded, WorkerFinished, WorkerStarted


@pytest.fixture
def play(toy_job):
    """Play one round that trains the given ONNX file, with pictures, and return its record."""

    def play(model, **settings):
        for number, line in enumerate(toy_job.add_samples(10)):
            picture = toy_job.root / "data" / line.split()[0]
            Image.fromarray(np.full((40, 40, 3), 90 + number, np.uint8)).save(picture)
        checkpoint = write_checkpoint(toy_job.here / "model.ckpt")
        files = {"onnx": str(model), "ckpt": str(checkpoint)}
        toy_job.plan({1: {"train": "two formats", "accuracy": 0.7} | files})
        settings = {"annotations": {"canary-timeout-seconds": "60"}} | settings
        return toy_job.runner(two_formats=True, rounds=1, **settings).run().records[0]

    return play


def refused(toy_job, record, code):
    """Tell whether the old model stays in service, and everything says why."""
    assert (record.outcome, record.code) == ("not proven", "canary-failed")
    assert record.canary["reason"] in record.reason
    (event,) = toy_job.heard(CanaryEnded)
    assert (event.outcome, event.code) == ("failed", code)
    assert (event.reason, event.code) == (record.canary["reason"], record.canary["code"])
    completed = [c for c in toy_job.conditions() if c["stage"] == "Deploy"][-1]
    assert record.detail in completed["message"]
    assert len(toy_job.seen("inference")) == 1
    return toy_job.deployed.read_text() == "0.2"


def test_a_model_that_answers_is_deployed(toy_job, tmp_path, play):
    model = write_classifier(tmp_path / "sound.onnx")
    record = play(model, memory={"inference": "4Gi"})
    assert (record.outcome, record.canary["outcome"]) == ("deployed", "passed")
    assert record.canary["pictures"] == 2
    assert toy_job.deployed.read_bytes() == model.read_bytes()
    assert list(record.stages) == ["train", "eval", "canary", "deploy"]
    kept = json.loads((toy_job.output / "eval" / "1" / "canary.json").read_text())
    assert kept == record.canary
    order = [event.kind for event in toy_job.heard(WorkerFinished)]
    assert order[:3] == ["train", "eval", "canary"]


def test_a_model_of_nans_is_refused(toy_job, tmp_path, play):
    record = play(write_classifier(tmp_path / "broken.onnx", weight=float("nan")))
    assert refused(toy_job, record, "not-finite")
    assert record.stages["canary"].exit_code == 5


def test_a_model_that_is_cut_short_is_refused(toy_job, tmp_path, play):
    whole = write_classifier(tmp_path / "whole.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[:400])
    assert refused(toy_job, play(tmp_path / "cut.onnx"), "damaged")


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"memory": {"inference": "40Mi"}}, "out-of-range"),
        (
            {"annotations": {"canary-timeout-seconds": "60", "canary-max-latency-ms": "0.0001"}},
            "out-of-range",
        ),
        ({"annotations": {"canary-timeout-seconds": "0.01"}}, "timeout"),
    ],
    ids=["memory", "latency", "time"],
)
def test_a_model_over_its_limits_is_refused(toy_job, tmp_path, play, limits, code, snapshot):
    record = play(write_classifier(tmp_path / "sound.onnx"), **limits)
    assert refused(toy_job, record, code)
    measured = re.sub(r"takes [0-9.]+ (MB|ms)", r"takes <n> \1", record.reason)
    assert re.sub(r" \(.*\)", "", measured) == snapshot  # the YAML's line, if the runner saw it


def test_a_model_that_ends_its_process_is_refused(toy_job, tmp_path, play, snapshot):
    # Beside the job's scripts, this is what the process imports.
    (toy_job.here / "onnxruntime.py").write_text(
        "import os, sys; print('segfault', file=sys.stderr, flush=True); os.abort()"
    )
    record = play(write_classifier(tmp_path / "sound.onnx"))
    assert refused(toy_job, record, "worker-failed")
    assert record.reason == snapshot
    assert record.stages["canary"].exit_code == -6
    assert record.canary["last_lines"] == ["segfault"]


def test_another_estimators_model_is_deployed_as_ever_with_a_note(toy_job, tmp_path, play):
    record = play(write_classifier(tmp_path / "foreign.onnx", described=False))
    assert (record.outcome, record.canary["outcome"]) == ("deployed", "not tried")
    assert toy_job.heard(CanaryEnded)[0].code == "foreign-model"


def test_without_the_canary_no_model_is_tried(toy_job, tmp_path, play):
    model = write_classifier(tmp_path / "large.onnx", features=1000)
    record = play(model, annotations={"canary-timeout-seconds": "0"})
    assert (record.outcome, record.canary) == ("deployed", None)
    assert toy_job.heard(CanaryEnded) == []


def test_weights_of_nan_are_not_deployed_without_the_canary_either(toy_job, tmp_path, play):
    model = write_classifier(tmp_path / "broken.onnx", weight=float("nan"))
    record = play(model, annotations={"canary-timeout-seconds": "0"})
    assert (record.outcome, record.code) == ("failed", "not-finite")
    assert record.failure["reason"] == "ModelFileError"
    assert toy_job.deployed.read_text() == "0.2"


def test_a_runner_that_is_stopped_meanwhile_deploys_nothing_and_leaves_no_process(
    toy_job, tmp_path
):
    toy_job.plan({1: {"train": "two formats", "onnx": str(write_classifier(tmp_path / "m.onnx"))}})
    toy_job.add_samples(10)
    runner = toy_job.runner(two_formats=True, annotations={"canary-timeout-seconds": "60"})
    toy_job.on(WorkerStarted, lambda event: event.kind == "canary" and runner.stop("enough"))
    (record,) = runner.run().records
    assert record.code == "interrupted"
    assert toy_job.deployed.read_text() == "0.2"
    ended = [event.name for event in toy_job.heard(WorkerFinished) if event.kind == "canary"]
    assert len(ended) == 1
