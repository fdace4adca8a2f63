"""What no single field shows: names that resolve, directories that collide, fields without effect.

Every check takes documents as they are, also malformed ones: what the schema has found wrong
already is passed over here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from sedna_tinyms.errors import did_you_mean
from sedna_tinyms.jobs.manifest.annotations import check_annotations
from sedna_tinyms.jobs.manifest.findings import Findings
from sedna_tinyms.jobs.manifest.templates import check_template
from sedna_tinyms.jobs.manifest.yaml_source import YamlNode, text_at

__all__ = ["check_job"]

TRAINED_FORMATS = ("ckpt", "onnx")
"""What the TINYMS backend reports; the second where an ONNX file was exported too."""

FORMAT_READ = {"TINYMS": "ckpt", "MINDSPORE": "ckpt", "ONNX": "onnx"}
"""The format of the models that a backend loads."""

MODEL_LOADED = {"train": "initial", "eval": "eval", "inference": "deploy"}
"""Whose format a worker's models have."""

TEMPLATES = {
    "train": "spec.trainSpec.template",
    "eval": "spec.evalSpec.template",
    "inference": "spec.deploySpec.template",
}

HARD_EXAMPLE_FILTERS: dict[str, tuple[str, ...]] = {
    "Threshold": ("threshold",),
    "CrossEntropy": ("threshold_cross_entropy",),
    "IBT": ("threshold_img", "threshold_box"),
    "Random": ("random_ratio",),
    "CloudOnly": (),
    "EdgeOnly": (),
}
"""Sedna's filters with their parameters."""

OWN_FILTERS: dict[str, tuple[str, ...]] = {
    "Margin": ("threshold",),
    "Energy": ("share", "temperature", "window"),
    "Novelty": ("share", "neighbours", "familiar", "window"),
}
"""Those of `sedna_tinyms.learning.mining`."""


def check_job(
    job: YamlNode,
    datasets: Mapping[str, YamlNode],
    models: Mapping[str, YamlNode],
    findings: Findings,
) -> None:
    """Check one IncrementalLearningJob against the documents of its namespace, by name."""
    _check_references(job, datasets, models, findings)
    _check_directories(job, datasets, models, findings)
    _check_formats(job, models, findings)
    _check_backends(job, models, findings)
    _check_triggers(job, findings)
    _check_hot_update(job, findings)
    check_annotations(job, findings)
    _check_hard_example_mining(job, findings)
    for kind, path in TEMPLATES.items():
        template = job.get(*path.split("."))
        if template is not None:
            check_template(kind, template, path, findings)


# Names


DATASET_REFERENCE: tuple[str, ...] = ("spec", "dataset", "name")
MODEL_REFERENCES: dict[str, tuple[str, ...]] = {
    "initial": ("spec", "initialModel", "name"),
    "eval": ("spec", "evalSpec", "initialEvalModel", "name"),
    "deploy": ("spec", "deploySpec", "model", "name"),
}


def _check_references(
    job: YamlNode,
    datasets: Mapping[str, YamlNode],
    models: Mapping[str, YamlNode],
    findings: Findings,
) -> None:
    for keys in (DATASET_REFERENCE, *MODEL_REFERENCES.values()):
        kind, documents = ("Dataset", datasets) if keys is DATASET_REFERENCE else ("Model", models)
        name = text_at(job, *keys)
        node = job.get(*keys)
        if name is None or node is None or name in documents:
            continue
        there = did_you_mean(name, documents) or f"; there are: {', '.join(documents) or 'none'}"
        findings.error(
            "unknown-name",
            node.line,
            ".".join(keys),
            f"no {kind} document of this file, in the job's namespace, is called {name!r}{there}",
        )


def _referenced(job: YamlNode, models: Mapping[str, YamlNode]) -> dict[str, tuple[str, YamlNode]]:
    """Return name and document of the initial, eval and deploy model, where they are there."""
    found = {}
    for role, keys in MODEL_REFERENCES.items():
        name = text_at(job, *keys)
        if name is not None and name in models:
            found[role] = (name, models[name])
    if "eval" not in found and "deploy" in found:
        found["eval"] = found["deploy"]
    return found


# Directories


