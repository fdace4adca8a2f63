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
from sedna_tinyms.jobs.paths import check_host_path

TRAIN = "spec.trainSpec.template.spec"
ENV = f"{TRAIN}.containers[0].env"
CONDITION = "spec.trainSpec.trigger.condition"
DEPLOY = "spec.deploySpec"
DEPLOY_CONDITION = f"{DEPLOY}.trigger.condition"
MINING = f"{DEPLOY}.hardExampleMining"
LIMITS = f"{DEPLOY}.template.spec.containers[0].resources.limits"


def refusal(directory: Path, text: str) -> JobSpecError:
    """Return the error that a job ends in."""
    with pytest.raises(JobSpecError) as raised:
        load_job(write_job(directory, text))
    return raised.value


def found(error: JobSpecError) -> list[tuple[str, int, str]]:
    """Return the rule, the line and the JSON path of each problem."""
    return [(each.code, each.fields["line"], each.fields["key"]) for each in error.problems]


def case(old: str, new: str, *expected: object, at: str = "") -> Any:
    """Return what is changed, what is found, and `at` which text; at the new one by default."""
    return pytest.param(old, new, *expected, at or new, id=" ".join((new or f"no {old}").split()))


@pytest.mark.parametrize(
    ("old", "new", "rule", "path", "at"),
    [
        # unknown keys, with a suggestion
        case("trainProb: 0.8", "trainprob: 0.8", "unknown-key", "spec.dataset.trainprob"),
        case("  outputDir: /output", "  outputdir: /output", "unknown-key", "spec.outputdir"),
        case("hotUpdateEnabled", "hotupdate", "unknown-key", f"{DEPLOY}.model.hotupdate"),
        case("activeDeadlineSeconds", "activeDeadline", "unknown-key", f"{TRAIN}.activeDeadline"),
        case("nodeName: edge-1", "colour: red\n  nodeName: edge-1", "unknown-key", "spec.colour"),
        # types
        case("trainProb: 0.8", 'trainProb: "0.8"', "not-a-number", "spec.dataset.trainProb"),
        case("threshold: 500", "threshold: yes", "not-a-number", f"{CONDITION}.threshold"),
        case('value: "3"', "value: 3", "wrong-type", f"{ENV}[1].value"),
        case('value: "3"', "value: on", "wrong-type", f"{ENV}[1].value"),
        case('value: "3"', "value: [3]", "wrong-type", f"{ENV}[1].value"),
        case('value: "3"', 'value: "a\\0"', "invalid-value", f"{ENV}[1].value"),
        case('args: ["train.py"]', "args: train.py", "wrong-type", f"{TRAIN}.containers[0].args"),
        case('args: ["train.py"]', "args: [1]", "wrong-type", f"{TRAIN}.containers[0].args[0]"),
        case('args: ["train.py"]', "args: [~]", "missing-value", f"{TRAIN}.containers[0].args[0]"),
        case(
            "hotUpdateEnabled: true",
            'hotUpdateEnabled: "true"',
            "wrong-type",
            f"{DEPLOY}.model.hotUpdateEnabled",
        ),
        case(
            "pollPeriodSeconds: 5",
            "pollPeriodSeconds: 5.5",
            "not-an-integer",
            f"{DEPLOY}.model.pollPeriodSeconds",
        ),
        case(
            "  outputDir",
            "            resources: {limits: {memory: [2]}}\n  outputDir",
            "wrong-type",
            f"{LIMITS}.memory",
        ),
        case('value: "0.7"', "value: 0.7", "wrong-type", f"{MINING}.parameters[0].value"),
        # ranges
        case(
            "pollPeriodSeconds: 5",
            "pollPeriodSeconds: 0",
            "out-of-range",
            f"{DEPLOY}.model.pollPeriodSeconds",
        ),
        case("trainProb: 0.8", "trainProb: 1", "out-of-range", "spec.dataset.trainProb"),
        case("trainProb: 0.8", "trainProb: 0", "out-of-range", "spec.dataset.trainProb"),
        case("trainProb: 0.8", "trainProb: -0.2", "out-of-range", "spec.dataset.trainProb"),
        # triggers
        case('operator: ">"', 'operator: "=>"', "unknown-name", f"{CONDITION}.operator"),
        case("operator: gt", "operator: gte", "unknown-name", f"{DEPLOY_CONDITION}.operator"),
        case("num_of_samples", "num_samples", "unknown-name", f"{CONDITION}.metric"),
        case("num_of_samples", "num_of_samples[0]", "unknown-name", f"{CONDITION}.metric"),
        case(
            "accuracy_delta[0]", "accuracy_delta[-1]", "invalid-value", f"{DEPLOY_CONDITION}.metric"
        ),
        case(
            "accuracy_delta[0]", "accuracy_delta[0", "invalid-value", f"{DEPLOY_CONDITION}.metric"
        ),
        case(
            "metric: accuracy_delta[0]\n",
            "metric: num_of_samples\n    #\n",
            "unknown-name",
            f"{DEPLOY_CONDITION}.metric",
        ),
        case("start: 02:00", "start: 2:00", "invalid-value", "spec.trainSpec.trigger.timer.start"),
        case("start: 02:00", "start: 24:00", "invalid-value", "spec.trainSpec.trigger.timer.start"),
        case("end: 24:00", "end: 20:60", "invalid-value", "spec.trainSpec.trigger.timer.end"),
        case("end: 24:00", "end: 20", "wrong-type", "spec.trainSpec.trigger.timer.end"),
        # names and files
        case("  name: parts\n", "  name: Parts\n", "invalid-value", "metadata.name"),
        case("  name: parts\n", "  name: ../x\n", "invalid-value", "metadata.name"),
        case(
            "    name: parts-data\n",
            "    name: part-data\n",
            "unknown-name",
            "spec.dataset.name",
        ),
        case("      name: deployed", "      name: deploid", "unknown-name", f"{DEPLOY}.model.name"),
        case(
            "    name: initial", "    name: nothing-like", "unknown-name", "spec.initialModel.name"
        ),
        case("outputDir: /output", "outputDir: /", "not-a-file", "spec.outputDir"),
        case("format: txt", "format: csv", "unknown-format", "spec.format"),
        case("format: txt", "format: TXT", "unknown-format", "spec.format"),
        case(
            "url: /data/train.txt",
            "url: /models/initial/t.txt",
            "conflict",
            "spec.url",
            at="url: /models/initial/model.ckpt",
        ),
        case(
            "url: /data/train.txt",
            "url: /models/deployed/t.txt",
            "conflict",
            "spec.url",
            at="url: /models/deployed/model.ckpt",
        ),
        case(
            "restartPolicy: Never\n        active",
            "restartPolicy: never\n        active",
            "unknown-name",
            f"{TRAIN}.restartPolicy",
        ),
        case("name: EPOCHS", 'name: "A=B"', "invalid-value", f"{ENV}[1].name"),
        case(
            'value: "0.7"',
            'value: "high"',
            "not-a-number",
            f"{MINING}.parameters[0].value",
            at="- key: threshold_cross_entropy",
        ),
        # documents
        case("kind: Dataset", "kind: DataSet", "unknown-name", "kind"),
        case("kind: Dataset\n", "", "missing-key", "kind", at="apiVersion"),
        case(
            "kind: IncrementalLearningJob",
            "kind: FederatedLearningJob",
            "missing-job",
            "",
            at="apiVersion",
        ),
    ],
)
def test_one_mistake_is_named(
    tmp_path: Path, snapshot: Any, old: str, new: str, rule: str, path: str, at: str
) -> None:
    text = changed(old, new)
    error = refusal(tmp_path, text)
    assert (rule, line_of(at, text), path) in found(error)
    assert {each.fields["path"] for each in error.problems} == {str(tmp_path / "job.yaml")}
    assert str(error) == snapshot


