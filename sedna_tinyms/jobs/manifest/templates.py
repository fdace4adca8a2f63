"""What a worker's pod template says that a cluster, or one machine, treats otherwise.

As in `crosschecks`, what the schema has found wrong already is passed over.
"""

from __future__ import annotations

from difflib import get_close_matches

from sedna_tinyms.errors import LONGEST_NAME, did_you_mean
from sedna_tinyms.jobs.manifest.findings import Findings
from sedna_tinyms.jobs.manifest.resources import CONTAINER_IGNORED, POD_IGNORED
from sedna_tinyms.jobs.manifest.yaml_source import YamlNode, text_at

__all__ = ["check_template"]

BACKENDS = ("TINYMS", "ONNX", "MINDSPORE", "TENSORFLOW", "KERAS", "TORCH")

INJECTED = {
    "NAMESPACE",
    "JOB_NAME",
    "WORKER_NAME",
    "LC_SERVER",
    "DATA_PATH_PREFIX",
    "BASE_MODEL_URL",
    "MODEL_URL",
    "MODEL_URLS",
    "TRAIN_DATASET_URL",
    "TEST_DATASET_URL",
    "ORIGINAL_DATASET_URL",
    "HEM_NAME",
    "HEM_PARAMETERS",
    "MODEL_HOT_UPDATE",
    "MODEL_POLL_PERIOD_SECONDS",
    "MODEL_HOT_UPDATE_CONFIG",
}
"""Variables that the controllers set, over what a template says."""