def _check_directories(
    job: YamlNode,
    datasets: Mapping[str, YamlNode],
    models: Mapping[str, YamlNode],
    findings: Findings,
) -> None:
    used = _referenced(job, models)
    dataset = datasets.get(text_at(job, *DATASET_REFERENCE) or "")
    dataset_url = text_at(dataset, "spec", "url")
    for worker, role in (("train", "initial"), ("eval", "eval")):
        if role not in used or dataset_url is None:
            continue
        name, model = used[role]
        url = text_at(model, "spec", "url")
        node = model.get("spec", "url")
        if url and node and PurePosixPath(url).parent == PurePosixPath(dataset_url).parent:
            findings.error(
                "conflict",
                node.line,
                "spec.url",
                f"the Model {name!r} and the dataset lie in one directory, "
                f"{PurePosixPath(url).parent}: on a cluster the {worker} worker mounts it twice "
                "at one path and its pod is rejected. Keep them in directories of their own",
            )
    urls = {role: text_at(document, "spec", "url") for role, (_, document) in used.items()}
    if urls.get("initial") and urls.get("initial") == urls.get("deploy"):
        node = used["deploy"][1].get("spec", "url")
        findings.warning(
            "conflict",
            node.line if node else 0,
            "spec.url",
            "the initial and the deploy model are one file: every deployment overwrites both",
        )
    _check_output_directory(job, {"dataset": dataset_url, **urls}, findings)


def _check_output_directory(
    job: YamlNode, urls: Mapping[str, str | None], findings: Findings
) -> None:
    output = text_at(job, "spec", "outputDir")
    node = job.get("spec", "outputDir")
    if output is None or node is None:
        return
    own = [PurePosixPath(output) / name for name in ("data", "train", "eval")]
    for role, url in urls.items():
        if url and any(PurePosixPath(url).is_relative_to(directory) for directory in own):
            what = role if role == "dataset" else f"{role} model"
            findings.warning(
                "conflict",
                node.line,
                "spec.outputDir",
                f"the {what} {url!r} lies among the files that the job writes itself, in data, "
                "train and eval: choose another directory",
            )


# Formats


def _check_formats(job: YamlNode, models: Mapping[str, YamlNode], findings: Findings) -> None:
    used = _referenced(job, models)
    for name, model in dict(used.values()).items():
        node = model.get("spec", "format")
        text = text_at(model, "spec", "format")
        if node is None or text is None or text in TRAINED_FORMATS:
            continue
        findings.warning(
            "unknown-format",
            node.line,
            "spec.format",
            f"the Model {name!r} is {text!r}{did_you_mean(text, TRAINED_FORMATS)}: a round goes "
            "on only with a trained model of this format, and the TINYMS backend reports "
            f"{' and '.join(TRAINED_FORMATS)} (Sedna's LocalController crashes where none fits)",
        )


def _check_backends(job: YamlNode, models: Mapping[str, YamlNode], findings: Findings) -> None:
    used = _referenced(job, models)
    for worker, role in MODEL_LOADED.items():
        variable = _variable(job.get(*TEMPLATES[worker].split(".")), "BACKEND_TYPE")
        backend = (text_at(variable, "value") or "").upper()
        if variable is None or backend not in FORMAT_READ:
            continue
        where = f"{TEMPLATES[worker]}.spec.containers[0].env"
        if worker == "train" and backend == "ONNX":
            findings.error(
                "unsupported",
                variable.line,
                where,
                "BACKEND_TYPE ONNX trains nothing: write TINYMS, which saves an ONNX file beside "
                "each checkpoint",
            )
        elif role in used:
            name, model = used[role]
            found = text_at(model, "spec", "format")
            if found in TRAINED_FORMATS and found != FORMAT_READ[backend]:
                findings.warning(
                    "conflict",
                    variable.line,
                    where,
                    f"BACKEND_TYPE {backend} loads {FORMAT_READ[backend]} files, and the {worker} "
                    f"worker gets those of the Model {name!r}, which is {found!r}",
                )


def _variable(template: YamlNode | None, name: str) -> YamlNode | None:
    """Return the entry of an environment variable in a template's first container."""
    containers = template.get("spec", "containers") if template is not None else None
    first = containers.items[0] if containers is not None and containers.items else None
    env = first.get("env") if first is not None else None
    entries = env.items if env is not None else []
    return next((entry for entry in entries if text_at(entry, "name") == name), None)


# Triggers


