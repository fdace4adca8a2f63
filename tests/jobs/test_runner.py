import json
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from forked_command import run_command
from toy_job import as_onnx, wait_until

from sedna_tinyms.errors import ConfigurationError, ModelFileError, StorageError
from sedna_tinyms.jobs.dataset import DatasetReader
from sedna_tinyms.jobs.events import (
    Decided,
    Deployed,
    EnginesChosen,
    JobStopped,
    RoundFinished,
    RoundStarted,
    SamplesArrived,
    WorkerFinished,
    WorkerStarted,
)
from sedna_tinyms.jobs.journal import BookkeepingError
from sedna_tinyms.jobs.workers.processes import MemoryLimit

NAN = float("nan")
DEPLOYED_COLD = [f"Deploy {kind}" for kind in ("Waiting", "Ready", "Completed")]
COMPLETED_ROUND = [
    *(f"Train {kind}" for kind in ("Ready", "Starting", "Running", "Completed")),
    *(f"Eval {kind}" for kind in ("Waiting", "Ready", "Starting", "Running", "Completed")),
]


@pytest.fixture
def play(toy_job):
    """Play rounds of ten new samples each, and return their records."""

    def play(plan, *, hot=False, rounds=None, **settings):
        toy_job.plan(plan)
        runner = toy_job.runner(hot=hot, rounds=rounds or len(plan), **settings)
        toy_job.on(RoundFinished, lambda _: toy_job.add_samples(10))
        toy_job.add_samples(10)
        return runner.run().records

    return play


def outcomes(records):
    return [record.outcome for record in records]


def codes(records):
    return [record.code for record in records]


@pytest.fixture
def after_looks(monkeypatch):
    """Return what does something once a runner has looked at its dataset so many times more."""
    due, look = [], DatasetReader.read_new

    def look_and_act(*arguments):
        for each in list(due):
            each[0] -= 1
            if each[0] == 0:
                each[1]()
        return look(*arguments)

    monkeypatch.setattr(DatasetReader, "read_new", look_and_act)
    return lambda count, act: due.append([count, act])


# A round, and what the next one starts from


def test_a_better_model_is_deployed_and_a_worse_one_refused(toy_job, play):
    records = play({1: {"accuracy": 0.7}, 2: {"accuracy": 0.6}, 3: {"accuracy": 0.8}})
    assert outcomes(records) == ["deployed", "not proven", "deployed"]
    assert codes(records) == ["met", "not-met", "met"]
    assert [record.old["accuracy"] for record in records] == [[0.2], [0.7], [0.7]]
    assert toy_job.deployed.read_text() == "0.8"
    told = [(each.outcome, each.code, each.detail) for each in records]
    heard = [(event.outcome, event.code, event.detail) for event in toy_job.heard(Decided)]
    assert heard == told


def test_the_base_of_a_round_is_the_last_deployed_model(toy_job, play):
    play({1: {"accuracy": 0.7}, 2: {"accuracy": 0.6}, 3: {"accuracy": 0.8}})
    assert [each["base"] for each in toy_job.seen("train")] == ["0.1", "0.7", "0.7"]


def test_the_base_is_the_last_trained_model_by_sednas_rule(toy_job, play):
    play({1: {"accuracy": 0.7}, 2: {"accuracy": 0.6}, 3: {}}, base="last-trained")
    assert [each["base"] for each in toy_job.seen("train")] == ["0.1", "0.7", "0.6"]


def test_samples_are_split_by_class_and_written_where_sedna_does(toy_job, play):
    play({1: {"accuracy": 0.7}, 2: {"accuracy": 0.8}})
    (train, held_out), (train_too, held_out_too), _ = toy_job.shares()
    first, second = toy_job.seen("train")
    assert (first["lines"], second["lines"]) == (train, train_too)
    first, second = toy_job.seen("eval")
    assert first["lines"] == held_out
    assert second["lines"] == held_out + held_out_too
    written = toy_job.output / "data" / "train" / "2" / "data.txt"
    assert written.read_text().splitlines() == train_too


def test_conditions_run_along_the_state_machine(toy_job, play):
    play({1: {"accuracy": 0.7}, 2: {"accuracy": 0.6}})
    assert toy_job.states() == [
        "Train Waiting",
        *COMPLETED_ROUND,
        *DEPLOYED_COLD,
        "Train Waiting",
        *COMPLETED_ROUND,
        *("Deploy Waiting", "Deploy Completed", "Train Waiting"),
    ]
    ready, completed = (
        next(json.loads(each["data"]) for each in toy_job.conditions() if each["type"] == kind)
        for kind in ("Ready", "Completed")
    )
    assert ready["input"] == {
        "models": [{"format": "ckpt", "url": "/models/initial/model.ckpt"}],
        "dataURL": "/output/data/train/1/data.txt",
        "outputDir": "/output/train/1",
    }
    assert completed["output"]["models"] == [
        {"format": "ckpt", "url": "/output/train/1/model.ckpt", "metrics": {"loss": 0.1}}
    ]