@pytest.mark.parametrize(
    ("field", "there", "url"),
    [
        ("spec.url", "/data/train.txt", "data/train.txt"),
        ("spec.url", "/data/train.txt", "/data/../train.txt"),
        ("spec.url", "/data/train.txt", "s3://b/train.txt"),
        ("spec.outputDir", "/output", "s3://bucket/out"),
    ],
)
def test_a_url_must_be_a_host_path(
    tmp_path: Path, snapshot: Any, field: str, there: str, url: str
) -> None:
    with pytest.raises(JobSpecError) as refused:
        check_host_path(url)
    text = changed(f": {there}\n", f": {url}\n")
    error = refusal(tmp_path, text)
    assert found(error) == [(refused.value.code, line_of(url, text), field)]
    assert str(error) == snapshot


@pytest.mark.parametrize(
    ("part", "path", "line"),
    [
        ("  format: txt\n", "spec.format", 6),
        ("  nodeName: edge-1\n", "spec.nodeName", 6),
        ("    trainProb: 0.8\n", "spec.dataset.trainProb", 34),
        ("        metric: num_of_samples\n", f"{CONDITION}.metric", 55),
        ("        threshold: 500\n", f"{CONDITION}.threshold", 55),
        ("        start: 02:00\n", "spec.trainSpec.trigger.timer.start", 52),
        ("            name: train-worker\n", f"{TRAIN}.containers[0].name", 42),
        ("  outputDir: /output\n", "spec.outputDir", 31),
        ("metadata:\n  name: parts\n", "metadata", 26),
    ],
)
def test_a_missing_field_is_named(tmp_path: Path, part: str, path: str, line: int) -> None:
    assert found(refusal(tmp_path, changed(part, ""))) == [("missing-key", line, path)]