SETTINGS = {
    *("BACKEND_TYPE", "DEVICE_CATEGORY", "LOG_LEVEL", "PARAMETERS", "MODEL_NAME"),
    *("PRETRAINED_MODEL_URL", "SERVICE_NAME", "TRANSMITTER", "AGG_DATA_PATH"),
    *("S3_ENDPOINT_URL", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"),
    *("SEDNA_TINYMS_SIGNING_KEY", "SEDNA_TINYMS_PUBLIC_KEY", "SEDNA_TINYMS_REQUIRE_SIGNED"),
    *("SEDNA_TINYMS_ACTIVATIONS", "SEDNA_TINYMS_KEEP_ONEDNN_DEFAULT"),
    *("CLASS_NAMES", "INPUT_SHAPE", "WIDTH", "STRATEGY", "EPOCHS", "LEARNING_RATE", "BATCH_SIZE"),
    *("SEED", "REPLAY_BYTES", "QUANTIZE", "ENGINE"),
    *("INCOMING_URL", "RESULT_SAVED_URL", "HE_SAVED_URL", "HE_QUOTA_BYTES"),
}
"""Variables that the worker library and this package read, and the example's worker scripts."""

LIKENESS = 0.85
"""From which a name is taken for one of `SETTINGS` misspelt: a letter or two."""


def check_template(kind: str, template: YamlNode, path: str, findings: Findings) -> None:
    """Check the template, at `path`, of a ``train``, ``eval`` or ``inference`` worker."""
    pod = template.get("spec")
    if pod is None:
        return
    _check_restart_policy(kind, pod, f"{path}.spec", findings)
    ignored = [key for key in pod.mapping if key in POD_IGNORED and key != "initContainers"]
    containers = pod.get("containers")
    if containers is None or not containers.items:
        return
    container = containers.items[0]
    ignored += [f"containers[0].{key}" for key in container.mapping if key in CONTAINER_IGNORED]
    ignored += _ignored_resources(container)
    if ignored:
        findings.note(
            "ignored",
            pod.line,
            f"{path}.spec",
            f"without effect on one machine, where a worker is a process: {', '.join(ignored)}",
        )
    if len(containers.items) > 1 or pod.get("initContainers") is not None:
        findings.warning(
            "ignored",
            containers.line,
            f"{path}.spec",
            f"only the first container, {text_at(container, 'name')!r}, is run on one machine",
        )
    if container.get("image") is None:
        findings.warning(
            "missing-key",
            container.line,
            f"{path}.spec.containers[0].image",
            "is missing: it is not needed here, but a cluster refuses the worker's pod",
        )
    _check_environment(kind, container, f"{path}.spec.containers[0].env", findings)
    _check_expansions(container, f"{path}.spec.containers[0]", findings)


def _ignored_resources(container: YamlNode) -> list[str]:
    """Return the resources without effect, which the limit of memory is not."""
    resources = container.get("resources")
    if resources is None:
        return []
    if container.get("resources", "limits", "memory") is None:
        return ["containers[0].resources"]
    limits = resources.mapping["limits"].mapping
    kept = [f"limits.{key}" for key in limits if key != "memory"]
    kept += [key for key in resources.mapping if key != "limits"]
    return [f"containers[0].resources.{key}" for key in kept]


def _check_restart_policy(kind: str, pod: YamlNode, path: str, findings: Findings) -> None:
    policy = text_at(pod, "restartPolicy")
    if kind == "inference" or policy == "Never":
        return
    line = pod.key_lines.get("restartPolicy", pod.line)
    if policy == "Always":
        findings.warning(
            "restart-policy",
            line,
            f"{path}.restartPolicy",
            "Always restarts a worker that has finished, so on a cluster the stage never "
            "completes: write Never",
        )
    else:
        findings.note(
            "restart-policy",
            line,
            f"{path}.restartPolicy",
            f"{'OnFailure' if policy else 'OnFailure, the default,'} restarts a crashed script "
            "in place on a cluster, and the stage never fails; here it fails at once, as with "
            "Never",
        )


def _check_environment(kind: str, container: YamlNode, path: str, findings: Findings) -> None:
    env = container.get("env")
    seen: dict[str, int] = {}
    for index, variable in enumerate(env.items if env is not None else []):
        name = text_at(variable, "name")
        if name is None:
            continue
        where = f"{path}[{index}]"
        if name in seen:
            findings.warning(
                "duplicate",
                variable.line,
                where,
                f"{name} is set a second time (first in line {seen[name]})",
            )
        seen[name] = variable.line
        if name in INJECTED:
            findings.warning(
                "overwritten",
                variable.line,
                where,
                f"{name} is overwritten where Sedna sets it itself",
            )
        if meant := _meant(name):
            findings.warning(
                "unknown-name",
                variable.line,
                where,
                f"{name} is none of the known settings (did you mean {meant!r}?): it is ignored, "
                "unless the script itself reads it",
            )
        if variable.get("valueFrom") is not None:
            findings.warning(
                "unsupported",
                variable.line,
                where,
                f"{name} is not set here: valueFrom needs a cluster",
            )
        value = text_at(variable, "value")
        if name == "BACKEND_TYPE" and value and value.upper() not in BACKENDS:
            findings.warning(
                "unknown-name",
                variable.line,
                where,
                f"BACKEND_TYPE {value!r} is none of {', '.join(BACKENDS)}"
                f"{did_you_mean(value.upper(), BACKENDS)}",
            )
    if "BACKEND_TYPE" not in seen:
        findings.note(
            "missing-value",
            env.line if env is not None else container.line,
            path,
            f"sets no BACKEND_TYPE: unless the {kind} script does, KubeEdge's library takes "
            "TENSORFLOW",
        )


def _meant(name: str) -> str | None:
    """Return the setting of which a variable's name is a misspelling, if it is one."""
    known = SETTINGS | INJECTED
    if name in known or len(name) > LONGEST_NAME:
        return None
    return next(iter(get_close_matches(name.upper(), sorted(known), n=1, cutoff=LIKENESS)), None)


def _check_expansions(container: YamlNode, path: str, findings: Findings) -> None:
    env = container.get("env")
    nodes = [variable.get("value") for variable in (env.items if env is not None else [])]
    for key in ("command", "args"):
        words = container.get(key)
        nodes += words.items if words is not None else []
    for node in nodes:
        if node is not None and isinstance(node.value, str) and "$(" in node.value:
            findings.warning(
                "unsupported",
                node.line,
                path,
                f"{node.value!r}: Kubernetes expands $(NAME), one machine does not",
            )