def test_workers_find_sednas_variables_and_run_where_the_yaml_lies(toy_job, play):
    play({1: {}})
    root = str(toy_job.root)
    train, evaluation = toy_job.seen("train")[0]["env"], toy_job.seen("eval")[0]["env"]
    assert train["DATA_PATH_PREFIX"] == root
    assert train["MODEL_URL"] == f"{root}/output/train/1"
    assert train["BASE_MODEL_URL"] == f"{root}/models/initial/model.ckpt"
    assert train["TRAIN_DATASET_URL"] == f"{root}/output/data/train/1/data.txt"
    assert train["ORIGINAL_DATASET_URL"] == f"{root}/data/toys.txt"
    assert train["WORKER_NAME"].startswith("train-worker-")
    assert evaluation["MODEL_URLS"] == (
        f"{root}/output/train/1/model.ckpt;{root}/models/deployed/model.ckpt"
    )
    assert train["JOB_NAME"] == "toy"
    here = str(toy_job.here.resolve())
    assert here != str(Path.cwd())
    for kind in ("train", "eval", "inference"):
        assert toy_job.seen(kind)[0]["cwd"] == here


@pytest.mark.parametrize("engines", [{"predictions": "onnxruntime f32: asked for"}, {}, 7, None])
def test_what_workers_computed_with_is_told_and_in_the_report(toy_job, play, engines):
    (record,) = play({1: {"accuracy": 0.7, "engines": engines}})
    known = engines if isinstance(engines, dict) else {}
    told = [EnginesChosen(1, "eval", known)] if known else []
    assert toy_job.heard(EnginesChosen) == told
    assert (record.stages["eval"].engines, record.stages["train"].engines) == (known, {})
    report = json.loads((toy_job.output / "report.json").read_text())
    assert report["rounds"][0]["stages"]["eval"]["engines"] == known


def test_the_report_holds_what_each_round_cost_and_brought(toy_job):
    size = 150 << 20  # more than a runner takes that is a process of its own
    toy_job.plan({1: {"accuracy": 0.7, "bytes": size}, 2: {"train": "crash"}})
    for code in (0, 10):
        toy_job.add_samples(10)
        assert run_command(toy_job, "--rounds", "1")[0] == code
    report = json.loads((toy_job.output / "report.json").read_text())
    first, second = report["rounds"]
    assert (first["outcome"], first["train_samples"], first["eval_samples"]) == ("deployed", 8, 2)
    assert (first["new"], first["old"]) == ({"accuracy": [0.7]}, {"accuracy": [0.2]})
    assert set(first["stages"]) == {"train", "eval", "deploy"}
    assert first["stages"]["train"]["seconds"] > 0
    assert first["stages"]["train"]["peak_bytes"] > size
    assert first["stages"]["eval"]["exit_code"] == 0
    assert set(second["stages"]) == {"train"}
    assert second["stages"]["train"]["exit_code"] == 3
    assert second["failure"]["last_lines"] == ["Traceback: it broke"]
    # The inference worker: before round 1, again with its model, and in the second run.
    assert [each["round"] for each in report["inference"]] == [0, 1, 1]
    assert all(each["seconds"] > 0 for each in report["inference"])


def test_each_worker_has_its_log(toy_job, play):
    play({1: {"accuracy": 0.7}, 2: {"train": "crash"}})
    logs = toy_job.output / "logs"
    assert {path.name for path in logs.iterdir()} == {
        *("0-inference.log", "1-train.log", "1-eval.log", "1-inference.log", "2-train.log"),
    }
    assert (logs / "2-train.log").read_text() == "Traceback: it broke\n"


# How sure it is that a model is better


def better_on(count, of=12):
    """Return the outcomes of a new model and of an old one that it beats on `count` samples."""
    return [[1.0] * of, [0.0] * count + [1.0] * (of - count)]


def test_fewer_right_answers_do_not_deploy_a_model_and_as_many_do(toy_job, play, snapshot):
    records = play(
        {
            1: {"accuracy": 0.7, "correct": better_on(1)[::-1]},
            2: {"accuracy": 0.7, "correct": better_on(0)},
        }
    )
    assert outcomes(records) == ["not proven", "deployed"]
    assert codes(records) == ["not-better", "met"]
    assert records[0].test == {"only_new": 0, "only_old": 1, "probability": 0.25}
    assert records[1].test == {"only_new": 0, "only_old": 0, "probability": 0.5}
    completed = [c for c in toy_job.conditions() if c["stage"] == "Deploy" and "message" in c]
    assert all(r.detail in c["message"] for r, c in zip(records, completed, strict=True))
    assert [record.reason for record in records] == snapshot
    assert [event.detail for event in toy_job.heard(Decided)] == [r.detail for r in records]


