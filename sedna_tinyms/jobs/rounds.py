"""One round of a job: train, evaluate, decide, and perhaps deploy.

Each step moves the job along Sedna's state machine, fills in the round's record, and counts once
the journal has it; a round that was cut short goes on with the step that it was at. What goes
wrong is raised, as an error of `sedna_tinyms.errors`; the runner makes a Failed condition of it.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sedna_tinyms.artifact.files import read_json, remove_file, write_json, write_text
from sedna_tinyms.artifact.version import ModelVersion
from sedna_tinyms.errors import JobSpecError, ModelFileError
from sedna_tinyms.jobs.canary import play_canary
from sedna_tinyms.jobs.conditions import JobStatus
from sedna_tinyms.jobs.confidence import without_outcomes
from sedna_tinyms.jobs.decision import Decision, compare, decide
from sedna_tinyms.jobs.deploy import ModelReplacement
from sedna_tinyms.jobs.events import (
    CanaryEnded,
    Decided,
    Deployed,
    EnginesChosen,
    Event,
    RoundStarted,
)
from sedna_tinyms.jobs.layout import JobLayout
from sedna_tinyms.jobs.manifest.spec import Job, ModelResource
from sedna_tinyms.jobs.models import ReportedModel, choose_model, engines_of, read_models
from sedna_tinyms.jobs.paths import HostPaths
from sedna_tinyms.jobs.records import StageRecord
from sedna_tinyms.jobs.state import STEPS, JobState
from sedna_tinyms.jobs.versions import JobVersions
from sedna_tinyms.jobs.workers.endpoint import Report
from sedna_tinyms.jobs.workers.environment import eval_variables, train_variables
from sedna_tinyms.jobs.workers.inference import InferenceService
from sedna_tinyms.jobs.workers.stage_worker import StageFailedError, run_stage_worker
from sedna_tinyms.jobs.workers.supervisor import Supervisor, worker_templates

__all__ = ["BASE_RULES", "Round", "RoundContext", "base_model"]

BASE_RULES = ("last-deployed", "last-trained")
"""Which model the next round starts from; the second is Sedna's rule."""


@dataclass(frozen=True)
class RoundContext:
    """What the rounds of a job share."""

    job: Job
    paths: HostPaths
    layout: JobLayout
    supervisor: Supervisor
    status: JobStatus
    state: JobState
    inference: InferenceService
    versions: JobVersions
    emit: Callable[[Event], object]
    worker_limit_seconds: float
    deploy_limit_seconds: float


def base_model(state: JobState, job: Job, rule: str) -> ReportedModel:
    """Return the model that the next round starts from.

    Raises
    ------
    ModelFileError
        If the round that it should come from has none of the initial model's format.
    """
    models = state.deployed if rule == "last-deployed" else state.trained
    if not models:
        return ReportedModel.of_resource(job.initial_model)
    return choose_model(models, job.initial_model)


