"""Whether the files that a job names are there and whole, before anything is started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sedna_tinyms.artifact.version import describe
from sedna_tinyms.errors import (
    DatasetError,
    JobSpecError,
    ModelFileError,
    Problem,
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
            "and models below it",
            code="not-a-directory",
            name="--root",
            path=paths.root,
        )
    found: dict[type[SednaTinyMSError], list[Problem]] = {
        DatasetError: list(_dataset_problems(job, paths)),
        ModelFileError: list(_model_problems(job, paths)),
        JobSpecError: list(_script_problems(job)),
    }
    problems = Problems()
    for several in found.values():
        for each in several:
            problems.add(each.text, code=each.code, **each.fields)
    kinds = [kind for kind, several in found.items() if several]
    kind = kinds[0] if len(kinds) == 1 else JobSpecError
    problems.raise_as(
        kind, f"the job {job.name!r} cannot start below {paths.root}", job=job.name, path=paths.root
    )


def _dataset_problems(job: Job, paths: HostPaths) -> Iterator[Problem]:
    dataset = job.dataset
    where = f"{job.source}:{dataset.line}: the Dataset {dataset.name!r}"
    fields = {"source": job.source, "line": dataset.line, "name": dataset.name}
    try:
        file = paths.local(dataset.url)
    except JobSpecError as error:
        yield Problem(f"{where}: {error}", error.code, error.fields | fields)
        return
    if file.is_file():
        return
    wrong = "a directory, not a text file" if file.is_dir() else "not there"
    yield Problem(
        f"{where}: {dataset.url}, which is {file} here, is {wrong}",
        "not-a-file" if file.is_dir() else "missing-file",
        {**fields, "path": file},
    )


def _model_problems(job: Job, paths: HostPaths) -> Iterator[Problem]:
    used = {
        model.name: model for model in (job.initial_model, job.eval_model, job.deploy_model)
    }.values()
    for model in used:
        yield from _problems_of(model, job.source, paths)


def _problems_of(model: ModelResource, source: Path, paths: HostPaths) -> Iterator[Problem]:
    where = f"{source}:{model.line}: the Model {model.name!r}"
    fields = {"source": source, "line": model.line, "name": model.name}
    try:
        file = paths.local(model.url)
        if file.is_file():
            describe({file.name: file})  # reads it: a broken one no worker could load
            return
    except (JobSpecError, ModelFileError) as error:
        yield Problem(f"{where}: {error}", error.code, error.fields | fields)
        return
    # A model may be a directory to other frameworks, but an empty one is what a worker left
    # behind that was started too early.
    if file.is_dir() and any(file.iterdir()):
        return
    wrong = "an empty directory" if file.is_dir() else "not there"
    yield Problem(
        f"{where}: {model.url}, which is {file} here, is {wrong}",
        "empty" if file.is_dir() else "missing-file",
        {**fields, "path": file},
    )


def _script_problems(job: Job) -> Iterator[Problem]:
    for kind, template in (
        ("train", job.spec.train_template),
        ("eval", job.spec.eval_template),
        ("inference", job.spec.inference_template),
    ):
        try:
            worker_command(kind, template, job.source.resolve().parent)
        except JobSpecError as error:
            fields = {"source": job.source, "line": template.line}
            yield Problem(
                f"{job.source}:{template.line}: {error}", error.code, error.fields | fields
            )