def test_a_model_that_is_surely_worse_is_rejected_whatever_its_trigger_says(toy_job, play):
    (record,) = play({1: {"accuracy": 0.7, "correct": better_on(9)[::-1]}})
    assert (record.outcome, record.code) == ("rejected", "worse")
    assert (record.test["only_new"], record.test["only_old"]) == (0, 9)


@pytest.mark.parametrize(("confidence", "outcome"), [("0", "deployed"), ("0.995", "not proven")])
def test_the_confidence_asked_for_is_an_annotation(toy_job, play, confidence, outcome):
    plan = {1: {"accuracy": 0.7, "correct": better_on(6)}}
    (record,) = play(plan, annotations={"deploy-confidence": confidence})
    assert record.outcome == outcome
    assert (record.test is None) == (confidence == "0")


def test_outcomes_stay_out_of_status_and_report_but_are_kept(toy_job, play):
    play({1: {"accuracy": 0.7, "correct": better_on(6)}})
    for name in ("status.json", "report.json", "journal.jsonl"):
        assert '"correct"' not in (toy_job.output / name).read_text(), name
    new, old = json.loads((toy_job.output / "eval" / "1" / "results.json").read_text())
    assert [new["metrics"]["correct"], old["metrics"]["correct"]] == better_on(6)
    assert new["url"] == "/output/train/1/model.ckpt"


def test_outcomes_that_are_none_are_not_tested(toy_job, play):
    (record,) = play({1: {"accuracy": 0.7, "correct": [[37.0], [30.0]]}})
    assert (record.outcome, record.code, record.test) == ("deployed", "met", None)


# The train trigger


def test_no_round_begins_before_the_trigger_is_met(toy_job):
    toy_job.add_samples(4)  # of which three are to train on
    toy_job.on(SamplesArrived, lambda event: event.waiting < 4 and toy_job.add_samples(4))
    records = toy_job.runner(rounds=1).run().records
    assert records[0].train_samples == 6
    arrived = [(event.new, event.waiting) for event in toy_job.heard(SamplesArrived)]
    assert arrived == [(4, 3), (4, 6)]


def test_samples_that_arrive_during_a_round_are_for_the_next(toy_job):
    toy_job.plan({1: {"accuracy": 0.7}, 2: {"accuracy": 0.8}})
    toy_job.add_samples(10)
    arrive = iter([lambda: toy_job.add_samples(10)])
    toy_job.on(RoundStarted, lambda _: next(arrive, lambda: None)())
    toy_job.runner(rounds=2).run()
    (train, held_out), (train_too, held_out_too) = toy_job.shares()
    assert [each["lines"] for each in toy_job.seen("train")] == [train, train_too]
    first, second = toy_job.seen("eval")
    assert first["lines"] == held_out
    assert second["lines"] == held_out + held_out_too


def test_samples_that_arrive_on_a_full_disk_are_not_lost_nor_blamed_on_the_training(
    toy_job, raises
):
    toy_job.plan({1: {"train": "wait", "accuracy": 0.7}, 2: {"accuracy": 0.8}})
    toy_job.add_samples(10)
    journal, go = toy_job.output / "journal.jsonl", toy_job.here / "go"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_the_disk(event):
        if event.kind == "train" and not go.exists():
            toy_job.add_samples(1000)
            room = journal.stat().st_size + 10_000  # for every other entry and file
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))

    toy_job.on(WorkerStarted, fill_the_disk)
    try:
        with raises(BookkeepingError, "cannot-write", path=journal, golden=False):
            toy_job.runner(rounds=2).run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    go.touch()
    records = toy_job.runner(resume=True).run().records
    assert [(each.outcome, each.train_samples) for each in records] == [
        ("deployed", 8),
        ("deployed", 800),
    ]


def test_a_dataset_that_cannot_be_read_is_noted_once_and_waited_for(toy_job, after_looks, snapshot):
    toy_job.dataset.write_text("x" * 70_000 + "\n")

    def mend():
        toy_job.dataset.write_text("")
        toy_job.add_samples(10)

    after_looks(5, mend)
    assert outcomes(toy_job.runner(rounds=1).run().records) == ["deployed"]
    (note,) = toy_job.noted("bad-dataset")
    assert (note.fields["error"], note.fields["line"]) == ("too-large", 1)
    assert note.message == snapshot