class Round:
    """Plays one round, from the step that it is at.

    Parameters
    ----------
    context : RoundContext
        The job and everything that acts for it. The last record of its state is this round's.
    base : callable
        Returns the model to train from.
    """

    def __init__(self, context: RoundContext, base: Callable[[], ReportedModel]) -> None:
        self._context = context
        self._base = base
        self._record = context.state.records[-1]

    @property
    def stage(self) -> str:
        """The stage of Sedna's state machine that the round is at, in small letters."""
        return {"train": "train", "evaluate": "eval"}.get(self._context.state.step or "", "deploy")

    def play(self) -> None:
        """Train, evaluate, decide, and try out and deploy if that is the decision."""
        steps = dict(
            zip(STEPS, (self._train, self._evaluate, self._decide, self._install), strict=True)
        )
        while step := self._context.state.step:
            steps[step]()

    def _train(self) -> None:
        context, number, base = self._context, self._record.round, self._base()
        self._record.base_model = base.url
        context.emit(RoundStarted(number, self._record.train_samples, base.url))
        samples = context.layout.train_samples(number)
        directory = context.layout.model_directory(number)
        shutil.rmtree(directory, ignore_errors=True)  # of a training that was cut short
        _write_samples(samples, context.state.intake.train_samples)
        context.status.move(
            "Train",
            "Ready",
            input={
                "models": [base.as_json()],
                "dataURL": context.paths.host(samples),
                "outputDir": context.paths.host(directory),
            },
        )
        report = self._run_worker(
            "train",
            train_variables(
                base_model=str(self._file_of(base)),
                model_directory=str(directory),
                samples=str(samples),
                dataset=str(context.paths.local(context.job.dataset.url)),
            ),
        )
        trained = read_models(report.results)
        self._record.models = [model.as_json() for model in trained]
        self._check_trained(trained)
        context.status.move("Train", "Completed", output={"models": self._record.models})
        context.state.step_done()

    def _evaluate(self) -> None:
        context, record = self._context, self._record
        context.status.move("Eval", "Waiting")
        new = choose_model(self._trained, context.job.eval_model)
        old = ReportedModel.of_resource(context.job.eval_model)
        context.state.evaluation_begins()
        lines = context.state.intake.eval_samples
        samples = context.layout.eval_samples(record.round)
        _write_samples(samples, lines)
        record.eval_samples, record.new_model, record.old_model = len(lines), new.url, old.url
        context.status.move(
            "Eval",
            "Ready",
            input={
                "models": [new.as_json(), old.as_json()],
                "dataURL": context.paths.host(samples),
            },
        )
        report = self._run_worker(
            "eval",
            eval_variables(
                models=[str(self._file_of(new)), str(self._file_of(old))],
                samples=str(samples),
                dataset=str(context.paths.local(context.job.dataset.url)),
            ),
        )
        results = read_models(report.results)
        compare(list(report.results))  # what cannot be compared has failed, rather than lost
        write_json(context.layout.eval_results(record.round), list(report.results))
        record.new, record.old = (without_outcomes(result.metrics or {}) for result in results)
        output = {"models": [result.as_json() for result in results]}
        context.status.move("Eval", "Completed", output=output)
        context.state.step_done()

    def _decide(self) -> None:
        context, record = self._context, self._record
        context.status.move("Deploy", "Waiting")
        decision = decide(
            read_json(context.layout.eval_results(record.round)),
            context.job.spec.deploy_trigger,
            datetime.now().time(),
            confidence=context.job.gates.deploy_confidence,
            samples=context.state.intake.eval_samples,
        )
        if decision.test is not None:
            record.tested(decision.test)
        context.emit(Decided(record.round, decision.deploy, decision.reason, decision.code))
        if decision.deploy:
            decision = self._unless_rejected(decision)
        if decision.deploy and context.job.gates.canary_timeout_seconds:
            decision = self._try_out(self._trained, decision)
        if decision.deploy:
            record.reason, record.code = decision.reason, decision.code
            context.state.step_done()
        else:
            message = f"not deployed: {decision.reason}"
            context.status.move("Deploy", "Completed", message=message)
            record.finish("refused", decision.reason, decision.code)
            self._make_version(needed=False)
            context.state.round_ends()

    def _unless_rejected(self, decision: Decision) -> Decision:
        """Return the decision, turned where these very weights could not serve before."""
        new = choose_model(self._trained, self._context.job.deploy_model)
        why = self._context.state.rejected.get(self._context.versions.sha256_of(new))
        if why is None:
            return decision
        reason = f"{decision.reason}; but with the same weights {why}"
        return replace(decision, deploy=False, reason=reason, code="gone-back-from")

    def _try_out(self, trained: Sequence[ReportedModel], decision: Decision) -> Decision:
        """Return the decision, turned where the new model cannot do its work."""
        context, number = self._context, self._record.round
        model = self._file_of(choose_model(trained, context.job.deploy_model))
        canary, end = play_canary(
            context.supervisor, context.job, context.paths, context.layout, number, model
        )
        self._record.canary, self._record.stages["canary"] = canary, StageRecord.of(end)
        outcome, reason = canary["outcome"], canary["reason"]
        context.emit(CanaryEnded(number, outcome, reason, canary.get("code", "")))
        if outcome != "failed":
            return decision
        reason = f"{decision.reason}; but the canary failed: {reason}"
        return replace(decision, deploy=False, reason=reason, code="canary-failed")

    def _install(self) -> None:
        context, job, record = self._context, self._context.job, self._record
        version = self._make_version(needed=True)
        trusted = context.inference.version_to_trust(context.versions.deployed_number())
        new = choose_model(self._trained, job.deploy_model)
        served = ReportedModel.of_resource(job.deploy_model)
        context.status.move("Deploy", "Ready", input={"models": [new.as_json(), served.as_json()]})
        model = self._source(version, job.deploy_model)
        sources = {context.paths.local(job.deploy_model.url): model}
        sources.setdefault(
            context.paths.local(job.eval_model.url), self._source(version, job.eval_model)
        )
        replacement = ModelReplacement(sources)
        hot = job.spec.deploy_model.hot_update_enabled
        started = time.monotonic()
        try:
            with context.versions.deploying(version):
                if hot:
                    self._deploy_hot(model, replacement)
                else:
                    self._deploy_cold(replacement)
        finally:
            record.stages["deploy"] = StageRecord(time.monotonic() - started)
        output = {"models": [new.as_json()]}
        message = f"deployed: {record.reason}"
        context.status.move("Deploy", "Completed", message=message, output=output)
        record.finish("deployed", record.reason, record.code)
        context.state.round_ends()
        replacement.done()
        context.inference.trial_begins(trusted)
        if trusted is None:
            context.state.trial_ends()
        context.emit(Deployed(record.round, "hot" if hot else "cold", new.url))

    def _make_version(self, *, needed: bool) -> ModelVersion | None:
        record = self._record
        version = self._context.versions.publish(
            record.round,
            self._trained,
            ReportedModel(self._context.job.initial_model.format, record.base_model),
            metrics=record.new or {},
            needed=needed,
            samples=record.train_samples,
            decision=record.reason,
        )
        record.version = None if version is None else version.description.version
        return version

    def _source(self, version: ModelVersion | None, like: ModelResource) -> Path:
        """Return what to deploy: the file of the version, which was checked."""
        if version is not None:
            return version.weights(f".{like.format}")
        return self._file_of(choose_model(self._trained, like))

    def _deploy_cold(self, replacement: ModelReplacement) -> None:
        """Replace the files and start the inference worker anew."""
        replacement.apply()
        try:
            self._context.inference.start(self._record.round)
        except BaseException:
            replacement.undo()
            raise

    def _deploy_hot(self, model: Path, replacement: ModelReplacement) -> None:
        """Replace the files, tell the worker, and take all of it back unless it agrees."""
        context, hot_update = self._context, self._context.inference.hot_update
        context.status.move("Deploy", "Starting")
        context.status.move("Deploy", "Running")
        version = hot_update.lay_down(model, self._record.round)
        limit = context.deploy_limit_seconds
        try:
            replacement.apply()
            answer = context.inference.update(version, limit)
            if answer is None:
                raise StageFailedError(
                    "LimitExceeded",
                    f"the inference worker did not answer the hot update within {limit:g} seconds; "
                    "it starts again with the previous model",
                )
            if answer.status != "completed":
                raise StageFailedError(
                    "ReportedFailed",
                    "the inference worker could not load the new model; the previous one stays",
                )
        except BaseException as error:
            replacement.undo()
            hot_update.withdraw()
            remove_file(version)
            if isinstance(error, StageFailedError) and error.reason == "LimitExceeded":
                # What a silent worker serves is anybody's guess; a new one's is not.
                context.inference.start(self._record.round)
            raise
        hot_update.tidy(version)

    def _run_worker(self, kind: str, variables: dict[str, str]) -> Report:
        context, stage = self._context, kind.capitalize()
        context.status.move(stage, "Starting")
        deadline = worker_templates(context.job)[kind].active_deadline_seconds
        try:
            report, end = run_stage_worker(
                context.supervisor,
                kind,
                self._record.round,
                variables,
                limit_seconds=min(context.worker_limit_seconds, deadline or math.inf),
                emit=context.emit,
                on_start=lambda: context.status.move(stage, "Running"),
            )
        except StageFailedError as failure:
            if failure.end is not None:
                self._record.stages[kind] = StageRecord.of(failure.end)
            raise
        engines = engines_of(report.results)
        self._record.stages[kind] = StageRecord.of(end, engines)
        if engines:
            context.emit(EnginesChosen(self._record.round, kind, engines))
        return report

    @property
    def _trained(self) -> list[ReportedModel]:
        return read_models(self._record.models)

    def _check_trained(self, trained: Sequence[ReportedModel]) -> None:
        """Make sure that every format that the job goes on with is there, as a file."""
        job = self._context.job
        for like in (job.eval_model, job.deploy_model, job.initial_model):
            self._file_of(choose_model(trained, like))

    def _file_of(self, model: ReportedModel) -> Path:
        try:
            path = self._context.paths.local(model.url)
            there = path.exists()
        except (JobSpecError, OSError, ValueError) as error:  # such as a NUL, or too long a name
            raise ModelFileError(
                f"the model's url is of no use: {error}", code="invalid-url", value=model.url
            ) from error
        if not there:
            raise ModelFileError(
                f"the model {model.url} is not there: {path} does not exist. A train worker "
                "saves below MODEL_URL and reports the path without DATA_PATH_PREFIX",
                code="missing-file",
                path=path,
                value=model.url,
            )
        return path


def _write_samples(path: Path, samples: Sequence[str]) -> None:
    write_text(path, "".join(f"{sample}\n" for sample in samples))