def _check_triggers(job: YamlNode, findings: Findings) -> None:
    for stage in ("trainSpec", "deploySpec"):
        path = f"spec.{stage}.trigger"
        trigger = job.get("spec", stage, "trigger")
        if trigger is None:
            continue
        period = trigger.get("checkPeriodSeconds")
        if period is not None:
            findings.note(
                "ignored",
                period.line,
                f"{path}.checkPeriodSeconds",
                "is ignored by Sedna, which looks about every 10 seconds, and here",
            )
        start, end = text_at(trigger, "timer", "start"), text_at(trigger, "timer", "end")
        timer = trigger.get("timer")
        if timer is not None and start is not None and start == end:
            findings.warning(
                "short-timer", timer.line, f"{path}.timer", f"covers one minute a day, {start}"
            )
        metric, node = text_at(trigger, "condition", "metric"), trigger.get("condition", "metric")
        if metric is None or node is None:
            continue
        if stage == "trainSpec":
            _check_train_metric(metric, node.line, f"{path}.condition.metric", findings)
        else:
            _check_deploy_metric(metric, node.line, f"{path}.condition.metric", findings)


def _check_train_metric(metric: str, line: int, path: str, findings: Findings) -> None:
    if metric != "num_of_samples":
        findings.error(
            "unknown-name",
            line,
            path,
            f"there is no {metric!r} before training: the only metric is num_of_samples, and any "
            "other is never met",
        )


def _check_deploy_metric(metric: str, line: int, path: str, findings: Findings) -> None:
    if metric.startswith("num_of_samples"):
        findings.error(
            "unknown-name",
            line,
            path,
            "num_of_samples is no metric of an evaluation, so nothing is ever deployed",
        )
    elif "[" not in metric:
        findings.warning(
            "missing-index",
            line,
            path,
            f"{metric!r} has no index, and metrics are lists: Sedna's LocalController compares "
            f"0.0 instead, and here it is never met. Write {metric}[0] for the first number",
        )


# Deployment and hard examples


def _check_hot_update(job: YamlNode, findings: Findings) -> None:
    model = job.get("spec", "deploySpec", "model")
    period = model.get("pollPeriodSeconds") if model is not None else None
    if model is None or period is None:
        return
    enabled = model.get("hotUpdateEnabled")
    if enabled is None or enabled.value is False:
        findings.note(
            "ignored",
            period.line,
            "spec.deploySpec.model.pollPeriodSeconds",
            "has no effect without hotUpdateEnabled: true",
        )


def _check_hard_example_mining(job: YamlNode, findings: Findings) -> None:
    path = "spec.deploySpec.hardExampleMining"
    node = job.get(*path.split("."))
    name = text_at(node, "name")
    if node is None or name is None:
        return
    filters = HARD_EXAMPLE_FILTERS | OWN_FILTERS
    known = filters.get(name)
    if known is None:
        findings.warning(
            "unknown-name",
            node.mapping["name"].line,
            f"{path}.name",
            f"{name!r} is none of the filters {', '.join(filters)}{did_you_mean(name, filters)}: "
            "the inference script must register it itself",
        )
        return
    if name in OWN_FILTERS:
        findings.note(
            "own-filter",
            node.mapping["name"].line,
            f"{path}.name",
            f"{name} is a filter of sedna-tinyms: under KubeEdge's library, the inference script "
            "must import sedna_tinyms",
        )
    parameters = node.get("parameters")
    for index, parameter in enumerate(parameters.items if parameters is not None else []):
        where = f"{path}.parameters[{index}]"
        key, value = text_at(parameter, "key"), text_at(parameter, "value")
        if key is not None and key not in known:
            findings.warning(
                "unknown-key",
                parameter.line,
                f"{where}.key",
                f"{name} has no parameter {key!r}{did_you_mean(key, known)}; it has: "
                f"{', '.join(known) or 'none'}",
            )
        elif value is not None and not _is_number(value):
            findings.error(
                "not-a-number", parameter.line, f"{where}.value", f"{value!r} is no number"
            )
    if name == "Random" and parameters is not None and parameters.items:
        findings.warning(
            "unsupported",
            parameters.line,
            f"{path}.parameters",
            "KubeEdge's own Random filter fails on the text that a job can give it: leave the "
            "ratio out there, or set it in the inference script",
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