# Bad workers


BAD_WORKERS = [
    ({"train": "crash"}, "train", "WorkerFailed", "worker-failed"),
    ({"train": "quiet"}, "train", "NoReport", "no-report"),
    ({"train": "garbage"}, "train", "NoReport", "no-report"),
    ({"train": "failed"}, "train", "ReportedFailed", "reported-failed"),
    ({"train": "missing model"}, "train", "ModelFileError", "missing-file"),
    ({"train": "odd url"}, "train", "ModelFileError", "invalid-url"),
    ({"format": "pkl"}, "train", "ModelFileError", "unknown-format"),
    ({"eval": "crash"}, "eval", "WorkerFailed", "worker-failed"),
    ({"eval": "quiet"}, "eval", "NoReport", "no-report"),
    ({"eval": "one"}, "eval", "MetricsError", "wrong-length"),
    ({"eval": "scalar"}, "eval", "MetricsError", "wrong-type"),
]
"""What a worker does, and the stage, the reason of Sedna's condition and the code of the record."""

OF_OTHERS = ("garbage", "odd url")
"""Whose messages hold text of Python's own."""


def test_a_bad_worker_fails_its_round_and_the_job_goes_on(toy_job, play, snapshot):
    plan = dict(enumerate([todo for todo, *_ in BAD_WORKERS] + [{"accuracy": 0.7}], start=1))
    records = play(plan)
    assert outcomes(records) == ["failed"] * len(BAD_WORKERS) + ["deployed"]
    failed = [each for each in toy_job.conditions() if each["type"] == "Failed"]
    for record, condition, expected in zip(records, failed, BAD_WORKERS, strict=False):
        todo, stage, reason, code = expected
        assert (record.failure["stage"], record.code) == (stage, code), todo
        assert (condition["stage"].lower(), condition["reason"]) == (stage, reason), todo
        assert record.reason in condition["message"]
        if "crash" in todo.values():
            assert condition["message"].endswith("\nTraceback: it broke")
    assert [each.fields["error"] for each in toy_job.noted("refused-report")] == ["not-json"]
    settled = [
        record.reason
        for record, (todo, *_) in zip(records, BAD_WORKERS, strict=False)
        if not set(OF_OTHERS) & set(todo.values())
    ]
    assert "\n".join(settled) == snapshot


def test_a_worker_that_hangs_is_ended_at_its_limit(toy_job, play, monkeypatch, snapshot):
    log = toy_job.output / "logs" / "1-train.log"

    ahead = [0]

    def later_while_it_hangs():
        if log.exists() and "hanging" in log.read_text() and not toy_job.heard(WorkerFinished):
            ahead[0] += 600
        return time.monotonic() + ahead[0]

    clock = SimpleNamespace(monotonic=later_while_it_hangs)
    monkeypatch.setattr("sedna_tinyms.jobs.workers.supervisor.time", clock)
    records = play({1: {"train": "hang"}, 2: {}}, worker_limit_seconds=1800, grace_seconds=0)
    assert outcomes(records) == ["failed", "deployed"]
    assert (records[0].failure["reason"], records[0].code) == ("LimitExceeded", "timeout")
    assert records[0].reason == snapshot
    assert records[0].failure["last_lines"] == ["hanging"]
    assert records[0].stages["train"].exit_code == -9


def test_a_worker_that_eats_memory_is_ended_and_its_round_fails(
    toy_job, play, monkeypatch, snapshot
):
    monkeypatch.setattr("sedna_tinyms.jobs.workers.worker.MEMORY_LOOK_SECONDS", 0.02)
    memory = {"train": "100Mi", "eval": "1Gi"}
    records = play({1: {"train": "stay unreported", "bytes": 150 << 20}, 2: {}}, memory=memory)
    assert outcomes(records) == ["failed", "deployed"]
    assert (records[0].failure["reason"], records[0].code) == ("MemoryExceeded", "memory-exceeded")
    line = next(
        number
        for number, text in enumerate(toy_job.yaml(memory=memory).read_text().splitlines(), 1)
        if "100Mi" in text
    )
    ended = next(each for each in toy_job.heard(WorkerFinished) if each.kind == "train")
    source = f"{toy_job.here}/job.yaml:{line}: resources.limits.memory"
    assert ended.exit.excess.limit == MemoryLimit(100 << 20, source)
    assert ended.exit.excess.used > 100 << 20
    assert re.sub(r"took \d+ MB", "took <n> MB", records[0].reason) == snapshot