def test_all_problems_are_said_at_once_in_the_order_of_the_file(
    tmp_path: Path, snapshot: Any
) -> None:
    text = changed("format: txt", "format: csv")
    text = changed("threshold: 500", "threshold: many", text)
    text = changed("      name: deployed", "      name: deploid", text)
    text = changed("  outputDir: /output", "  outputdir: /output", text)
    error = refusal(tmp_path, text)
    assert error.code == "job-spec"
    assert found(error) == [
        ("unknown-format", line_of("format: csv", text), "spec.format"),
        ("missing-key", line_of("  initialModel", text), "spec.outputDir"),
        ("not-a-number", line_of("threshold: many", text), f"{CONDITION}.threshold"),
        ("unknown-name", line_of("      name: deploid", text), f"{DEPLOY}.model.name"),
        ("unknown-key", line_of("  outputdir", text), "spec.outputdir"),
    ]
    assert str(error) == snapshot


DATASET, MODELS_AND_JOB = JOB.split("---\n", 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", [("missing-job", 1, "")], id="empty"),
        pytest.param("- a\n- b\n", [("wrong-type", 1, ""), ("missing-job", 1, "")], id="list"),
        pytest.param("just words\n", [("wrong-type", 1, ""), ("missing-job", 1, "")], id="words"),
        pytest.param(MODELS_AND_JOB, [("unknown-name", 25, "spec.dataset.name")], id="no dataset"),
        pytest.param(f"{JOB}---\n{DATASET}", [("duplicate", 94, "metadata.name")], id="twice"),
        pytest.param(
            JOB.replace("v1alpha1", "v1"),
            [("wrong-version", line, "apiVersion") for line in (1, 10, 18, 26)],
            id="another version",
        ),
    ],
)
def test_a_file_that_holds_no_job_says_so(
    tmp_path: Path, snapshot: Any, text: str, expected: list[tuple[str, int, str]]
) -> None:
    error = refusal(tmp_path, text)
    assert found(error) == expected
    assert str(error) == snapshot


@pytest.mark.parametrize(
    ("text", "code", "at"),
    [
        pytest.param(JOB + "  outputDir: /x\n", "duplicate", "  outputDir: /x", id="twice"),
        pytest.param(
            JOB + "extra: !!python/object:os.system {}\n", "unsupported", "extra", id="tag"
        ),
        pytest.param(
            changed("threshold: 500", "threshold: .inf"), "not-finite", "threshold: .inf", id=".inf"
        ),
    ],
)
def test_yaml_that_cannot_be_read_has_one_problem(
    tmp_path: Path, raises: Any, text: str, code: str, at: str
) -> None:
    path = write_job(tmp_path, text)
    with raises(JobSpecError, code, path=path, line=line_of(at, text)):
        load_job(path)


ERROR, WARNING, NOTE = Severity


