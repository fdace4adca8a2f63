"""Turns documents that were found right into the values of `sedna_tinyms.jobs.manifest.spec`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sedna_tinyms.jobs.manifest.annotations import read_gates
from sedna_tinyms.jobs.manifest.findings import Finding
from sedna_tinyms.jobs.manifest.quantities import memory_bytes
from sedna_tinyms.jobs.manifest.spec import (
    Condition,
    Dataset,
    DeployModel,
    HardExampleMining,
    IncrementalLearningSpec,
    Job,
    ModelResource,
    Timer,
    Trigger,
    WorkerTemplate,
)
from sedna_tinyms.jobs.manifest.yaml_source import YamlNode

__all__ = ["build_job"]


def build_job(
    document: YamlNode,
    namespace: str,
    datasets: Mapping[str, YamlNode],
    models: Mapping[str, YamlNode],
    source: Path,
    findings: tuple[Finding, ...],
) -> Job:
    """Build a job of documents that have no errors; datasets and models are given by name."""
    manifest: Any = document.plain()
    manifest.pop("status", None)
    spec = _spec(document)
    return Job(
        name=manifest["metadata"]["name"],
        namespace=namespace,
        dataset=_dataset(spec.dataset_name, datasets[spec.dataset_name]),
        models={name: _model(name, node) for name, node in models.items()},
        spec=spec,
        source=source,
        gates=read_gates(manifest["metadata"].get("annotations") or {}),
        manifest=manifest,
        findings=findings,
    )


def _spec(document: YamlNode) -> IncrementalLearningSpec:
    plain: Any = document.mapping["spec"].plain()
    deploy = plain["deploySpec"]
    initial_eval_model = plain["evalSpec"].get("initialEvalModel")
    return IncrementalLearningSpec(
        dataset_name=plain["dataset"]["name"],
        train_prob=float(plain["dataset"]["trainProb"]),
        initial_model=plain["initialModel"]["name"],
        train_template=_template(document, "trainSpec"),
        train_trigger=_trigger(plain["trainSpec"]["trigger"]),
        eval_template=_template(document, "evalSpec"),
        initial_eval_model=initial_eval_model["name"] if initial_eval_model else None,
        deploy_model=DeployModel(
            name=deploy["model"]["name"],
            hot_update_enabled=deploy["model"].get("hotUpdateEnabled") or False,
            poll_period_seconds=deploy["model"].get("pollPeriodSeconds") or 60,
        ),
        deploy_trigger=_trigger(deploy["trigger"]),
        hard_example_mining=HardExampleMining(
            name=deploy["hardExampleMining"]["name"],
            parameters=tuple(
                (parameter["key"], parameter["value"])
                for parameter in deploy["hardExampleMining"].get("parameters") or ()
            ),
        ),
        inference_template=_template(document, "deploySpec"),
        output_dir=plain["outputDir"],
    )


def _dataset(name: str, document: YamlNode) -> Dataset:
    spec: Any = document.mapping["spec"].plain()
    line = document.mapping["spec"].mapping["url"].line
    return Dataset(name, spec["url"], spec["format"], spec["nodeName"], line)


def _model(name: str, document: YamlNode) -> ModelResource:
    spec: Any = document.mapping["spec"].plain()
    chips = tuple(spec.get("device_soc_versions") or ())
    line = document.mapping["spec"].mapping["url"].line
    return ModelResource(name, spec["url"], spec["format"], chips, line)


def _trigger(plain: Mapping[str, Any]) -> Trigger:
    condition, timer = plain["condition"], plain.get("timer")
    return Trigger(
        condition=Condition(
            condition["operator"], float(condition["threshold"]), condition["metric"]
        ),
        timer=Timer(timer["start"], timer["end"]) if timer else None,
        check_period_seconds=plain.get("checkPeriodSeconds"),
    )


def _template(document: YamlNode, stage: str) -> WorkerTemplate:
    pod = document.mapping["spec"].mapping[stage].mapping["template"].mapping["spec"]
    container = pod.mapping["containers"].items[0]
    plain_pod: Any = pod.plain()
    plain: Any = container.plain()
    grace = plain_pod.get("terminationGracePeriodSeconds")
    memory = container.get("resources", "limits", "memory")
    return WorkerTemplate(
        command=tuple(plain.get("command") or ()),
        args=tuple(plain.get("args") or ()),
        env={
            variable["name"]: variable.get("value") or ""
            for variable in plain.get("env") or ()
            if not variable.get("valueFrom")
        },
        active_deadline_seconds=plain_pod.get("activeDeadlineSeconds"),
        termination_grace_period_seconds=30 if grace is None else grace,
        memory_limit_bytes=memory_bytes(str(memory.value)) if memory and memory.value else None,
        memory_limit_line=memory.line if memory else 0,
        line=container.line,
    )