def test_an_inference_worker_that_eats_memory_starts_again(toy_job, monkeypatch, snapshot):
    monkeypatch.setattr("sedna_tinyms.jobs.workers.worker.MEMORY_LOOK_SECONDS", 0.02)
    toy_job.plan({"inference": {"bytes": 150 << 20}})
    runner = toy_job.runner(memory={"inference": "100Mi"})
    toy_job.on(WorkerStarted, lambda _: len(toy_job.heard(WorkerStarted)) == 2 and runner.stop())
    runner.run()
    assert toy_job.heard(WorkerFinished)[0].exit.excess.limit.size == 100 << 20
    (note,) = toy_job.noted("starts-again")
    assert note.fields["error"] == "worker-ended"
    assert re.sub(r"took \d+ MB", "took <n> MB", note.message) == snapshot


def test_of_two_reports_the_first_counts(toy_job, play, snapshot):
    records = play({1: {"train": "twice"}})
    assert records[0].models[0]["url"] == "/output/train/1/model.ckpt"
    (note,) = toy_job.noted("unawaited-report")
    assert (note.fields["kind"], note.fields["status"]) == ("train", "completed")
    assert note.message == snapshot


def test_what_was_reported_counts_though_the_worker_crashes_afterwards(toy_job, play, snapshot):
    records = play({1: {"train": "crash after report"}})
    assert outcomes(records) == ["deployed"]
    (note,) = toy_job.noted("worker-failed")
    assert note.fields == {"kind": "train", "exit": 9}
    assert note.message == snapshot


def test_a_worker_that_stays_after_its_report_is_ended(toy_job, play, monkeypatch, snapshot):
    monkeypatch.setattr("sedna_tinyms.jobs.workers.stage_worker.EXIT_GRACE_SECONDS", 0.1)
    assert outcomes(play({1: {"train": "stay"}})) == ["deployed"]
    (note,) = toy_job.noted("worker-stayed")
    assert note.fields == {"kind": "train"}
    assert note.message == snapshot


def test_samples_with_which_trainings_failed_twice_are_set_aside(toy_job, play, snapshot):
    play({1: {"train": "crash"}, 2: {"train": "crash"}, 3: {}})
    first, second, third = (train for train, _ in toy_job.shares()[:3])
    trained = [each["lines"] for each in toy_job.seen("train")]
    assert trained == [first, first + second, second + third]
    (note,) = toy_job.noted("set-aside")
    assert note.fields == {"samples": 8, "first": first[0]}
    assert note.message == snapshot
    report = json.loads((toy_job.output / "report.json").read_text())
    assert report["samples"]["set_aside"] == 8


def test_samples_that_were_trained_on_well_are_not_blamed(toy_job, play):
    play({1: {"eval": "crash"}, 2: {"train": "crash"}, 3: {"train": "crash"}, 4: {}})
    first, second, third, fourth = (train for train, _ in toy_job.shares()[:4])
    assert toy_job.seen("train")[-1]["lines"] == first + third + fourth
    (note,) = toy_job.noted("set-aside")
    assert note.fields["first"] == second[0]


def test_held_out_samples_with_which_evaluations_failed_twice_are_set_aside(toy_job, play):
    play({1: {"eval": "crash"}, 2: {"eval": "crash"}, 3: {}})
    shares = toy_job.shares()
    assert toy_job.seen("eval")[-1]["lines"] == shares[1][1] + shares[2][1]
    assert toy_job.seen("train")[-1]["lines"] == [each for share in shares[:3] for each in share[0]]


def test_what_is_no_workers_failure_does_not_use_up_the_samples_chance(toy_job, play):
    (toy_job.output / "data").mkdir(parents=True)
    in_the_way = toy_job.output / "data" / "train"
    in_the_way.touch()

    def mend(event):
        if event.record.round == 2:
            in_the_way.unlink()
        if event.record.round == 3:
            toy_job.plan({})

    toy_job.on(RoundFinished, mend)
    records = play({"inference": {"update": "failed"}}, hot=True, rounds=4)
    assert outcomes(records) == ["failed", "failed", "failed", "deployed"]
    assert [each.failure["stage"] for each in records[:3]] == ["train", "train", "deploy"]
    lines = [line for train, _ in toy_job.shares() for line in train]
    assert [each["lines"] for each in toy_job.seen("train")] == [lines[:24], lines[:32]]
    assert toy_job.noted("set-aside") == []


def test_a_failed_round_is_not_repeated_before_something_new_arrives(toy_job, after_looks):
    toy_job.plan({1: {"train": "crash"}})
    toy_job.add_samples(10)
    runner = toy_job.runner()
    toy_job.on(RoundFinished, lambda _: after_looks(10, runner.stop))
    assert outcomes(runner.run().records) == ["failed"]


# Deployment


