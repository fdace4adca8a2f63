"""What every job does: wrap the estimator, know its place, report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sedna_tinyms.errors import ConfigurationError, SednaTinyMSError
from sedna_tinyms.sedna.backend import set_backend
from sedna_tinyms.sedna.common.class_factory import ClassFactory, ClassType
from sedna_tinyms.sedna.common.config import BaseConfig, Context
from sedna_tinyms.sedna.common.constant import K8sResourceKind
from sedna_tinyms.sedna.common.file_ops import FileOps
from sedna_tinyms.sedna.common.log import LOGGER
from sedna_tinyms.sedna.core.hot_update import ModelLoadingThread
from sedna_tinyms.sedna.service.client import PATIENCE_SECONDS, LCClient

__all__ = ["JobBase", "ModelLoadingThread"]

STANDALONE_PATIENCE_SECONDS = 1.0
"""For a report where no controller was announced: nobody is likely to listen."""


class JobBase:
    """Base of the jobs.

    Parameters
    ----------
    estimator : object
        The user's estimator, or its class; it is wrapped in the backend that ``BACKEND_TYPE``
        names.
    config : mapping, optional
        Settings that override the environment's.
    """

    parameters = Context

    def __init__(self, estimator: Any, config: Mapping[str, Any] | None = None) -> None:
        self.config = BaseConfig()
        if config:
            self.config.from_json(config)
        self.estimator = set_backend(estimator=estimator, config=self.config)
        self.job_kind = K8sResourceKind.DEFAULT.value
        self.job_name = self.config.job_name or self.config.service_name
        self.worker_name = self.config.worker_name or self.job_name
        self.namespace = self.config.namespace or self.job_name
        self.lc_server = self.config.lc_server
        self.model_load_mode = Context.get_parameters("MODEL_LOAD_MODE", "file")
        if str(Context.get_parameters("MODEL_HOT_UPDATE", "false")).lower() == "true":
            ModelLoadingThread(self.estimator, self.report_task_info).start()

    @property
    def model_path(self) -> str:
        """Where the model of this worker is, or is to be."""
        url = self.config.model_url
        if not url:
            raise ConfigurationError(
                "MODEL_URL is not set: it names the model, or the directory for it",
                code="missing-value",
                name="MODEL_URL",
            )
        if self.model_load_mode != "file" or Path(url).is_file():
            return str(url)
        return str(
            Context.get_parameters("model_path")
            or FileOps.join_path(url, self.estimator.model_name)
        )

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train; each kind of job does it in its own way."""
        raise NotImplementedError

    def get_parameters(self, param: str, default: Any = None) -> Any:
        """Return a parameter of the job's template, or `default`."""
        return Context.get_parameters(param, default)

    def report_task_info(
        self,
        task_info: Mapping[str, Any] | None,
        status: str,
        results: Sequence[Mapping[str, Any]] | None = None,
        kind: str = "train",
    ) -> None:
        """Tell the LocalController how a stage went.

        A report that cannot be delivered, after attempts for half a minute, is an error in the
        log and not the end of the worker: what it made is on the disk.
        """
        message: dict[str, Any] = {
            "name": self.worker_name,
            "namespace": self.namespace,
            "ownerName": self.job_name,
            "ownerKind": self.job_kind,
            "kind": kind,
            "status": status,
        }
        if results:
            message["results"] = list(results)
        if task_info:
            message["ownerInfo"] = dict(task_info)
        announced = Context.get_parameters("LC_SERVER")
        patience = PATIENCE_SECONDS if announced else STANDALONE_PATIENCE_SECONDS
        try:
            LCClient.send(self.lc_server, self.worker_name, message, patience=patience)
        except SednaTinyMSError as error:
            LOGGER.error(
                "the report %s %s of %s is lost: %s", kind, status, self.worker_name, error
            )


def find_callback(post_process: Any) -> Callable[[Any], Any] | None:
    """Return a callback: the callable itself, or what is registered under a name.

    Raises
    ------
    ConfigurationError
        If nothing is registered under the name.
    """
    if post_process is None or callable(post_process):
        return post_process  # type: ignore[no-any-return]
    return ClassFactory.get_cls(ClassType.CALLBACK, str(post_process))
