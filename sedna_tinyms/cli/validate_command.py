"""``sedna-tinyms validate JOB.yaml``: what is wrong with a job, or what it will do."""

from __future__ import annotations

import argparse
import json

from sedna_tinyms.cli.job_arguments import add_job_arguments
from sedna_tinyms.errors import SednaTinyMSError
from sedna_tinyms.gate import DEPLOY_CONFIDENCE
from sedna_tinyms.jobs.manifest.findings import Findings
from sedna_tinyms.jobs.manifest.loading import inspect_job
from sedna_tinyms.jobs.manifest.spec import Job, ModelResource, Trigger
from sedna_tinyms.jobs.paths import HostPaths
from sedna_tinyms.jobs.preflight import check_files

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    root = "the directory that plays the host's /; also checks that the job's files are there"
    add_job_arguments(parser, root)
    parser.add_argument("--json", action="store_true", help="print the outcome as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Check the job; the exit code is 0, or that of the error found."""
    findings = Findings(arguments.job)
    job = error = None
    try:
        job, findings = inspect_job(arguments.job, arguments.name)
        if job is None:
            error = findings.as_error()
        elif arguments.root is not None:
            check_files(job, HostPaths(arguments.root))
    except SednaTinyMSError as raised:
        error = raised
    if arguments.json:
        print(json.dumps(_outcome(job, findings, error), indent=2))
        return 0 if error is None else error.exit_code
    for finding in findings.sorted():
        print(finding.describe(findings.source))
    if error is not None:
        if findings.errors:  # they are printed already
            return error.exit_code
        raise error
    if job is not None:
        print("\n".join(summary(job)))
    return 0


def _outcome(
    job: Job | None, findings: Findings, error: SednaTinyMSError | None
) -> dict[str, object]:
    return {
        "valid": error is None,
        "job": job.name if job is not None else None,
        "findings": [
            {
                "severity": finding.severity.value,
                "rule": finding.rule,
                "line": finding.line,
                "path": finding.path,
                "message": finding.message,
            }
            for finding in findings.sorted()
        ],
        "error": str(error) if error is not None else None,
        "code": error.code if error is not None else None,
    }


def summary(job: Job) -> list[str]:
    """Return what a job will do, in a few lines."""
    spec = job.spec
    deployed = job.deploy_model
    if spec.deploy_model.hot_update_enabled:
        how = f"hot, looked for every {spec.deploy_model.poll_period_seconds} s"
    else:
        how = "cold, the inference worker restarts"
    parameters = ", ".join(f"{k}={v}" for k, v in spec.hard_example_mining.parameters)
    return [
        f"{job.namespace}/{job.name}: valid",
        f"  data       {job.dataset.url}, {spec.train_prob:g} of each class for training",
        f"  train      when {_trigger(spec.train_trigger)}, from {_model(job.initial_model)}",
        f"  evaluate   against {_model(job.eval_model)}",
        f"  deploy     when {_trigger(spec.deploy_trigger)}, to {_model(deployed)} ({how})",
        f"  gates      {_gates(job)}",
        f"  hard ones  {spec.hard_example_mining.name}{f' ({parameters})' if parameters else ''}",
        f"  output     {spec.output_dir}",
    ]


def _trigger(trigger: Trigger) -> str:
    condition = trigger.condition
    text = f"{condition.metric} {condition.operator} {condition.threshold:g}"
    timer = trigger.timer
    return f"{text} between {timer.start} and {timer.end}" if timer else text


def _gates(job: Job) -> str:
    gates, memory = job.gates, job.spec.inference_template.memory_limit_bytes
    surely = "as many held-out samples right as the model in service"
    if gates.deploy_confidence != DEPLOY_CONFIDENCE:
        surely = f"better with a probability of {gates.deploy_confidence * 100:g} %"
    canary = f"a canary within {gates.canary_timeout_seconds:g} s"
    if gates.canary_max_latency_ms is not None:
        canary += f", {gates.canary_max_latency_ms:g} ms a picture"
    if memory is not None:
        canary += f", {memory / 1e6:.0f} MB"
    asked = [surely] * bool(gates.deploy_confidence) + [canary] * bool(gates.canary_timeout_seconds)
    return "; ".join(asked) or "none"


def _model(model: ModelResource) -> str:
    return f"{model.url} ({model.format})"
