from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from job_files import JOB, changed, line_of, write_job

from sedna_tinyms.errors import JobSpecError
from sedna_tinyms.jobs import load_job
from sedna_tinyms.jobs.manifest.spec import (
    Condition,
    Dataset,
    DeployModel,
    HardExampleMining,
    ModelResource,
    Timer,
    Trigger,
)


def test_a_job_is_read_whole(tmp_path: Path) -> None:
    path = write_job(tmp_path)
    job = load_job(path)
    assert (job.namespace, job.name, job.source) == ("default", "parts", path)
    assert job.dataset == Dataset("parts-data", "/data/train.txt", "txt", "edge-1")
    assert job.dataset.line == line_of("url: /data/train.txt")
    initial = ModelResource("initial", "/models/initial/model.ckpt", "ckpt")
    deployed = ModelResource("deployed", "/models/deployed/model.ckpt", "ckpt")
    assert job.models == {"initial": initial, "deployed": deployed}
    assert (job.initial_model, job.deploy_model, job.eval_model) == (initial, deployed, deployed)

    spec = job.spec
    assert spec.train_prob == 0.8
    assert spec.train_trigger == Trigger(
        Condition(">", 500.0, "num_of_samples"), Timer("02:00", "24:00")
    )
    assert spec.deploy_trigger == Trigger(Condition("gt", 0.01, "accuracy_delta[0]"))
    assert spec.deploy_model == DeployModel("deployed", True, 5)
    assert spec.hard_example_mining == HardExampleMining(
        "CrossEntropy", (("threshold_cross_entropy", "0.7"),)
    )
    assert spec.output_dir == "/output"
    assert job.findings == ()


def test_worker_templates_are_read_as_far_as_a_process_has_a_use_for_them(tmp_path: Path) -> None:
    spec = load_job(write_job(tmp_path)).spec
    train = spec.train_template
    assert (train.command, train.args) == ((), ("train.py",))
    assert train.env == {"BACKEND_TYPE": "TINYMS", "EPOCHS": "3"}
    assert (train.active_deadline_seconds, train.termination_grace_period_seconds) == (600, 30)
    assert train.line == line_of("image: worker:1")
    assert (spec.eval_template.command, spec.eval_template.args) == (("python",), ("eval.py",))
    assert spec.inference_template.active_deadline_seconds is None


def test_what_is_left_out_has_sednas_defaults(tmp_path: Path) -> None:
    text = changed("      hotUpdateEnabled: true\n      pollPeriodSeconds: 5\n", "")
    text = changed("      timer:\n        start: 02:00\n        end: 24:00\n", "", text)
    spec = load_job(write_job(tmp_path, text)).spec
    assert spec.deploy_model == DeployModel("deployed", False, 60)
    assert spec.train_trigger.timer is None


def test_null_counts_as_left_out(tmp_path: Path) -> None:
    text = changed("pollPeriodSeconds: 5", "pollPeriodSeconds:")
    assert load_job(write_job(tmp_path, text)).spec.deploy_model.poll_period_seconds == 60


def test_the_initial_eval_model_is_compared_with_where_given(tmp_path: Path) -> None:
    text = changed("  evalSpec:\n", "  evalSpec:\n    initialEvalModel: {name: initial}\n")
    job = load_job(write_job(tmp_path, text))
    assert job.eval_model is job.initial_model


def test_a_namespace_holds_a_job_together(tmp_path: Path, raises: Any) -> None:
    text = JOB.replace("metadata:\n", "metadata:\n  namespace: factory\n")
    assert load_job(write_job(tmp_path, text)).namespace == "factory"
    path = write_job(tmp_path, changed("  name: parts\n", "  name: parts\n  namespace: x\n"))
    with raises(JobSpecError, "unknown-name") as raised:
        load_job(path)
    assert [each.fields["key"] for each in raised.value.problems] == [
        "spec.initialModel.name",
        "spec.dataset.name",
        "spec.deploySpec.model.name",
    ]


def test_one_of_several_jobs_is_chosen_by_name(tmp_path: Path, raises: Any) -> None:
    document = JOB.rpartition("---\n")[2]
    text = f"{JOB}---\n{changed('  name: parts' + chr(10), '  name: others' + chr(10), document)}"
    path = write_job(tmp_path, text)
    assert load_job(path, "others").name == "others"
    with raises(JobSpecError, "ambiguous", path=path):
        load_job(path)
    with raises(JobSpecError, "unknown-name", path=path):
        load_job(path, "other")


def test_the_manifest_is_the_document_as_json_without_its_status(tmp_path: Path) -> None:
    manifest = load_job(write_job(tmp_path, JOB + "status: {conditions: []}\n")).manifest
    manifest = json.loads(json.dumps(manifest))
    assert manifest["kind"] == "IncrementalLearningJob"
    assert manifest["spec"]["trainSpec"]["trigger"]["timer"]["start"] == "02:00"
    assert "status" not in manifest
