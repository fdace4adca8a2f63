"""What a worker finds in its environment: the same variables that GlobalManager injects.

The order is Kubernetes' own, later ones win: what a process needs to run at all (from the
runner's environment, as an image would bring it), the template's ``env``, then Sedna's variables.
Values that hold paths hold local ones, below ``DATA_PATH_PREFIX`` = ``--root``, as they lie below
``/home/data`` in a container; the worker library cuts the prefix off what it reports.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence

from sedna_tinyms.artifact.signing import SIGNING_KEY
from sedna_tinyms.heartbeat import HEARTBEAT
from sedna_tinyms.jobs.manifest.spec import HardExampleMining, WorkerTemplate
from sedna_tinyms.jobs.workers.processes import NAME, OUTPUT
from sedna_tinyms.onednn import limit_instruction_set

__all__ = [
    "common_variables",
    "eval_variables",
    "inference_variables",
    "train_variables",
    "worker_environment",
]

INHERITED = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TZ", "TMPDIR"),
        *("XDG_CACHE_HOME", "XDG_RUNTIME_DIR"),
        *("LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_NUMERIC", "LC_TIME", "LC_MESSAGES"),
        *("VIRTUAL_ENV", "CONDA_PREFIX", "LD_LIBRARY_PATH", "LD_PRELOAD"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
        *("S3_ENDPOINT_URL", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"),
    }
)
"""Taken over from the runner; the last three stand in for the Secret of an s3 url."""

INHERITED_PREFIXES = (
    *("PYTHON", "SEDNA_TINYMS_"),
    *("ONEDNN_", "DNNL_", "OMP_", "KMP_", "MKL_", "OPENBLAS_", "GOMP_"),
    *("MS_", "GLOG_", "CUDA_", "NVIDIA_", "ASCEND_", "ORT_", "OPENVINO_"),
)

PROXIES = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


def worker_environment(
    template: WorkerTemplate,
    variables: Mapping[str, str],
    inherited: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Put a worker's whole environment together.

    Parameters
    ----------
    template : WorkerTemplate
        Its ``env`` is what the YAML says.
    variables : mapping
        Sedna's variables: `common_variables` and those of the worker's kind.
    inherited : mapping, optional
        Where the process's own variables are taken from; this process's by default. What the
        user set for numerics and devices passes (``OMP_*``, ``ONEDNN_*``, ``CUDA_*`` ...), a
        stray ``MODEL_URL`` of the shell does not.
    """
    source = os.environ if inherited is None else inherited
    environment = {
        name: value
        for name, value in source.items()
        if name in INHERITED or name.startswith(INHERITED_PREFIXES)
    }
    environment.pop(SIGNING_KEY, None)  # the runner signs; a worker script has no need to
    environment.setdefault("PYTHONUNBUFFERED", "1")  # a log that can be followed
    environment |= template.env
    environment |= variables
    if any(environment.get(name) for name in PROXIES):
        _reach_loopback_directly(environment)
    limit_instruction_set(environment)
    return environment


def common_variables(
    *, namespace: str, job: str, worker: str, lc_server: str, prefix: str, output: str
) -> dict[str, str]:
    """Return what every worker gets; `prefix` is what to cut off a path to report it.

    The directory that the job writes to, `output`, is not Sedna's.
    """
    return {
        "NAMESPACE": namespace,
        "JOB_NAME": job,
        NAME: worker,
        "LC_SERVER": lc_server,
        "DATA_PATH_PREFIX": prefix,
        OUTPUT: output,
    }


def train_variables(
    *, base_model: str, model_directory: str, samples: str, dataset: str
) -> dict[str, str]:
    """Return what a train worker gets: where to start from, what to learn, where to write."""
    return {
        "BASE_MODEL_URL": base_model,
        "MODEL_URL": model_directory,
        "TRAIN_DATASET_URL": samples,
        "ORIGINAL_DATASET_URL": dataset,
    }


def eval_variables(*, models: Sequence[str], samples: str, dataset: str) -> dict[str, str]:
    """Return what an eval worker gets; of `models` the new one comes first."""
    return {
        "MODEL_URLS": ";".join(models),
        "TEST_DATASET_URL": samples,
        "ORIGINAL_DATASET_URL": dataset,
    }


def inference_variables(
    *,
    model: str,
    hard_example_mining: HardExampleMining,
    heartbeat: str,
    hot_update_config: str | None = None,
    poll_period_seconds: int = 60,
) -> dict[str, str]:
    """Return what the inference worker gets; a `hot_update_config` turns hot updates on.

    The file of its `heartbeat` is not Sedna's.
    """
    parameters = [{"key": key, "value": value} for key, value in hard_example_mining.parameters]
    variables = {
        "MODEL_URL": model,
        "HEM_NAME": hard_example_mining.name,
        "HEM_PARAMETERS": json.dumps(parameters or None),
        HEARTBEAT: heartbeat,
    }
    if hot_update_config is not None:
        variables |= {
            "MODEL_HOT_UPDATE": "true",
            "MODEL_POLL_PERIOD_SECONDS": str(poll_period_seconds),
            "MODEL_HOT_UPDATE_CONFIG": hot_update_config,
        }
    return variables


def _reach_loopback_directly(environment: dict[str, str]) -> None:
    """Keep reports to the runner away from the user's proxy."""
    for name in ("NO_PROXY", "no_proxy"):
        hosts = [host for host in environment.get(name, "").split(",") if host]
        environment[name] = ",".join(dict.fromkeys([*hosts, "127.0.0.1", "localhost"]))
