"""Where every value that a job goes by comes from: a line of its YAML, the environment, a default.

The values are those of the loaded `Job` and of `worker_environment`, which the runner itself uses;
the lines are those of the YAML's nodes. Nothing is started, and nothing is written.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from sedna_tinyms.errors import JobSpecError
from sedna_tinyms.heartbeat import HEARTBEAT
from sedna_tinyms.jobs.deploy import HotUpdate
from sedna_tinyms.jobs.layout import JobLayout
from sedna_tinyms.jobs.manifest.annotations import PREFIX
from sedna_tinyms.jobs.manifest.loading import DEFAULT_NAMESPACE
from sedna_tinyms.jobs.manifest.loading import JOB_KIND as JOB
from sedna_tinyms.jobs.manifest.resources import SCHEMAS
from sedna_tinyms.jobs.manifest.schema import join
from sedna_tinyms.jobs.manifest.spec import (
    Dataset,
    Job,
    ModelResource,
    Trigger,
    WorkerTemplate,
)
from sedna_tinyms.jobs.manifest.yaml_source import YamlNode, read_documents, text_at
from sedna_tinyms.jobs.paths import HostPaths
from sedna_tinyms.jobs.rounds import base_model
from sedna_tinyms.jobs.state import JobState
from sedna_tinyms.jobs.workers.command import worker_command
from sedna_tinyms.jobs.workers.environment import (
    common_variables,
    eval_variables,
    inference_variables,
    train_variables,
    worker_environment,
)
from sedna_tinyms.jobs.workers.processes import OUTPUT
from sedna_tinyms.jobs.workers.supervisor import worker_templates

__all__ = ["ResolvedValue", "explain_job"]

DEFAULT = "default"
ENVIRONMENT = "environment"

STAGES = {"train": "trainSpec", "eval": "evalSpec", "inference": "deploySpec"}

SECRET = re.compile(r"SECRET|TOKEN|PASSWORD|PASSWD|ACCESS_KEY|CREDENTIAL|PRIVATE_KEY", re.I)
USER_IN_URL = re.compile(r"(?<=://)[^/@\s]+(?=@)")
HIDDEN = "(hidden)"


@dataclass(frozen=True)
class ResolvedValue:
    """One value that a job goes by.

    Attributes
    ----------
    path : str
        What it is: a JSON path of the YAML, or ``train.env.NAME`` for a worker's environment.
    value : str, float, bool or None
        The value in use.
    source : str
        ``job.yaml:37``, ``default``, ``environment``, ``--root`` or ``the runner``.
    """

    path: str
    value: str | float | bool | None
    source: str


def explain_job(
    job: Job, root: Path | str | None = None, inherited: Mapping[str, str] | None = None
) -> list[ResolvedValue]:
    """Return every value that a job goes by, with its source.

    Parameters
    ----------
    job : Job
        From `sedna_tinyms.jobs.load_job`.
    root : path, optional
        As for `JobRunner`. Without it, paths are host paths, and the round is the first.
    inherited : mapping, optional
        What workers inherit from; this process's environment by default.

    Raises
    ------
    JobSpecError
        If a path leads out of the root.
    StorageError
        If the state that an earlier run left cannot be read.
    """
    return list(_Explanation(job, root, os.environ if inherited is None else inherited).values())


class _Explanation:
    """What is needed to explain one job."""

    def __init__(self, job: Job, root: Path | str | None, inherited: Mapping[str, str]) -> None:
        self._job = job
        self._inherited = inherited
        self._paths = HostPaths("/" if root is None else root)
        self._root_source = "no --root: paths are the host's" if root is None else "--root"
        self._layout = JobLayout(job, self._paths)
        self._lines = _lines_of(job)
        self._round, self._base = 1, job.initial_model.url
        self._base_source = self._where_url("Model", job.initial_model)
        if root is not None:
            self._go_on()

    def _go_on(self) -> None:
        """Take the next round's number and base from what an earlier run left."""
        dataset = self._paths.local(self._job.dataset.url)
        state = JobState(self._layout.journal, self._job, dataset)
        self._round = state.next_round
        if state.deployed:
            self._base = base_model(state, self._job, "last-deployed").url
            self._base_source = "the last deployed model"

    def values(self) -> Iterator[ResolvedValue]:
        """Yield the values of the job, of what it names, and of its workers."""
        yield from self._of_job()
        yield from self._of_resources()
        for kind, template in worker_templates(self._job).items():
            yield from self._of_worker(kind, template)

    def _value(
        self, path: str, value: str | float | bool | None, default: str = DEFAULT
    ) -> ResolvedValue:
        """Return a value of the job's document; `default` is its source if it is not there."""
        return ResolvedValue(path, value, self._where(f"{JOB}.{path}", default))

    def _where(self, path: str, default: str = DEFAULT) -> str:
        line = self._lines.get(path)
        return f"{self._job.source}:{line}" if line is not None else default

    def _of_job(self) -> Iterator[ResolvedValue]:
        job, spec = self._job, self._job.spec
        deploy, mining = spec.deploy_model, spec.hard_example_mining
        yield self._value("metadata.name", job.name)
        yield self._value("metadata.namespace", job.namespace)
        for gate in fields(job.gates):
            name = f"{PREFIX}{gate.name.replace('_', '-')}"
            yield self._value(f"metadata.annotations.{name}", getattr(job.gates, gate.name))
        yield self._value("spec.dataset.name", spec.dataset_name)
        yield self._value("spec.dataset.trainProb", spec.train_prob)
        yield self._value("spec.initialModel.name", spec.initial_model)
        yield self._value(
            "spec.evalSpec.initialEvalModel.name", job.eval_model.name, "default: the deploy model"
        )
        yield self._value("spec.deploySpec.model.name", deploy.name)
        yield self._value("spec.deploySpec.model.hotUpdateEnabled", deploy.hot_update_enabled)
        yield self._value("spec.deploySpec.model.pollPeriodSeconds", deploy.poll_period_seconds)
        yield from self._of_trigger("spec.trainSpec.trigger", spec.train_trigger)
        yield from self._of_trigger("spec.deploySpec.trigger", spec.deploy_trigger)
        where = "spec.deploySpec.hardExampleMining"
        yield self._value(f"{where}.name", mining.name)
        for index, (key, value) in enumerate(mining.parameters):
            source = self._where(f"{JOB}.{where}.parameters[{index}].value")
            yield ResolvedValue(f"{where}.parameters.{key}", value, source)
        yield self._value("spec.outputDir", spec.output_dir)

    def _of_trigger(self, path: str, trigger: Trigger) -> Iterator[ResolvedValue]:
        condition, timer = trigger.condition, trigger.timer
        yield self._value(f"{path}.condition.metric", condition.metric)
        yield self._value(f"{path}.condition.operator", condition.operator)
        yield self._value(f"{path}.condition.threshold", condition.threshold)
        if timer is None:
            yield self._value(f"{path}.timer", None, "default: at any hour")
        else:
            yield self._value(f"{path}.timer.start", timer.start)
            yield self._value(f"{path}.timer.end", timer.end)

    def _of_resources(self) -> Iterator[ResolvedValue]:
        job = self._job
        used: dict[str, Dataset | ModelResource] = {f"Dataset/{job.dataset.name}": job.dataset}
        for model in (job.initial_model, job.eval_model, job.deploy_model):
            used[f"Model/{model.name}"] = model
        for document, resource in used.items():
            place = f"{document}.spec"
            source = self._where(f"{place}.url")
            yield ResolvedValue(f"{place}.url", resource.url, source)
            if self._paths.prefix:
                local = str(self._paths.local(resource.url))
                yield ResolvedValue(f"{place}.url here", local, f"--root and {source}")
            format_source = self._where(f"{place}.format")
            yield ResolvedValue(f"{place}.format", resource.format, format_source)

    def _of_worker(self, kind: str, template: WorkerTemplate) -> Iterator[ResolvedValue]:
        pod = f"spec.{STAGES[kind]}.template.spec"
        container = f"{pod}.containers[0]"
        yield ResolvedValue(
            f"{kind}.command",
            self._command(kind, template),
            self._where(f"{JOB}.{container}.command", self._where(f"{JOB}.{container}.args")),
        )
        yield self._value(
            f"{pod}.activeDeadlineSeconds",
            template.active_deadline_seconds,
            "default: --worker-limit alone",
        )
        yield self._value(
            f"{pod}.terminationGracePeriodSeconds", template.termination_grace_period_seconds
        )
        yield self._value(
            f"{container}.resources.limits.memory", template.memory_limit_bytes, "default: none"
        )
        yield from self._of_environment(kind, template, f"{JOB}.{container}.env")

    def _command(self, kind: str, template: WorkerTemplate) -> str:
        try:
            return shlex.join(worker_command(kind, template, self._job.source.resolve().parent))
        except JobSpecError as error:
            return f"none: {error}"

    def _of_environment(
        self, kind: str, template: WorkerTemplate, place: str
    ) -> Iterator[ResolvedValue]:
        sedna = self._sedna_variables(kind)
        values = {name: value for name, (value, _) in sedna.items()}
        environment = worker_environment(template, values, self._inherited)
        for name, value in sorted(environment.items()):
            if name in sedna:
                source = sedna[name][1]
            elif name in template.env:
                source = self._where(f"{place}.{name}")
            elif name not in self._inherited:
                source = DEFAULT
            elif value == self._inherited[name]:
                source = ENVIRONMENT
            else:
                source = f"{ENVIRONMENT}, with loopback added"
            yield ResolvedValue(f"{kind}.env.{name}", _without_secrets(name, value), source)

    def _sedna_variables(self, kind: str) -> dict[str, tuple[str, str]]:
        """Return Sedna's variables for a worker, each with its value and source."""
        variables = common_variables(
            namespace=self._job.namespace,
            job=self._job.name,
            worker="...",
            lc_server="http://127.0.0.1:...",
            prefix=self._paths.prefix,
            output=str(self._layout.output),
        )
        sources = {
            "NAMESPACE": self._where(f"{JOB}.metadata.namespace"),
            "JOB_NAME": self._where(f"{JOB}.metadata.name"),
            "WORKER_NAME": "the runner, at each start",
            "LC_SERVER": "the runner, or --port",
            "DATA_PATH_PREFIX": self._root_source,
            OUTPUT: self._where(f"{JOB}.spec.outputDir"),
        }
        more = {"train": self._of_train, "eval": self._of_eval, "inference": self._of_inference}
        for name, (value, source) in more[kind]().items():
            variables[name], sources[name] = value, source
        return {name: (value, sources[name]) for name, value in variables.items()}

    def _of_train(self) -> dict[str, tuple[str, str]]:
        output = f"{self._where(f'{JOB}.spec.outputDir')}, round {self._round}"
        variables = train_variables(
            base_model=str(self._paths.local(self._base)),
            model_directory=str(self._layout.model_directory(self._round)),
            samples=str(self._layout.train_samples(self._round)),
            dataset=self._dataset,
        )
        sources = {
            "BASE_MODEL_URL": self._base_source,
            "MODEL_URL": output,
            "TRAIN_DATASET_URL": output,
            "ORIGINAL_DATASET_URL": self._where_url("Dataset", self._job.dataset),
        }
        return {name: (value, sources[name]) for name, value in variables.items()}

    def _of_eval(self) -> dict[str, tuple[str, str]]:
        old = self._job.eval_model
        variables = eval_variables(
            models=[f"{self._layout.model_directory(self._round)}/...", self._local(old)],
            samples=str(self._layout.eval_samples(self._round)),
            dataset=self._dataset,
        )
        sources = {
            "MODEL_URLS": f"the train worker's report; {self._where_url('Model', old)}",
            "TEST_DATASET_URL": f"{self._where(f'{JOB}.spec.outputDir')}, round {self._round}",
            "ORIGINAL_DATASET_URL": self._where_url("Dataset", self._job.dataset),
        }
        return {name: (value, sources[name]) for name, value in variables.items()}

    def _of_inference(self) -> dict[str, tuple[str, str]]:
        deployed, spec = self._job.spec.deploy_model, self._job.spec
        variables = inference_variables(
            model=self._local(self._job.deploy_model),
            hard_example_mining=spec.hard_example_mining,
            heartbeat=str(self._layout.heartbeat),
            hot_update_config=(
                str(HotUpdate(self._layout.hot_update).config)
                if deployed.hot_update_enabled
                else None
            ),
            poll_period_seconds=deployed.poll_period_seconds,
        )
        mining, model = f"{JOB}.spec.deploySpec.hardExampleMining", f"{JOB}.spec.deploySpec.model"
        hot = self._where(f"{model}.hotUpdateEnabled")
        sources = {
            "MODEL_URL": self._where_url("Model", self._job.deploy_model),
            "HEM_NAME": self._where(f"{mining}.name"),
            "HEM_PARAMETERS": self._where(f"{mining}.parameters"),
            HEARTBEAT: self._where(f"{JOB}.spec.outputDir"),
            "MODEL_HOT_UPDATE": hot,
            "MODEL_HOT_UPDATE_CONFIG": hot,
            "MODEL_POLL_PERIOD_SECONDS": self._where(f"{model}.pollPeriodSeconds"),
        }
        return {name: (value, sources[name]) for name, value in variables.items()}

    @property
    def _dataset(self) -> str:
        return str(self._paths.local(self._job.dataset.url))

    def _local(self, model: ModelResource) -> str:
        return str(self._paths.local(model.url))

    def _where_url(self, kind: str, resource: Dataset | ModelResource) -> str:
        return self._where(f"{kind}/{resource.name}.spec.url")


