"""Everything that can be wrong with a job YAML is said, with its line and its path."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from job_files import JOB, changed, line_of, write_job

from sedna_tinyms.errors import JobSpecError
from sedna_tinyms.jobs import load_job
from sedna_tinyms.jobs.differences import DIFFERENCES
from sedna_tinyms.jobs.manifest.findings import Severity
from sedna_tinyms.jobs.manifest.loading import inspect_job
from sedna_tinyms.jobs.manifest.yaml_source import parse_documents


def failure(directory: Path, text: str) -> list[str]:
    path = write_job(directory, text)
    with pytest.raises(JobSpecError) as raised:
        load_job(path)
    return str(raised.value).splitlines()


def errors(directory: Path, text: str) -> list[str]:
    """Return the errors of a job, without the name of its file."""
    path = directory / "job.yaml"
    heading, *lines = failure(directory, text)
    assert heading == f"{path} is not a job that can be run:"
    return [line.strip().removeprefix(f"{path}:") for line in lines]


TRAIN = "spec.trainSpec.template.spec"
CONDITION = "spec.trainSpec.trigger.condition"


@pytest.mark.parametrize(
    ("old", "new", "path", "words"),
    [
        # unknown keys, with a suggestion
        ("trainProb: 0.8", "trainprob: 0.8", "spec.dataset.trainprob", "did you mean 'trainProb'?"),
        ("  outputDir: /output", "  outputdir: /output", "spec.outputdir", "'outputDir'"),
        ("hotUpdateEnabled", "hotupdate", "spec.deploySpec.model.hotupdate", "'hotUpdateEnabled'"),
        ("activeDeadlineSeconds", "activeDeadline", f"{TRAIN}.activeDeadline", "did you mean"),
        ("nodeName: edge-1", "colour: red\n  nodeName: edge-1", "spec.colour", "known are url"),
        # types
        ("trainProb: 0.8", 'trainProb: "0.8"', "spec.dataset.trainProb", "the text '0.8'"),
        ("threshold: 500", "threshold: yes", f"{CONDITION}.threshold", "the boolean yes"),
        ('value: "3"', "value: 3", f"{TRAIN}.containers[0].env[1].value", 'in quotes, "3"'),
        ('value: "3"', "value: on", f"{TRAIN}.containers[0].env[1].value", 'in quotes, "on"'),
        ('value: "3"', "value: [3]", f"{TRAIN}.containers[0].env[1].value", "a list"),
        ('value: "3"', 'value: "a\\0"', f"{TRAIN}.containers[0].env[1].value", "NUL"),
        ('args: ["train.py"]', "args: train.py", f"{TRAIN}.containers[0].args", "a list"),
        ('args: ["train.py"]', "args: [1]", f"{TRAIN}.containers[0].args[0]", "the number 1"),
        ('args: ["train.py"]', "args: [~]", f"{TRAIN}.containers[0].args[0]", "is empty"),
        ("hotUpdateEnabled: true", 'hotUpdateEnabled: "true"', "hotUpdateEnabled", "true or false"),
        ("pollPeriodSeconds: 5", "pollPeriodSeconds: 5.5", "pollPeriodSeconds", "whole number"),
        ("  outputDir", "            resources: {limits: {memory: [2]}}\n  outputDir",
         "limits.memory", "must be an amount"),
        ('value: "0.7"', "value: 0.7", "parameters[0].value", 'in quotes, "0.7"'),
        # ranges
        ("pollPeriodSeconds: 5", "pollPeriodSeconds: 0", "pollPeriodSeconds", "at least 1"),
        ("trainProb: 0.8", "trainProb: 1", "spec.dataset.trainProb", "nothing is left to evaluate"),
        ("trainProb: 0.8", "trainProb: 0", "spec.dataset.trainProb", "nothing is left to train"),
        ("trainProb: 0.8", "trainProb: -0.2", "spec.dataset.trainProb", "the CRD does not check"),
        ("threshold: 500", "threshold: .inf", "", "finite"),
        # triggers
        ('operator: ">"', 'operator: "=>"', f"{CONDITION}.operator", "'=>' is no operator"),
        ("operator: gt", "operator: gte", "deploySpec.trigger.condition.operator", "'gt'?"),
        ("num_of_samples", "num_samples", f"{CONDITION}.metric", "only metric is num_of_samples"),
        ("num_of_samples", "num_of_samples[0]", f"{CONDITION}.metric", "num_of_samples[0]"),
        ("accuracy_delta[0]", "accuracy_delta[-1]", "condition.metric", "is no metric"),
        ("accuracy_delta[0]", "accuracy_delta[0", "condition.metric", "is no metric"),
        ("accuracy_delta[0]", "num_of_samples", "condition.metric", "nothing is ever deployed"),
        ("start: 02:00", "start: 2:00", "trigger.timer.start", "02:00"),
        ("start: 02:00", "start: 24:00", "trigger.timer.start", "no time of day"),
        ("end: 24:00", "end: 20:60", "trigger.timer.end", "no time of day"),
        ("end: 24:00", "end: 20", "trigger.timer.end", "the number 20"),
        # names and files
        ("  name: parts\n", "  name: Parts\n", "metadata.name", "no name to Kubernetes"),
        ("  name: parts\n", "  name: ../x\n", "metadata.name", "no name to Kubernetes"),
        ("    name: parts-data\n", "    name: part-data\n", "spec.dataset.name", "'parts-data'?"),
        ("      name: deployed", "      name: deploid", "deploySpec.model.name", "'deployed'?"),
        ("    name: initial", "    name: nothing-like", "spec.initialModel.name", "initial, depl"),
        ("url: /data/train.txt", "url: data/train.txt", "spec.url", "start with '/'"),
        ("url: /data/train.txt", "url: /data/../train.txt", "spec.url", "'..'"),
        ("url: /data/train.txt", "url: s3://b/train.txt", "spec.url", "one machine"),
        ("outputDir: /output", "outputDir: s3://bucket/out", "spec.outputDir", "one machine"),
        ("outputDir: /output", "outputDir: /", "spec.outputDir", "names no file"),
        ("format: txt", "format: csv", "spec.format", "'csv' never trains"),
        ("format: txt", "format: TXT", "spec.format", "'TXT' never trains"),
        ("url: /data/train.txt", "url: /models/initial/t.txt", "spec.url", "train worker mounts"),
        ("url: /data/train.txt", "url: /models/deployed/t.txt", "spec.url", "eval worker mounts"),
        ("restartPolicy: Never\n        active", "restartPolicy: never\n        active",
         f"{TRAIN}.restartPolicy", "'Never'?"),
        ("name: EPOCHS", 'name: "A=B"', f"{TRAIN}.containers[0].env[1].name", "'A=B'"),
        ('value: "0.7"', 'value: "high"', "parameters[0].value", "'high' is no number"),
        # documents
        ("kind: Dataset", "kind: DataSet", "kind", "did you mean 'Dataset'?"),
        ("kind: Dataset\n", "", "kind", "is missing"),
        ("kind: IncrementalLearningJob", "kind: FederatedLearningJob", "", "there is no Incr"),
    ],
)  # fmt: skip
def test_one_mistake_is_named(tmp_path: Path, old: str, new: str, path: str, words: str) -> None:
    found = failure(tmp_path, changed(old, new))
    matching = [line for line in found if path in line and words in line]
    assert matching, found


@pytest.mark.parametrize(
    ("part", "path"),
    [
        ("  format: txt\n", "spec.format"),
        ("  nodeName: edge-1\n", "spec.nodeName"),
        ("    trainProb: 0.8\n", "spec.dataset.trainProb"),
        ("        metric: num_of_samples\n", f"{CONDITION}.metric"),
        ("        threshold: 500\n", f"{CONDITION}.threshold"),
        ("        start: 02:00\n", "spec.trainSpec.trigger.timer.start"),
        ("            name: train-worker\n", f"{TRAIN}.containers[0].name"),
        ("  outputDir: /output\n", "spec.outputDir"),
        ("metadata:\n  name: parts\n", "metadata"),
    ],
)
def test_a_missing_field_is_named(tmp_path: Path, part: str, path: str) -> None:
    found = errors(tmp_path, changed(part, ""))
    assert any(f"{path}: is missing, and Sedna requires it" in line for line in found), found


def test_a_problem_stands_at_its_line(tmp_path: Path) -> None:
    text = changed("threshold: 500", "threshold: many")
    (found,) = errors(tmp_path, text)
    line = line_of("threshold: many", text)
    assert found == f"{line}: {CONDITION}.threshold: must be a number, and is the text 'many'"


def test_all_problems_are_said_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = changed("format: txt", "format: csv")
    text = changed("threshold: 500", "threshold: many", text)
    text = changed("      name: deployed", "      name: deploid", text)
    text = changed("  outputDir: /output", "  outputdir: /output", text)
    found = errors(tmp_path, text)
    paths = [line.split(":")[1].strip() for line in found]
    assert paths == [
        "spec.format",
        "spec.outputDir",
        f"{CONDITION}.threshold",
        "spec.deploySpec.model.name",
        "spec.outputdir",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "there is no IncrementalLearningJob"),
        ("- a\n- b\n", "must be a mapping, not a list"),
        ("just words\n", "must be a mapping, not the text"),
        (JOB.partition("---\n")[2], "there are: none"),
        (JOB + "---\n" + JOB.partition("---\n")[0], "'parts-data' was defined in line 1 already"),
        (JOB.replace("v1alpha1", "v1"), "for a Dataset, 'sedna.io/v1alpha1'"),
        (JOB + "  outputDir: /x\n", "second time"),
        (JOB + "extra: !!python/object:os.system {}\n", "!!python/object:os.system"),
    ],
)
def test_a_file_that_holds_no_job_says_so(tmp_path: Path, text: str, words: str) -> None:
    assert words in "\n".join(failure(tmp_path, text))


@pytest.mark.parametrize(
    ("old", "new", "severity", "path", "words"),
    [
        ("accuracy_delta[0]", "accuracy_delta", "warning", "condition.metric", "accuracy_delta[0]"),
        ("/models/deployed/", "/models/initial/", "warning", "spec.url", "overwrites both"),
        ("/models/deployed/", "/output/train/1/", "warning", "spec.outputDir", "the job writes"),
        ("name: CrossEntropy", "name: CrossEntrpy", "warning", "name", "'CrossEntropy'?"),
        ("key: threshold_cross", "key: treshold_cross", "warning", "key", "has no parameter"),
        ("name: CrossEntropy", "name: Random", "warning", "parameters", "KubeEdge's own Random"),
        ("end: 24:00", "end: 02:00", "warning", "timer", "one minute a day, 02:00"),
        ("      timer:", "      checkPeriodSeconds: 60\n      timer:", "note", "checkP", "ignored"),
        ("hotUpdateEnabled: true", "hotUpdateEnabled: false", "note", "pollPeriod", "no effect"),
        ("        active", "        dnsPolicy: X\n        active", "note", TRAIN, "dnsPolicy"),
        ("restartPolicy: Never\n        active", "active", "note", "restartPolicy", "the default"),
        ("Never\n        active", "OnFailure\n        active", "note", "restart", "fails at once"),
        ("Never\n        active", "Always\n        active", "warning", "restart", "write Never"),
        ("name: train-worker", "name: w\n            ports: []", "note", TRAIN, "[0].ports"),
        ("- image: worker:1\n            name: train", "- name: train", "warning", "image",
         "is missing"),
        ("name: EPOCHS", "name: MODEL_URL", "warning", "env[1]", "Sedna sets it itself"),
        ("name: EPOCHS", "name: BACKEND_TYPE", "warning", "env[1]", "a second time"),
        ('value: "3"', "valueFrom: {fieldRef: {fieldPath: x}}", "warning", "env[1]", "valueFrom"),
        ('value: "3"', "value: $(BACKEND_TYPE)", "warning", "containers[0]", "expands"),
        ("value: TINYMS\n", "value: TINYM\n", "warning", "env[0]", "'TINYMS'?"),
        ("name: BACKEND_TYPE\n", "name: OTHER\n", "note", "env", "TENSORFLOW"),
    ],
)  # fmt: skip
def test_what_is_treated_otherwise_is_a_warning_or_a_note(
    tmp_path: Path, old: str, new: str, severity: str, path: str, words: str
) -> None:
    findings = load_job(write_job(tmp_path, changed(old, new))).findings
    assert any(
        finding.severity is Severity(severity) and path in finding.path and words in finding.message
        for finding in findings
    ), findings


def test_a_format_that_no_backend_reports_is_a_warning(tmp_path: Path) -> None:
    findings = load_job(write_job(tmp_path, JOB.replace("format: ckpt", "format: pb"))).findings
    assert [finding.severity for finding in findings] == [Severity.WARNING] * 2
    assert "TINYMS backend reports ckpt and onnx" in findings[0].message


def test_a_backend_that_cannot_load_its_model_is_a_warning(tmp_path: Path) -> None:
    job = JOB.replace("format: ckpt", "format: onnx")
    findings = load_job(write_job(tmp_path, job)).findings
    assert {finding.severity for finding in findings} == {Severity.WARNING}
    assert all("TINYMS loads ckpt files" in finding.message for finding in findings)


def test_onnx_for_a_train_worker_is_an_error(tmp_path: Path) -> None:
    (found,) = errors(tmp_path, JOB.replace("value: TINYMS", "value: onnx", 1))
    assert "ONNX trains nothing: write TINYMS" in found


def test_documents_of_other_kinds_are_passed_over_with_a_note(tmp_path: Path) -> None:
    other = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: s}\ndata: {}\n"
    (finding,) = load_job(write_job(tmp_path, JOB + other)).findings
    assert finding.severity is Severity.NOTE
    assert finding.message == "ConfigMap documents are passed over here"


@pytest.mark.parametrize(
    ("difference", "old", "new"),
    [
        ("broken index", "accuracy_delta[0]", "accuracy_delta[-1]"),
        ("csv dataset", "format: txt", "format: csv"),
        ("never met", "num_of_samples", "samples"),
        ("train share", "trainProb: 0.8", "trainProb: 1.0"),
        ("equal mounts", "/models/initial/model.ckpt", "/data/model.ckpt"),
        ("remote urls", "/data/train.txt", "https://host/train.txt"),
    ],
)
def test_jobs_that_are_refused_on_purpose_are_in_the_table(
    tmp_path: Path, difference: str, old: str, new: str
) -> None:
    assert "refused when the YAML is loaded" in DIFFERENCES[difference].here
    assert errors(tmp_path, changed(old, new))


LINES = JOB.splitlines()


@given(
    place=st.integers(0, len(LINES) - 1),
    replacement=st.sampled_from(["", "  x: 1", "- x", "a: [", "  spec:", "    - ~", "---", "\t"]),
)
def test_no_broken_line_crashes_the_checks(
    tmp_path_factory: pytest.TempPathFactory, place: int, replacement: str
) -> None:
    text = "\n".join([*LINES[:place], replacement, *LINES[place + 1 :]])
    path = write_job(tmp_path_factory.getbasetemp(), text)
    try:
        job, findings = inspect_job(path)
    except JobSpecError:
        return
    assert (job is None) == bool(findings.errors)


DOCUMENTS = [document.plain() for document in parse_documents(JOB.encode(), "job.yaml")]
VALUES: list[Any] = [None, 1, 0.5, True, "text", "", [], [None], [1], {}, {"a": 1}, [{}]]


def places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else ()
    for key, inner in enumerate(value) if isinstance(value, list) else items:
        yield from places(inner, (*path, key))


@given(st.sampled_from(list(places(DOCUMENTS))[1:]), st.sampled_from(VALUES))
def test_no_wrong_value_crashes_the_checks(
    tmp_path_factory: pytest.TempPathFactory, place: tuple[Any, ...], value: object
) -> None:
    documents = copy.deepcopy(DOCUMENTS)
    parent: Any = documents
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = value
    text = "\n---\n".join(map(json.dumps, documents))
    job, findings = inspect_job(write_job(tmp_path_factory.getbasetemp(), text))
    assert (job is None) == bool(findings.errors)