def test_a_cold_deployment_starts_the_inference_worker_anew(toy_job, play):
    toy_job.on(
        Deployed,
        lambda _: wait_until(
            lambda: len(toy_job.seen("inference")) == 1 + len(toy_job.heard(Deployed))
        ),
    )
    play({1: {"accuracy": 0.7}, 2: {"accuracy": 0.6}, 3: {"accuracy": 0.8}})
    assert [each["model"] for each in toy_job.seen("inference")] == ["0.2", "0.7", "0.8"]
    assert [(event.round, event.mode) for event in toy_job.heard(Deployed)] == [
        (1, "cold"),
        (3, "cold"),
    ]
    assert "MODEL_HOT_UPDATE" not in toy_job.seen("inference")[0]["env"]


def test_a_hot_deployment_leaves_the_inference_worker_running(toy_job, play):
    play({1: {"accuracy": 0.7}, 2: {"accuracy": 0.6}, 3: {"accuracy": 0.8}}, hot=True)
    assert len(toy_job.seen("inference")) == 1
    assert [each["model"] for each in toy_job.seen("hot")] == ["0.7", "0.8"]
    assert toy_job.deployed.read_text() == "0.8"
    directory = toy_job.root / "var/lib/sedna/model-hot-update/default/incrementallearningjob/toy"
    config = json.loads((directory / "model_config.json").read_text())["model_config"]
    assert Path(config["model_path"]).read_text() == "0.8"
    assert config["model_update_time"] == toy_job.seen("hot")[-1]["version"]
    assert {path.name for path in directory.iterdir()} == {"model_config.json", "model.3.ckpt"}
    deploy = [state for state in toy_job.states() if state.startswith("Deploy")]
    assert deploy[:5] == [
        f"Deploy {kind}" for kind in ("Waiting", "Ready", "Starting", "Running", "Completed")
    ]
    environment = toy_job.seen("inference")[0]["env"]
    assert environment["MODEL_HOT_UPDATE"] == "true"
    assert environment["MODEL_POLL_PERIOD_SECONDS"] == "1"
    assert environment["MODEL_HOT_UPDATE_CONFIG"] == str(directory / "model_config.json")


@pytest.mark.parametrize("hot", [False, True], ids=["cold", "hot"])
def test_each_model_is_replaced_by_the_trained_one_of_its_format(toy_job, play, hot):
    records = play({1: {"train": "two formats", "accuracy": 0.7}}, hot=hot, two_formats=True)
    assert outcomes(records) == ["deployed"]
    assert records[0].old == {"accuracy": [0.3]}
    assert toy_job.deployed.read_text() == as_onnx("0.7")
    assert toy_job.compared.read_text() == "0.7"
    assert (toy_job.heard(Deployed)[0].model).endswith("model.onnx")


def test_a_failed_update_leaves_the_model_to_compare_with_too(toy_job, play):
    plan = {1: {"train": "two formats", "accuracy": 0.7}, "inference": {"update": "failed"}}
    assert outcomes(play(plan, hot=True, two_formats=True, rounds=1)) == ["failed"]
    assert (toy_job.deployed.read_text(), toy_job.compared.read_text()) == ("0.2", "0.3")


@pytest.mark.parametrize(
    ("answer", "reason", "starts"),
    [("failed", "ReportedFailed", 1), ("silent", "LimitExceeded", 2)],
)
def test_a_failed_hot_update_leaves_the_previous_model_everywhere(
    toy_job, play, answer, reason, starts
):
    toy_job.on(
        RoundFinished, lambda _: wait_until(lambda: len(toy_job.seen("inference")) == starts)
    )
    limit = {"deploy_limit_seconds": 0.2} if answer == "silent" else {}
    plan = {1: {"accuracy": 0.7}, "inference": {"update": answer}}
    records = play(plan, hot=True, rounds=1, **limit)
    assert outcomes(records) == ["failed"]
    assert (records[0].failure["stage"], records[0].failure["reason"]) == ("deploy", reason)
    assert toy_job.deployed.read_text() == "0.2"
    directory = toy_job.root / "var/lib/sedna/model-hot-update/default/incrementallearningjob/toy"
    assert list(directory.iterdir()) == []
    assert [each["model"] for each in toy_job.seen("inference")] == ["0.2"] * starts
    assert toy_job.states()[-2:] == ["Deploy Failed", "Train Waiting"]


def test_after_a_failed_update_the_next_round_starts_from_what_is_in_service(toy_job, play):
    toy_job.on(
        RoundFinished,
        lambda event: toy_job.plan({2: {"accuracy": 0.8}}) if event.record.round == 1 else None,
    )
    plan = {1: {"accuracy": 0.7}, "inference": {"update": "failed"}}
    records = play(plan, hot=True, rounds=2)
    assert outcomes(records) == ["failed", "deployed"]
    assert toy_job.seen("train")[1]["base"] == "0.1"
    assert records[1].old == {"accuracy": [0.2]}


