"""Sedna's resources of an incremental-learning job, field by field.

Group ``sedna.io``, version ``v1alpha1``. Required is what Sedna's CRDs require; a check that they
do not make says so in its message.
"""

from __future__ import annotations

import re

from sedna_tinyms.errors import JobSpecError, Problem, did_you_mean
from sedna_tinyms.jobs.manifest.schema import (
    Anything,
    Boolean,
    Field,
    Integer,
    ListOf,
    MapOf,
    Number,
    Object,
    Quantity,
    Text,
)
from sedna_tinyms.jobs.paths import check_host_path
from sedna_tinyms.jobs.triggers import METRIC, OPERATORS

__all__ = [
    "API_VERSION",
    "CONTAINER_IGNORED",
    "POD_IGNORED",
    "SCHEMAS",
]

API_VERSION = "sedna.io/v1alpha1"

DNS_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
NAME = re.compile(rf"{DNS_LABEL}(?:\.{DNS_LABEL})*")
ENVIRONMENT_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
CLOCK = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")


def _name_problem(name: str) -> Problem | None:
    if len(name) <= 253 and NAME.fullmatch(name):
        return None
    return Problem(
        f"{name[:80]!r} is no name to Kubernetes: lower-case letters, digits, '-' and '.', "
        "at most 253 of them, with a letter or digit at both ends",
        code="invalid-value",
    )


def _url_problem(url: str) -> Problem | None:
    try:
        path = check_host_path(url)
    except JobSpecError as error:
        return Problem(str(error), code=error.code)
    if path.name:
        return None
    return Problem(
        f"{url!r} names no file: write a path such as '/data/train.txt'", code="not-a-file"
    )


def _dataset_format_problem(text: str) -> Problem | None:
    if text == "txt":
        return None
    return Problem(
        f"{text!r} never trains: Sedna's LocalController writes samples of the format 'txt' only "
        "(the CRD does not check this). Write one sample a line into a text file",
        code="unknown-format",
    )


def _train_prob_problem(value: float) -> Problem | None:
    if 0 < value < 1:
        return None
    left = "train on" if value <= 0 else "evaluate with"
    return Problem(
        f"is {value}; it must lie between 0 and 1, both excluded, or nothing is left to {left} "
        "(the CRD does not check this)",
        code="out-of-range",
    )


def _operator_problem(text: str) -> Problem | None:
    if text in OPERATORS:
        return None
    return Problem(
        f"{text!r} is no operator, and Sedna would take it as never met: it knows "
        f"{', '.join(OPERATORS)}{did_you_mean(text, OPERATORS)}",
        code="unknown-name",
    )


def _metric_problem(text: str) -> Problem | None:
    if METRIC.fullmatch(text):
        return None
    return Problem(
        f"{text!r} is no metric: write a name, or a name with an index counted from 0, such as "
        "accuracy_delta[0] (Sedna's LocalController crashes on a broken index)",
        code="invalid-value",
    )


def _start_problem(text: str) -> Problem | None:
    if CLOCK.fullmatch(text):
        return None
    return Problem(
        f"{text!r} is no time of day: write HH:MM with two digits each, such as 02:00",
        code="invalid-value",
    )


def _end_problem(text: str) -> Problem | None:
    return None if text == "24:00" else _start_problem(text)


def _environment_name_problem(text: str) -> Problem | None:
    if ENVIRONMENT_NAME.fullmatch(text):
        return None
    return Problem(
        f"{text!r} is no name of an environment variable: letters, digits, '_', '-' and '.'",
        code="invalid-value",
    )


def _choice(*choices: str) -> Text:
    def problem(text: str) -> Problem | None:
        if text in choices:
            return None
        return Problem(
            f"{text!r} is not one of {', '.join(choices)}{did_you_mean(text, choices)}",
            code="unknown-name",
        )

    return Text(problem)


def _passed_over(names: str) -> dict[str, Field]:
    return {name: Field(Anything()) for name in names.split()}


# What Kubernetes knows of a pod and has no meaning for a process on one machine.
CONTAINER_IGNORED = _passed_over(
    "envFrom imagePullPolicy lifecycle livenessProbe ports readinessProbe resizePolicy "
    "restartPolicy restartPolicyRules securityContext startupProbe stdin stdinOnce "
    "terminationMessagePath terminationMessagePolicy tty volumeDevices volumeMounts workingDir"
)
POD_IGNORED = _passed_over(
    "affinity automountServiceAccountToken dnsConfig dnsPolicy enableServiceLinks "
    "ephemeralContainers hostAliases hostIPC hostNetwork hostPID hostUsers hostname "
    "hostnameOverride imagePullSecrets initContainers nodeName nodeSelector os overhead "
    "preemptionPolicy priority priorityClassName readinessGates resourceClaims resources "
    "runtimeClassName schedulerName schedulingGates securityContext serviceAccount "
    "serviceAccountName setHostnameAsFQDN shareProcessNamespace subdomain tolerations "
    "topologySpreadConstraints volumes"
)

