"""What a job YAML says, as plain values: the ones that `load_job` returns.

Names follow Sedna's resources (group ``sedna.io``, version ``v1alpha1``) in Python's spelling:
``spec.trainSpec.template`` is `IncrementalLearningSpec.train_template`. Urls stay the host paths
that the YAML holds; `sedna_tinyms.jobs.paths` maps them below ``--root``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sedna_tinyms.gate import DEPLOY_CONFIDENCE
from sedna_tinyms.jobs.manifest.findings import Finding

__all__ = [
    "Condition",
    "Dataset",
    "DeployModel",
    "Gates",
    "HardExampleMining",
    "IncrementalLearningSpec",
    "Job",
    "ModelResource",
    "Timer",
    "Trigger",
    "WorkerTemplate",
]


@dataclass(frozen=True)
class Dataset:
    """A ``kind: Dataset`` document; `line` is where its url stands in the YAML."""

    name: str
    url: str
    format: str
    node_name: str
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class ModelResource:
    """A ``kind: Model`` document; `line` is where its url stands in the YAML."""

    name: str
    url: str
    format: str
    device_soc_versions: tuple[str, ...] = ()
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Timer:
    """The hours in which a trigger may fire: ``HH:MM``, both ends included."""

    start: str
    end: str


@dataclass(frozen=True)
class Condition:
    """A comparison of one metric (``name`` or ``name[i]``) with a threshold."""

    operator: str
    threshold: float
    metric: str


@dataclass(frozen=True)
class Trigger:
    """A condition and, where given, the hours in which it may hold."""

    condition: Condition
    timer: Timer | None = None
    check_period_seconds: int | None = None


@dataclass(frozen=True)
class HardExampleMining:
    """The filter that an inference worker applies, with its parameters as the texts they are."""

    name: str
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class DeployModel:
    """The model resource being served, and whether it is swapped without a restart."""

    name: str
    hot_update_enabled: bool = False
    poll_period_seconds: int = 60


@dataclass(frozen=True)
class WorkerTemplate:
    """What of a pod template has a meaning for a process; of containers, the first one.

    Attributes
    ----------
    active_deadline_seconds : int or None
        Kubernetes' time limit for the whole worker.
    termination_grace_period_seconds : int
        How long a worker may take between being asked to end and being killed.
    memory_limit_bytes : int or None
        ``resources.limits.memory``: a worker that takes more is ended. A new model's canary is
        held to that of the inference worker.
    memory_limit_line : int
        Where that stands in the YAML.
    line : int
        Where the container starts in the YAML.
    """

    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    active_deadline_seconds: int | None = None
    termination_grace_period_seconds: int = 30
    memory_limit_bytes: int | None = None
    memory_limit_line: int = field(default=0, compare=False)
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class IncrementalLearningSpec:
    """The ``spec`` of an IncrementalLearningJob; models and the dataset are held by name."""

    dataset_name: str
    train_prob: float
    initial_model: str
    train_template: WorkerTemplate
    train_trigger: Trigger
    eval_template: WorkerTemplate
    initial_eval_model: str | None
    deploy_model: DeployModel
    deploy_trigger: Trigger
    hard_example_mining: HardExampleMining
    inference_template: WorkerTemplate
    output_dir: str


@dataclass(frozen=True)
class Gates:
    """What a new model must pass besides the deploy trigger, and how many are kept: annotations.

    Attributes
    ----------
    deploy_confidence : float
        How sure it must be that the new model is better; 0 switches the test off.
    canary_timeout_seconds : float
        How long a new model may take to open and answer a few pictures in a process of its own;
        0 switches the canary off.
    canary_max_latency_ms : float or None
        How long it may take for one picture.
    keep_versions, keep_bytes : float
        How many model versions are kept, and how much they may take together.
    """

    deploy_confidence: float = DEPLOY_CONFIDENCE
    canary_timeout_seconds: float = 120.0
    canary_max_latency_ms: float | None = None
    keep_versions: float = 10
    keep_bytes: float = 4e9


@dataclass(frozen=True)
class Job:
    """One IncrementalLearningJob with the Dataset and Models that it names.

    Attributes
    ----------
    models : mapping
        Every Model of the file by name, also those that the job does not use.
    source : pathlib.Path
        The YAML file.
    manifest : mapping
        The job's document as plain data, as ``kubectl get -o json`` would begin: what
        ``status.json`` repeats beside the status.
    gates : Gates
        What the annotations of the job's metadata ask for.
    findings : tuple of Finding
        Warnings and notes: what the YAML says that a cluster or this machine treats otherwise
        than one would think.
    """

    name: str
    namespace: str
    dataset: Dataset
    models: Mapping[str, ModelResource]
    spec: IncrementalLearningSpec
    source: Path
    gates: Gates = field(default_factory=Gates)
    manifest: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)
    findings: tuple[Finding, ...] = field(default=(), compare=False)

    @property
    def initial_model(self) -> ModelResource:
        """The base of the first round's training."""
        return self.models[self.spec.initial_model]

    @property
    def deploy_model(self) -> ModelResource:
        """The model being served."""
        return self.models[self.spec.deploy_model.name]

    @property
    def eval_model(self) -> ModelResource:
        """What a new model is compared with: initialEvalModel if given, else the deploy model."""
        return self.models[self.spec.initial_eval_model or self.spec.deploy_model.name]