def test_a_later_runners_worker_is_not_told_of_an_old_update(toy_job, play):
    play({1: {"accuracy": 0.7}, "inference": {"beats": True}}, hot=True)
    runner = toy_job.runner(hot=True)

    def stop_once_it_has_looked(_):
        beats = set()
        wait_until(lambda: beats.update(beat(toy_job)) or len(beats) > 3)
        runner.stop()

    toy_job.on(WorkerStarted, stop_once_it_has_looked)
    runner.run()
    assert [each["model"] for each in toy_job.seen("inference")] == ["0.2", "0.7"]
    assert len(toy_job.seen("hot")) == 1


def beat(toy_job):
    """Return the time of the inference worker's last beat, before which it looked for an update."""
    path = toy_job.output / "inference.heartbeat"
    return {path.stat().st_mtime_ns} if path.exists() else set()


def test_an_inference_worker_that_dies_is_started_again_and_the_rounds_go_on(toy_job, snapshot):
    toy_job.on(
        WorkerStarted,
        lambda event: toy_job.add_samples(10) if event.name in restarted(toy_job) else None,
    )
    toy_job.plan({"inference": {"crashes": 1}})
    records = toy_job.runner(rounds=1).run().records
    assert outcomes(records) == ["deployed"]
    (note,) = toy_job.noted("starts-again")
    assert note.fields == {"error": "worker-ended", "seconds": 0.01}
    assert note.message == snapshot


def restarted(toy_job):
    started = [event for event in toy_job.heard(WorkerStarted) if event.kind == "inference"]
    return {event.name for event in started[1:2]}


# Beginning and end


def test_an_inference_worker_that_cannot_be_started_again_is_tried_again(
    toy_job, after_looks, monkeypatch
):
    """After a pause that doubles, up to a limit."""
    monkeypatch.setattr("sedna_tinyms.jobs.workers.inference.LONGEST_PAUSE_SECONDS", 0.025)
    toy_job.plan({1: {"train": "wait"}, "inference": {"crashes": 1}})
    toy_job.add_samples(10)
    in_the_way = toy_job.output / "inference.heartbeat"

    def react(event):
        if event.kind == "inference" and event.exit.code == 3:
            in_the_way.mkdir()

    def mend():
        if len(toy_job.noted("starts-again")) == 3:
            in_the_way.rmdir()
            (toy_job.here / "go").touch()
        else:
            after_looks(1, mend)

    toy_job.on(WorkerFinished, react)
    after_looks(1, mend)
    assert outcomes(toy_job.runner(rounds=1).run().records) == ["deployed"]
    assert [note.fields for note in toy_job.noted("starts-again")] == [
        {"error": "worker-ended", "seconds": 0.01},
        {"error": "cannot-write", "seconds": 0.02},
        {"error": "cannot-write", "seconds": 0.025},
    ]


def test_a_second_runner_on_the_same_output_is_refused(toy_job, raises):
    def second(_):
        with raises(StorageError, "in-use", path=toy_job.output, process=os.getpid()):
            toy_job.runner(on_event=lambda _: None).run()

    toy_job.add_samples(10)
    toy_job.on(RoundStarted, second)
    assert outcomes(toy_job.runner(rounds=1).run().records) == ["deployed"]


def test_a_later_runner_goes_on_and_counts_nothing_twice(toy_job):
    toy_job.plan({1: {"accuracy": 0.7}, 2: {"accuracy": 0.8}})
    toy_job.add_samples(10)
    toy_job.runner(rounds=1).run()
    toy_job.add_samples(10)
    report = toy_job.runner(rounds=1).run()
    (first, _), (second, _) = toy_job.shares()
    assert [each["lines"] for each in toy_job.seen("train")] == [first, second]
    assert [each["base"] for each in toy_job.seen("train")] == ["0.1", "0.7"]
    assert [each["round"] for each in report.as_json()["rounds"]] == [1, 2]
    assert toy_job.states().count("Train Ready") == 2


def test_a_round_that_was_stopped_goes_on_in_a_later_run(toy_job, snapshot):
    toy_job.plan({1: {"train": "hang"}})
    toy_job.add_samples(10)
    runner = toy_job.runner()
    toy_job.on(WorkerStarted, lambda event: event.kind == "train" and runner.stop("enough"))
    (record,) = runner.run().records
    assert (record.outcome, record.code) == ("running", "interrupted")
    assert record.reason == snapshot
    assert toy_job.states()[-1] == "Train Running"
    assert toy_job.heard(JobStopped)[-1].reason == "enough"

    toy_job.plan({})
    assert outcomes(toy_job.runner(rounds=1, on_event=toy_job.events.append).run().records) == [
        "deployed"
    ]
    lines = [each["lines"] for each in toy_job.seen("train")]
    assert lines[-1] == toy_job.shares()[0][0]
    assert toy_job.states() == ["Train Waiting", *COMPLETED_ROUND, *DEPLOYED_COLD, "Train Waiting"]


