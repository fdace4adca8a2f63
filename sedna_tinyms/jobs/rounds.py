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
from typing import Any

from sedna_tinyms.artifact.files import read_json, remove_file, write_json, write_text
from sedna_tinyms.artifact.version import ModelVersion
from sedna_tinyms.errors import JobSpecError, MetricsError, ModelFileError, StorageError
from sedna_tinyms.jobs.arrivals import (
    OTHERS_AT_LEAST,
    ArrivalVerdict,
    check_arrival,
    recognised_classes,
    why_no_reference,
)
from sedna_tinyms.jobs.canary import play_canary
from sedna_tinyms.jobs.conditions import JobStatus
from sedna_tinyms.jobs.decision import DEPLOYED, NOT_PROVEN, REJECTED, Decision, compare, decide
from sedna_tinyms.jobs.deploy import ModelReplacement
from sedna_tinyms.jobs.events import (
    CanaryEnded,
    Decided,
    Deployed,
    EnginesChosen,
    Event,
    LabelsChecked,
    Noted,
    RoundStarted,
)
from sedna_tinyms.jobs.layout import JobLayout
from sedna_tinyms.jobs.ledger import Sample
from sedna_tinyms.jobs.manifest.spec import Job, ModelResource
from sedna_tinyms.jobs.models import ReportedModel, choose_model, engines_of, read_models
from sedna_tinyms.jobs.paths import HostPaths
from sedna_tinyms.jobs.records import QUARANTINED, StageRecord
from sedna_tinyms.jobs.state import STEPS, JobState
from sedna_tinyms.jobs.versions import JobVersions
from sedna_tinyms.jobs.workers.endpoint import Report
from sedna_tinyms.jobs.workers.environment import eval_variables, train_variables
from sedna_tinyms.jobs.workers.inference import InferenceService
from sedna_tinyms.jobs.workers.stage_worker import StageFailedError, run_stage_worker
from sedna_tinyms.jobs.workers.supervisor import Supervisor, worker_templates
from sedna_tinyms.outcomes import CONTRADICTION, OUTCOMES, unpack_outcomes, without_outcomes

__all__ = ["BASE_RULES", "Round", "RoundContext", "base_model"]