@pytest.mark.parametrize(
    ("old", "new", "severity", "rule", "path", "at"),
    [
        case(
            "accuracy_delta[0]",
            "accuracy_delta",
            WARNING,
            "missing-index",
            f"{DEPLOY_CONDITION}.metric",
        ),
        case(
            "/models/deployed/",
            "/models/initial/",
            WARNING,
            "conflict",
            "spec.url",
            at="url: /models/initial/model.ckpt\n  format: ckpt\n---\napiVersion: "
            "sedna.io/v1alpha1\nkind: Incr",
        ),
        case(
            "/models/deployed/",
            "/output/train/1/",
            WARNING,
            "conflict",
            "spec.outputDir",
            at="  outputDir",
        ),
        case("name: CrossEntropy", "name: CrossEntrpy", WARNING, "unknown-name", f"{MINING}.name"),
        case(
            "key: threshold_cross",
            "key: treshold_cross",
            WARNING,
            "unknown-key",
            f"{MINING}.parameters[0].key",
        ),
        case(
            "name: CrossEntropy",
            "name: Random",
            WARNING,
            "unsupported",
            f"{MINING}.parameters",
            at="        - key: threshold_cross_entropy",
        ),
        case("name: CrossEntropy", "name: Margin", NOTE, "own-filter", f"{MINING}.name"),
        case(
            "end: 24:00",
            "end: 02:00",
            WARNING,
            "short-timer",
            "spec.trainSpec.trigger.timer",
            at="        start: 02:00",
        ),
        case(
            "      timer:",
            "      checkPeriodSeconds: 60\n      timer:",
            NOTE,
            "ignored",
            "spec.trainSpec.trigger.checkPeriodSeconds",
        ),
        case(
            "hotUpdateEnabled: true",
            "hotUpdateEnabled: false",
            NOTE,
            "ignored",
            f"{DEPLOY}.model.pollPeriodSeconds",
            at="pollPeriodSeconds",
        ),
        case(
            "        active",
            "        dnsPolicy: X\n        active",
            NOTE,
            "ignored",
            TRAIN,
            at="restartPolicy",
        ),
        case(
            "restartPolicy: Never\n        active",
            "active",
            NOTE,
            "restart-policy",
            f"{TRAIN}.restartPolicy",
        ),
        case(
            "Never\n        active",
            "OnFailure\n        active",
            NOTE,
            "restart-policy",
            f"{TRAIN}.restartPolicy",
        ),
        case(
            "Never\n        active",
            "Always\n        active",
            WARNING,
            "restart-policy",
            f"{TRAIN}.restartPolicy",
        ),
        case(
            "name: train-worker",
            "name: w\n            ports: []",
            NOTE,
            "ignored",
            TRAIN,
            at="restartPolicy",
        ),
        case(
            '              - name: EPOCHS\n                value: "3"\n',
            "          - {name: sidecar, image: x}\n",
            WARNING,
            "ignored",
            TRAIN,
            at="- image: worker:1",
        ),
        case(
            "- image: worker:1\n            name: train",
            "- name: train",
            WARNING,
            "missing-key",
            f"{TRAIN}.containers[0].image",
        ),
        case("name: EPOCHS", "name: MODEL_URL", WARNING, "overwritten", f"{ENV}[1]"),
        case("name: EPOCHS", "name: BATCHSIZE", WARNING, "unknown-name", f"{ENV}[1]"),
        case(
            "name: EPOCHS",
            "name: BACKEND_TYPE #",
            WARNING,
            "duplicate",
            f"{ENV}[1]",
        ),
        case(
            'value: "3"',
            "valueFrom: {fieldRef: {fieldPath: x}}",
            WARNING,
            "unsupported",
            f"{ENV}[1]",
            at="name: EPOCHS",
        ),
        case(
            'value: "3"',
            "value: $(BACKEND_TYPE)",
            WARNING,
            "unsupported",
            f"{TRAIN}.containers[0]",
        ),
        case(
            "value: TINYMS\n",
            "value: TINYM\n",
            WARNING,
            "unknown-name",
            f"{ENV}[0]",
            at="- name: BACKEND_TYPE",
        ),
        case("name: BACKEND_TYPE\n", "name: OTHER\n", NOTE, "missing-value", ENV),
    ],
)
def test_what_is_treated_otherwise_is_a_warning_or_a_note(
    tmp_path: Path,
    snapshot: Any,
    old: str,
    new: str,
    severity: Severity,
    rule: str,
    path: str,
    at: str,
) -> None:
    text = changed(old, new)
    findings = load_job(write_job(tmp_path, text)).findings
    expected = (severity, rule, line_of(at, text), path)
    assert expected in [(each.severity, each.rule, each.line, each.path) for each in findings]
    assert "\n".join(each.describe("job.yaml") for each in findings) == snapshot


def test_a_format_that_no_backend_reports_is_a_warning(tmp_path: Path, snapshot: Any) -> None:
    findings = load_job(write_job(tmp_path, JOB.replace("format: ckpt", "format: pb"))).findings
    assert [(each.severity, each.rule) for each in findings] == [(WARNING, "unknown-format")] * 2
    assert findings[0].message == snapshot


def test_a_backend_that_cannot_load_its_model_is_a_warning(tmp_path: Path, snapshot: Any) -> None:
    job = JOB.replace("format: ckpt", "format: onnx")
    findings = load_job(write_job(tmp_path, job)).findings
    assert [(each.severity, each.rule) for each in findings] == [(WARNING, "conflict")] * 3
    assert [each.path.partition(".template")[0] for each in findings] == [
        "spec.trainSpec",
        "spec.evalSpec",
        "spec.deploySpec",
    ]
    assert findings[0].message == snapshot


def test_onnx_for_a_train_worker_is_an_error(tmp_path: Path, raises: Any) -> None:
    path = write_job(tmp_path, JOB.replace("value: TINYMS", "value: onnx", 1))
    with raises(JobSpecError, "unsupported") as raised:
        load_job(path)
    assert found(raised.value) == [("unsupported", line_of("- name: BACKEND_TYPE"), ENV)]


def test_documents_of_other_kinds_are_passed_over_with_a_note(
    tmp_path: Path, snapshot: Any
) -> None:
    other = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: s}\ndata: {}\n"
    (finding,) = load_job(write_job(tmp_path, JOB + other)).findings
    assert (finding.severity, finding.rule, finding.path) == (NOTE, "ignored", "kind")
    assert finding.message == snapshot


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
    assert refusal(tmp_path, changed(old, new)).problems


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