def test_stopping_leaves_no_process(toy_job):
    toy_job.plan({1: {"train": "hang"}})
    toy_job.add_samples(10)
    runner = toy_job.runner()
    toy_job.on(WorkerStarted, lambda event: event.kind == "train" and runner.stop())
    runner.run()
    started = toy_job.heard(WorkerStarted)
    assert {event.kind for event in started} == {"train", "inference"}
    assert {event.name for event in started} == {
        event.name for event in toy_job.heard(WorkerFinished)
    }
    for event in started:
        with pytest.raises(ProcessLookupError):
            os.kill(event.pid, 0)


def test_an_error_of_the_callers_own_leaves_no_process_either(toy_job):
    def break_down(event):
        raise RuntimeError("the caller's own")

    toy_job.on(WorkerStarted, break_down)
    with pytest.raises(RuntimeError, match="the caller's own"):
        toy_job.runner().run()
    with pytest.raises(ProcessLookupError):
        os.kill(toy_job.heard(WorkerStarted)[0].pid, 0)


KILLED_RUNNER = """
import pathlib, sys
sys.path.insert(0, {tests!r})
from toy_job import ToyJob
from sedna_tinyms.jobs.events import WorkerStarted
from sedna_tinyms.jobs.manifest.loading import load_job
from sedna_tinyms.jobs.runner import JobRunner

def say(event):
    if isinstance(event, WorkerStarted) and event.kind == "train":
        print(event.pid, flush=True)

JobRunner(load_job({yaml!r}), {root!r}, poll_seconds=0.02, on_event=say).run()
"""


def test_a_killed_runner_leaves_no_process(toy_job):
    toy_job.plan({1: {"train": "hang"}})
    toy_job.add_samples(10)
    script = KILLED_RUNNER.format(
        tests=str(Path(__file__).parents[1]), yaml=str(toy_job.yaml()), root=str(toy_job.root)
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as runner:
        pid = int(runner.stdout.readline())
        runner.kill()
    # Nobody may be there to reap it: a zombie has no command line left.
    command = Path(f"/proc/{pid}/cmdline")
    wait_until(lambda: not command.exists() or not command.read_bytes())


def test_missing_files_are_told_before_anything_starts(toy_job, raises):
    toy_job.deployed.unlink()
    with raises(ModelFileError, "missing-file", job="toy", path=toy_job.root) as raised:
        toy_job.runner().run()
    (problem,) = raised.value.problems
    assert (problem.fields["name"], problem.fields["path"]) == ("deployed", toy_job.deployed)
    assert not toy_job.output.exists()


def test_a_damaged_journal_is_named_and_kept(toy_job, raises):
    path = toy_job.output / "journal.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("{\n")
    with raises(StorageError, "damaged", path=path, line=1, golden=False):
        toy_job.runner().run()
    assert path.read_text() == "{\n"


@pytest.mark.parametrize("name", ["status.json", "report.json"])
def test_files_of_somebody_else_in_the_output_directory_are_kept(toy_job, name, raises):
    path = toy_job.output / name
    path.parent.mkdir(parents=True)
    path.write_text("not ours")
    with raises(StorageError, "foreign-output", path=toy_job.output, files=[name]):
        toy_job.runner().run()
    assert path.read_text() == "not ours"


def test_status_and_report_are_written_anew_from_the_journal(toy_job, play):
    play({1: {"accuracy": 0.7}})
    paths = [toy_job.output / name for name in ("status.json", "report.json")]
    before = [json.loads(path.read_text()) for path in paths]
    for path in paths:
        path.write_text("{")
    toy_job.runner(rounds=1, resume=True).run()
    status, report = (json.loads(path.read_text()) for path in paths)
    assert status == before[0]
    assert report["rounds"] == before[1]["rounds"]


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("base", "last_deployed", "unknown-name"),
        ("rounds", 0, "out-of-range"),
        ("poll_seconds", -1, "out-of-range"),
        ("worker_limit_seconds", NAN, "out-of-range"),
        ("deploy_limit_seconds", 0.0, "out-of-range"),
    ],
)
def test_settings_out_of_range(toy_job, name, value, code, raises):
    with raises(ConfigurationError, code, name=name, value=value):
        toy_job.runner(**{name: value})