REFERENCE_AT_MOST = 500
"""How many held-out samples of other arrivals tell whether a model can judge labels."""

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
        stages = {"check": "train", "train": "train", "evaluate": "eval"}
        return stages.get(self._context.state.step or "", "deploy")

    def play(self) -> None:
        """Check labels, train, evaluate, decide, and try out and deploy if that is the decision."""
        plays = (self._check_labels, self._train, self._evaluate, self._decide, self._install)
        steps = dict(zip(STEPS, plays, strict=True))
        while step := self._context.state.step:
            steps[step]()

    def _check_labels(self) -> None:
        """Keep out the arrivals whose labels the model in service clearly contradicts."""
        context, record = self._context, self._record
        verdicts = self._verdicts()
        record.checked = {str(number): each.as_json() for number, each in verdicts.items()}
        contradicted = {
            number: each.reason
            for number, each in verdicts.items()
            if each.outcome == "contradicted"
        }
        context.emit(LabelsChecked(record.round, verdicts))
        context.state.labels_checked(contradicted)

    def _verdicts(self) -> dict[int, ArrivalVerdict]:
        """Compare the labels of each arrival that is new with the answers of the model in service.

        A model that was never trained, or that does no better than guessing, judges no labels; nor
        does an evaluation that tells no probabilities.
        """
        context, ledger = self._context, self._context.state.ledger
        checking = {number: ledger.arrivals[number].active for number in context.state.checking}
        others = ledger.evidence(checking, REFERENCE_AT_MOST)
        arrivals = len({each.arrival for each in others})
        if arrivals < OTHERS_AT_LEAST or not context.state.deployed:
            why = f"there is no model in service that has learned {OTHERS_AT_LEAST} other arrivals"
            return dict.fromkeys(checking, ArrivalVerdict("skipped", why, "no-reference"))
        without_scores = ArrivalVerdict(
            "skipped", f"the evaluation reports no {CONTRADICTION!r} for each sample", "no-scores"
        )
        if not self._tells_scores():
            return dict.fromkeys(checking, without_scores)
        asked = [*others, *(each for samples in checking.values() for each in samples)]
        metrics = self._reference_metrics(asked)
        contradiction, correct = metrics.get(CONTRADICTION, ()), metrics.get(OUTCOMES, ())
        if not len(contradiction) == len(correct) == len(asked):
            return dict.fromkeys(checking, without_scores)
        why = why_no_reference(_by_arrival(others, correct[: len(others)]), _labels_of(others))
        if why:
            return dict.fromkeys(checking, ArrivalVerdict("skipped", why, "no-reference"))
        known = recognised_classes(correct[: len(others)], [each.label for each in others])
        found = iter(contradiction[len(others) :])
        return {
            number: check_arrival(
                [next(found) for _ in samples],
                [each.label for each in samples],
                known,
            )
            for number, samples in checking.items()
        }

    def _tells_scores(self) -> bool:
        """Whether the job's last evaluation told what a check of labels needs."""
        context = self._context
        evaluated = [each.round for each in context.state.records if each.new is not None]
        try:
            results = read_json(context.layout.eval_results(evaluated[-1]))
            return all(CONTRADICTION in each["metrics"] for each in results)
        except (LookupError, TypeError, StorageError, OSError):
            return False

    def _reference_metrics(self, samples: Sequence[Sample]) -> dict[str, Any]:
        """Let the model in service answer samples; return nothing, and say why, if it cannot."""
        context, record = self._context, self._record
        model = ReportedModel.of_resource(context.job.eval_model)
        path = context.layout.checked_samples(record.round)
        _write_samples(path, samples)
        try:
            report, end = run_stage_worker(
                context.supervisor,
                "eval",
                record.round,
                eval_variables(
                    models=[str(self._file_of(model))],
                    samples=str(path),
                    dataset=str(context.paths.local(context.job.dataset.url)),
                ),
                limit_seconds=self._limit_seconds("eval"),
                emit=context.emit,
                on_start=lambda: None,
            )
            record.stages["check"] = StageRecord.of(end, engines_of(report.results))
            (result,) = read_models(report.results)
            return unpack_outcomes(result.metrics or {})
        except (StageFailedError, MetricsError, ModelFileError, ValueError) as error:
            code = getattr(error, "code", "wrong-length")
            what = f"the labels of round {record.round} were not checked: {error}"
            context.emit(Noted(what, "labels-not-checked", {"round": record.round, "why": code}))
            return {}

    def _end_quarantined(self) -> None:
        """End a round before its training: the labels of all that is new are in quarantine."""
        record = self._record
        labels = sum(each["samples"] for each in record.quarantined)
        reasons = "; ".join(dict.fromkeys(each["reason"] for each in record.quarantined))
        reason = f"{reasons}; its {labels} labels are in quarantine: see "
        reason += "sedna-tinyms samples list"
        record.finish(QUARANTINED, reason, "contradicted")
        self._context.state.round_ends()

    def _train(self) -> None:
        context, number = self._context, self._record.round
        if self._record.quarantined and not context.state.has_something_new:
            self._end_quarantined()
            return
        base = self._base()
        self._record.base_model = base.url
        context.emit(RoundStarted(number, self._record.train_samples, base.url))
        samples = context.layout.train_samples(number)
        directory = context.layout.model_directory(number)
        shutil.rmtree(directory, ignore_errors=True)  # of a training that was cut short
        _write_samples(samples, context.state.ledger.train_samples)
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
        found, missing = self._those_with_pictures(context.state.ledger.eval_samples)
        samples = context.layout.eval_samples(record.round)
        _write_samples(samples, found)
        record.eval_samples, record.eval_missing = len(found), missing
        record.new_model, record.old_model = new.url, old.url
        if not found:
            self._end_without_evidence()
            return
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
        )
        if decision.test is not None:
            record.tested(decision.test)
        context.emit(Decided(record.round, decision.outcome, decision.detail, decision.code))
        if decision.deploy:
            decision = self._unless_rejected(decision)
        if decision.deploy and context.job.gates.canary_timeout_seconds:
            decision = self._try_out(self._trained, decision)
        record.detail = decision.detail
        if decision.deploy:
            record.reason, record.code = decision.reason, decision.code
            context.state.step_done()
        else:
            self._end_undeployed(decision)

    def _end_undeployed(self, decision: Decision) -> None:
        context, record = self._context, self._record
        reason = f"{decision.reason}; {self._what_becomes_of_labels(decision.outcome)}"
        context.status.move("Deploy", "Completed", message=f"not deployed: {decision.detail}")
        record.finish(decision.outcome, reason, decision.code)
        self._make_version(needed=False)
        context.state.round_ends()

    def _what_becomes_of_labels(self, outcome: str) -> str:
        record, state = self._record, self._context.state
        labels = f"its {record.train_samples} labels"
        if outcome != REJECTED:
            return f"{labels} are kept for the next round"
        if len(record.suspects) == 1 and record.left_out is None:
            return f"{labels} are in quarantine: see sedna-tinyms samples list"
        if record.left_out is None or len(state.to_leave_out) > 1:
            return f"{labels} are kept, and the next round leaves some out to find wrong ones"
        return "the labels that no deployed model has learned are in quarantine"

    def _end_without_evidence(self) -> None:
        """End a round for which there is no held-out sample to compare the models with."""
        context = self._context
        missing = self._record.eval_missing
        why = f"the pictures of {missing} are missing" if missing else "none is held out so far"
        detail = f"there is no sample to evaluate with: {why}"
        context.status.wait_for_samples("NoSamples", detail)
        labels = self._what_becomes_of_labels(NOT_PROVEN)
        record = self._record
        record.detail = detail
        record.finish(NOT_PROVEN, f"not deployed yet: {detail}; {labels}", "no-evidence")
        self._make_version(needed=False)
        context.state.round_ends()

    def _those_with_pictures(self, samples: Sequence[Sample]) -> tuple[list[Sample], int]:
        """Return the samples whose pictures are still there, and how many others there are.

        Only of a sample whose picture was there when it came is it known that one belongs to it.
        """
        directory = self._context.paths.local(self._context.job.dataset.url).parent
        found = [
            each for each in samples if not each.digest or (directory / each.picture).is_file()
        ]
        return found, len(samples) - len(found)

    def _unless_rejected(self, decision: Decision) -> Decision:
        """Return the decision, turned where these very weights could not serve before."""
        new = choose_model(self._trained, self._context.job.deploy_model)
        why = self._context.state.rejected.get(self._context.versions.sha256_of(new))
        if why is None:
            return decision
        reason = f"not deployed: with the same weights {why}"
        return replace(decision, outcome=NOT_PROVEN, reason=reason, code="gone-back-from")

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
        reason = f"not deployed: the canary failed: {reason}"
        return replace(decision, outcome=NOT_PROVEN, reason=reason, code="canary-failed")

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
        message = f"deployed: {record.detail}"
        context.status.move("Deploy", "Completed", message=message, output=output)
        record.finish(DEPLOYED, record.reason, record.code)
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
        try:
            report, end = run_stage_worker(
                context.supervisor,
                kind,
                self._record.round,
                variables,
                limit_seconds=self._limit_seconds(kind),
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

    def _limit_seconds(self, kind: str) -> float:
        deadline = worker_templates(self._context.job)[kind].active_deadline_seconds
        return min(self._context.worker_limit_seconds, deadline or math.inf)

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


def _write_samples(path: Path, samples: Sequence[Sample]) -> None:
    write_text(path, "".join(f"{sample.line}\n" for sample in samples))


def _by_arrival(samples: Sequence[Sample], values: Sequence[float]) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for sample, value in zip(samples, values, strict=True):
        found.setdefault(sample.arrival, []).append(value)
    return found


def _labels_of(samples: Sequence[Sample]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for sample in samples:
        found.setdefault(sample.arrival, []).append(sample.label)
    return found
