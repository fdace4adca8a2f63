import pytest
from job_files import JOB, changed, line_of, write_job

from sedna_tinyms.errors import JobSpecError
from sedna_tinyms.jobs.manifest.loading import load_job
from sedna_tinyms.jobs.manifest.spec import Gates


def annotated(tmp_path, annotations, job=JOB):
    text = changed("  name: parts\n", f"  name: parts\n  annotations: {annotations}\n", job)
    return write_job(tmp_path, text)


def test_a_job_without_annotations_has_the_usual_gates(tmp_path):
    job = load_job(write_job(tmp_path))
    assert job.gates == Gates(0.5, 120.0, None)


def test_the_gates_are_what_the_annotations_say(tmp_path):
    annotations = (
        '{sedna-tinyms.io/deploy-confidence: "0.99", example.org/owner: me, '
        'sedna-tinyms.io/canary-timeout-seconds: "0", '
        'sedna-tinyms.io/canary-max-latency-ms: "12.5"}'
    )
    assert load_job(annotated(tmp_path, annotations)).gates == Gates(0.99, 0.0, 12.5)


@pytest.mark.parametrize(
    ("annotation", "rule"),
    [
        ('deploy-confidence: "1"', "out-of-range"),
        ('deploy-confidence: "95 %"', "not-a-number"),
        ('deploy-confidence: "nan"', "out-of-range"),
        ('deploy-confidence: "-0.1"', "out-of-range"),
        ("deploy-confidence: 0.95", "wrong-type"),
        ('canary-max-latency-ms: "0"', "out-of-range"),
        ('canary-timeout-seconds: "inf"', "out-of-range"),
        ('deploy-confidance: "0.9"', "unknown-key"),
        ('keep-versions: "0"', "out-of-range"),
        ('keep-bytes: "4 GB"', "not-a-number"),
        ('colour: "red"', "unknown-key"),
    ],
)
def test_what_is_wrong_with_an_annotation_is_said_with_its_line(tmp_path, raises, annotation, rule):
    path = annotated(tmp_path, f"{{sedna-tinyms.io/{annotation}}}")
    with raises(JobSpecError, rule, path=path) as raised:
        load_job(path)
    assert [each.fields for each in raised.value.problems] == [
        {
            "path": str(path),
            "line": line_of("  name: parts\n") + 1,
            "key": f"metadata.annotations.sedna-tinyms.io/{annotation.partition(':')[0]}",
        }
    ]


@pytest.mark.parametrize(
    ("memory", "limit"),
    [("512Mi", 512 << 20), ("2G", 2 * 10**9), ("1.5e9", 1_500_000_000), ("1048576", 1 << 20)],
)
def test_the_memory_that_an_inference_worker_may_take(tmp_path, memory, limit):
    limits = f"            resources: {{limits: {{memory: {memory}, cpu: 2}}}}\n  outputDir"
    job = load_job(write_job(tmp_path, changed("  outputDir", limits)))
    assert job.spec.inference_template.memory_limit_bytes == limit
    assert job.spec.train_template.memory_limit_bytes is None
    notes = " ".join(finding.message for finding in job.findings)
    assert "containers[0].resources.limits.cpu" in notes
    assert "limits.memory" not in notes


def test_the_memory_that_a_train_worker_may_take_and_where_that_stands(tmp_path):
    args = '            args: ["train.py"]'
    limits = f"{args}\n            resources: {{limits: {{memory: 1Gi}}}}"
    path = write_job(tmp_path, changed(args, limits))
    job = load_job(path)
    template = job.spec.train_template
    assert template.memory_limit_bytes == 1 << 30
    assert "1Gi" in path.read_text().splitlines()[template.memory_limit_line - 1]
    assert not [finding for finding in job.findings if "resources" in finding.message]


@pytest.mark.parametrize("memory", ["2 GB", "512MiB", "-1", "lots"])
def test_an_amount_that_kubernetes_does_not_know(tmp_path, raises, memory):
    limits = f'            resources: {{limits: {{memory: "{memory}"}}}}\n  outputDir'
    with raises(JobSpecError, "invalid-value") as raised:
        load_job(write_job(tmp_path, changed("  outputDir", limits)))
    (problem,) = raised.value.problems
    assert problem.fields["key"].endswith(".containers[0].resources.limits.memory")
