"""Whether the files that a job names are there and whole, before anything is started."""

from __future__ import annotations

from pathlib import Path

from sedna_tinyms.artifact.version import describe
from sedna_tinyms.errors import (
    DatasetError,
    JobSpecError,
    ModelFileError,
    Problems,
    SednaTinyMSError,
    UsageError,
)
from sedna_tinyms.jobs.manifest.spec import Job, ModelResource
from sedna_tinyms.jobs.paths import HostPaths
from sedna_tinyms.jobs.workers.command import worker_command

__all__ = ["check_files"]


def check_files(job: Job, paths: HostPaths) -> None:
    """Check that the dataset, the models in use and the worker scripts are there.

    A model is also read to its end, as far as its format is known; it may be any framework's.

    Raises
    ------
    UsageError
        If there is no such root.
    DatasetError
        If the dataset file is all that is missing.
    ModelFileError
        If models are all that is missing, or broken.
    JobSpecError
        If worker scripts, or things of several kinds, are missing. Each message names the host
        path, the path on this machine, and the line of the YAML.
    """
    if not paths.root.is_dir():
        wrong = "is no directory" if paths.root.exists() else "does not exist"
        raise UsageError(
            f"--root is {paths.root}, which {wrong}; it plays the host's /, with the job's dataset "
            "and models below it"
        )
    found: dict[type[SednaTinyMSError], list[str]] = {
        DatasetError: _dataset_problems(job, paths),
        ModelFileError: _model_problems(job, paths),
        JobSpecError: _script_problems(job),
    }
    problems = Problems()
    for lines in found.values():
        for line in lines:
            problems.add(line)
    kinds = [kind for kind, lines in found.items() if lines]
    kind = kinds[0] if len(kinds) == 1 else JobSpecError
    problems.raise_as(kind, f"the job {job.name!r} cannot start below {paths.root}")


def _dataset_problems(job: Job, paths: HostPaths) -> list[str]:
    dataset = job.dataset
    where = f"{job.source}:{dataset.line}: the Dataset {dataset.name!r}"
    try:
        file = paths.local(dataset.url)
    except JobSpecError as error:
        return [f"{where}: {error}"]
    if file.is_file():
        return []
    wrong = "a directory, not a text file" if file.is_dir() else "not there"
    return [f"{where}: {dataset.url}, which is {file} here, is {wrong}"]


def _model_problems(job: Job, paths: HostPaths) -> list[str]:
    used = {
        model.name: model for model in (job.initial_model, job.eval_model, job.deploy_model)
    }.values()
    found = (_model_problem(model, job.source, paths) for model in used)
    return [problem for problem in found if problem]


def _model_problem(model: ModelResource, source: Path, paths: HostPaths) -> str | None:
    where = f"{source}:{model.line}: the Model {model.name!r}"
    try:
        file = paths.local(model.url)
    except JobSpecError as error:
        return f"{where}: {error}"
    if file.is_file():
        return _damage(file, where)
    # A model may be a directory to other frameworks, but an empty one is what a worker left
    # behind that was started too early.
    if file.is_dir() and any(file.iterdir()):
        return None
    wrong = "an empty directory" if file.is_dir() else "not there"
    return f"{where}: {model.url}, which is {file} here, is {wrong}"


def _damage(model: Path, where: str) -> str | None:
    """Return what is wrong with a model file that no worker could load."""
    try:
        describe({model.name: model})
    except ModelFileError as error:
        return f"{where}: {error}"
    return None


def _script_problems(job: Job) -> list[str]:
    found = []
    for kind, template in (
        ("train", job.spec.train_template),
        ("eval", job.spec.eval_template),
        ("inference", job.spec.inference_template),
    ):
        try:
            worker_command(kind, template, job.source.resolve().parent)
        except JobSpecError as error:
            found.append(f"{job.source}:{template.line}: {error}")
    return found
