"""Lets a new model answer a few pictures in a process of its own, before it is put in service.

The process is ``sedna-tinyms canary``, with the inference worker's Python and environment. It may
crash, hang, or take too much memory: the worker in service notices nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sedna_tinyms.artifact.files import remove_file
from sedna_tinyms.artifact.json_text import parse_json
from sedna_tinyms.jobs.layout import JobLayout
from sedna_tinyms.jobs.manifest.spec import Job
from sedna_tinyms.jobs.paths import HostPaths
from sedna_tinyms.jobs.workers.supervisor import Assignment, Supervisor
from sedna_tinyms.jobs.workers.worker import WorkerExit

__all__ = ["play_canary"]

OUTCOMES = ("passed", "failed", "not tried")


def play_canary(
    supervisor: Supervisor,
    job: Job,
    paths: HostPaths,
    layout: JobLayout,
    round_number: int,
    model: Path,
) -> tuple[dict[str, Any], WorkerExit]:
    """Try a model with pictures that the round was evaluated with.

    Returns
    -------
    dict
        ``outcome``, one of ``passed``, ``failed`` and ``not tried``; ``reason``, and its ``code``
        for a program; what was measured.
    WorkerExit
        How the process ended.
    """
    limit = job.gates.canary_timeout_seconds
    said = layout.canary(round_number)
    remove_file(said)
    assignment = supervisor.start(
        "canary",
        round_number,
        {},
        awaited=False,
        arguments=_arguments(job, paths, layout.eval_samples(round_number), model, said),
    )
    supervisor.wait(lambda: assignment.ended, limit)
    overdue = not assignment.ended
    end = supervisor.stop(assignment)
    if overdue:
        reason = f"it did not answer within {limit:g} s and was stopped"
        return _failed(assignment, reason, "timeout"), end
    if end.excess is not None:
        return _failed(assignment, f"it takes {end.excess}", "out-of-range"), end
    tried = _read(said)
    return tried or _failed(assignment, f"its process ended with {end}", "worker-failed"), end


def _arguments(job: Job, paths: HostPaths, samples: Path, model: Path, said: Path) -> list[str]:
    directory = paths.local(job.dataset.url).parent
    words = [str(model), "--pictures", str(samples), "--directory", str(directory)]
    words += ["--out", str(said)]
    if job.gates.canary_max_latency_ms is not None:
        words += ["--max-ms", str(job.gates.canary_max_latency_ms)]
    if job.spec.inference_template.memory_limit_bytes is not None:
        words += ["--max-memory", str(job.spec.inference_template.memory_limit_bytes)]
    return words


def _read(said: Path) -> dict[str, Any] | None:
    try:
        canary = parse_json(said.read_text(encoding="utf-8"))
        return canary if canary["outcome"] in OUTCOMES and canary["reason"] else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _failed(assignment: Assignment, reason: str, code: str) -> dict[str, Any]:
    last_lines = assignment.worker.last_lines()
    return {"outcome": "failed", "reason": reason, "code": code, "last_lines": last_lines}