LABELS = Field(MapOf(Text(may_be_empty=True)))
METADATA_IGNORED = _passed_over(
    "creationTimestamp deletionGracePeriodSeconds deletionTimestamp finalizers generateName "
    "generation managedFields ownerReferences resourceVersion selfLink uid"
)
METADATA = Object(
    {
        "name": Field(Text(_name_problem), required=True),
        "namespace": Field(Text(_name_problem)),
        "labels": LABELS,
        "annotations": LABELS,
        **METADATA_IGNORED,
    }
)
POD_METADATA = Object(
    {
        "name": Field(Text()),
        "namespace": Field(Text()),
        "labels": LABELS,
        "annotations": LABELS,
        **METADATA_IGNORED,
    }
)

ENVIRONMENT_VARIABLE = Object(
    {
        "name": Field(Text(_environment_name_problem), required=True),
        "value": Field(Text(may_be_empty=True)),
        "valueFrom": Field(
            Object(
                _passed_over("configMapKeyRef fieldRef fileKeyRef resourceFieldRef secretKeyRef")
            )
        ),
    }
)
CONTAINER = Object(
    {
        "name": Field(Text(), required=True),
        "image": Field(Text()),
        "command": Field(ListOf(Text(may_be_empty=True))),
        "args": Field(ListOf(Text(may_be_empty=True))),
        "env": Field(ListOf(ENVIRONMENT_VARIABLE)),
        "resources": Field(
            Object(
                {
                    "limits": Field(MapOf(Quantity())),
                    "requests": Field(MapOf(Quantity())),
                    "claims": Field(Anything()),
                }
            )
        ),
        **CONTAINER_IGNORED,
    }
)
POD_TEMPLATE = Object(
    {
        "metadata": Field(POD_METADATA),
        "spec": Field(
            Object(
                {
                    "containers": Field(ListOf(CONTAINER, least=1), required=True),
                    "restartPolicy": Field(_choice("Always", "OnFailure", "Never")),
                    "activeDeadlineSeconds": Field(Integer(least=1)),
                    "terminationGracePeriodSeconds": Field(Integer()),
                    **POD_IGNORED,
                }
            ),
            required=True,
        ),
    }
)

TRIGGER = Object(
    {
        "checkPeriodSeconds": Field(Integer()),
        "timer": Field(
            Object(
                {
                    "start": Field(Text(_start_problem), required=True),
                    "end": Field(Text(_end_problem), required=True),
                }
            )
        ),
        "condition": Field(
            Object(
                {
                    "operator": Field(Text(_operator_problem), required=True),
                    "threshold": Field(Number(), required=True),
                    "metric": Field(Text(_metric_problem), required=True),
                }
            ),
            required=True,
        ),
    }
)

REFERENCE = Object({"name": Field(Text(), required=True)})
HARD_EXAMPLE_MINING = Object(
    {
        "name": Field(Text(), required=True),
        "parameters": Field(
            ListOf(
                Object(
                    {
                        "key": Field(Text(), required=True),
                        "value": Field(Text(may_be_empty=True), required=True),
                    }
                )
            )
        ),
    }
)

DATASET_SPEC = Object(
    {
        "url": Field(Text(_url_problem), required=True),
        "format": Field(Text(_dataset_format_problem), required=True),
        "nodeName": Field(Text(), required=True),
        "credentialName": Field(Text(may_be_empty=True)),
    }
)
MODEL_SPEC = Object(
    {
        "url": Field(Text(_url_problem), required=True),
        "format": Field(Text(), required=True),
        "device_soc_versions": Field(ListOf(Text())),
        "credentialName": Field(Text(may_be_empty=True)),
    }
)
JOB_SPEC = Object(
    {
        "dataset": Field(
            Object(
                {
                    "name": Field(Text(), required=True),
                    "trainProb": Field(Number(_train_prob_problem), required=True),
                }
            ),
            required=True,
        ),
        "initialModel": Field(REFERENCE, required=True),
        "trainSpec": Field(
            Object(
                {
                    "template": Field(POD_TEMPLATE, required=True),
                    "trigger": Field(TRIGGER, required=True),
                }
            ),
            required=True,
        ),
        "evalSpec": Field(
            Object(
                {
                    "template": Field(POD_TEMPLATE, required=True),
                    "initialEvalModel": Field(REFERENCE),
                }
            ),
            required=True,
        ),
        "deploySpec": Field(
            Object(
                {
                    "model": Field(
                        Object(
                            {
                                "name": Field(Text(), required=True),
                                "hotUpdateEnabled": Field(Boolean()),
                                "pollPeriodSeconds": Field(Integer(least=1)),
                            }
                        ),
                        required=True,
                    ),
                    "trigger": Field(TRIGGER, required=True),
                    "hardExampleMining": Field(HARD_EXAMPLE_MINING, required=True),
                    "template": Field(POD_TEMPLATE, required=True),
                }
            ),
            required=True,
        ),
        "outputDir": Field(Text(_url_problem), required=True),
        "credentialName": Field(Text(may_be_empty=True)),
    }
)


def _resource(spec: Object) -> Object:
    return Object(
        {
            "apiVersion": Field(Text(), required=True),
            "kind": Field(Text(), required=True),
            "metadata": Field(METADATA, required=True),
            "spec": Field(spec, required=True),
            "status": Field(Anything()),
        }
    )


SCHEMAS = {
    "Dataset": _resource(DATASET_SPEC),
    "Model": _resource(MODEL_SPEC),
    "IncrementalLearningJob": _resource(JOB_SPEC),
}
"""The schema of every kind that makes up a job."""