def _lines_of(job: Job) -> dict[str, int]:
    """Return the line of every value of the job's documents, by JSON path.

    The paths begin with ``IncrementalLearningJob``, ``Dataset/<name>`` and ``Model/<name>``; a
    variable of a worker's environment is found by its name as well as by its index.
    """
    lines: dict[str, int] = {}
    for document in read_documents(job.source):
        kind, name = text_at(document, "kind"), text_at(document, "metadata", "name")
        namespace = text_at(document, "metadata", "namespace") or DEFAULT_NAMESPACE
        if kind not in SCHEMAS or namespace != job.namespace:
            continue
        if kind == JOB and name == job.name:
            lines.update(_walk(document, JOB))
        elif kind != JOB:
            lines.update(_walk(document, f"{kind}/{name}"))
    return lines


def _walk(node: YamlNode, path: str) -> Iterator[tuple[str, int]]:
    if node.value is None:  # as good as absent
        return
    yield path, node.line
    for key, child in node.mapping.items():
        yield from _walk(child, join(path, key))
    for index, child in enumerate(node.items):
        yield from _walk(child, f"{path}[{index}]")
        if path.endswith(".env") and (name := text_at(child, "name")):
            yield f"{path}.{name}", child.line


def _without_secrets(name: str, value: str) -> str:
    return HIDDEN if SECRET.search(name) else USER_IN_URL.sub(HIDDEN, value)
