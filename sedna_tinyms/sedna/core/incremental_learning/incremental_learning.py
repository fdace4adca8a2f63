"""The job that a train, eval or inference worker of an IncrementalLearningJob runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from sedna_tinyms.controller_metrics import plain_metrics
from sedna_tinyms.errors import ModelFileError
from sedna_tinyms.sedna.algorithms import hard_example_mining as _filters  # noqa: F401 - registers
from sedna_tinyms.sedna.common.class_factory import ClassFactory, ClassType
from sedna_tinyms.sedna.common.config import Context
from sedna_tinyms.sedna.common.constant import K8sResourceKind, K8sResourceKindStatus
from sedna_tinyms.sedna.common.file_ops import FileOps
from sedna_tinyms.sedna.core.base import JobBase, find_callback

__all__ = ["IncrementalLearning"]


class IncrementalLearning(JobBase):
    """An incremental-learning job, as its three workers see it.

    Parameters
    ----------
    estimator : object
        The user's estimator, or its class.
    hard_example_mining : mapping, optional
        ``{"method": name, "param": {...}}``; by default what ``HEM_NAME`` and ``HEM_PARAMETERS``
        say, and no mining without them.

    Examples
    --------
    ::

        job = IncrementalLearning(estimator=MyEstimator)
        job.train(train_data=data, epochs=3)
    """

    def __init__(
        self, estimator: Any, hard_example_mining: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(estimator)
        self.job_kind = K8sResourceKind.INCREMENTAL_JOB.value
        self.model_urls = Context.get_parameters("MODEL_URLS")
        self.hard_example_mining_algorithm = _build_filter(
            hard_example_mining or self.get_hem_algorithm_from_config()
        )

    @classmethod
    def get_hem_algorithm_from_config(cls, **param: Any) -> dict[str, Any]:
        """Return the filter that the job's YAML names, with `param` over its parameters."""
        return Context.get_algorithm_from_api("HEM", **param)

    def train(
        self, train_data: Any, valid_data: Any = None, post_process: Any = None, **kwargs: Any
    ) -> Any:
        """Train, save the model below ``MODEL_URL`` and report it.

        Parameters
        ----------
        train_data, valid_data : object
            Whatever the estimator takes.
        post_process : callable or str, optional
            Called with the backend; a name stands for a registered callback.
        **kwargs
            For the estimator's `train`.

        Returns
        -------
        object
            The backend, or what `post_process` made of it.

        Raises
        ------
        MetricsError
            If training returned metrics that cannot be reported; no model is saved then.
        """
        callback = find_callback(post_process)
        target = self.model_path
        FileOps.clean_folder([self.config.model_url], clean=False)
        result = self.estimator.train(train_data=train_data, valid_data=valid_data, **kwargs)
        metrics = {} if result is None else plain_metrics(result, source="train")
        model = self.estimator.save(target)
        infos = self.estimator.model_info(
            model, result=metrics, relpath=self.config.data_path_prefix
        )
        self.report_task_info(None, K8sResourceKindStatus.COMPLETED.value, infos)
        return self.estimator if callback is None else callback(self.estimator)

    def evaluate(self, data: Any, post_process: Any = None, **kwargs: Any) -> list[Any]:
        """Evaluate every model of ``MODEL_URLS`` (``new;old``), in order, and report them.

        Parameters
        ----------
        data : object
            Whatever the estimator takes.
        post_process : callable or str, optional
            Called with each result, to make metrics of it.
        **kwargs
            For the estimator's `evaluate`, which also gets `model_path`.

        Returns
        -------
        list of dict
            ``{"format", "url", "metrics"}`` of each model.

        Raises
        ------
        ModelFileError
            If one of the models is missing.
        MetricsError
            If a result is not metrics that a controller can compare; nothing is reported then.
        """
        callback = find_callback(post_process)
        infos = [self._evaluate_one(url, data, callback, kwargs) for url in self._models()]
        self.report_task_info(None, K8sResourceKindStatus.COMPLETED.value, infos, kind="eval")
        return infos

    def inference(
        self, data: Any = None, post_process: Any = None, **kwargs: Any
    ) -> tuple[Any, Any, bool]:
        """Predict, and tell whether it was a hard example.

        Parameters
        ----------
        data : object
            Whatever the estimator takes.
        post_process : callable or str, optional
            Called with a copy of the result; what it returns goes to the filter.
        **kwargs
            For the estimator's `predict`.

        Returns
        -------
        tuple
            The result, the processed result, and whether the example is hard. To keep it for
            labelling is the script's business.
        """
        if not self.estimator.has_load:
            self.estimator.load(self._model_to_serve())
        result = self.estimator.predict(data, **kwargs)
        callback = find_callback(post_process)
        processed = result if callback is None else callback(deepcopy(result))
        mine = self.hard_example_mining_algorithm
        return result, processed, mine is not None and bool(mine(processed))

    def _evaluate_one(
        self, url: str, data: Any, callback: Callable[[Any], Any] | None, kwargs: dict[str, Any]
    ) -> Any:
        if not FileOps.is_remote(url) and not FileOps.exists(url):
            raise ModelFileError(
                f"the model to evaluate, {url}, does not exist", code="missing-file", path=url
            )
        self.estimator.model_save_path = url
        result = self.estimator.evaluate(data=data, model_path=url, **kwargs)
        metrics = plain_metrics(
            result if callback is None else callback(result), source=f"evaluate, for {url},"
        )
        info = self.estimator.model_info(url, result=metrics, relpath=self.config.data_path_prefix)
        return info[0] if isinstance(info, list) and info else info

    def _models(self) -> list[str]:
        named = self.model_urls or self.config.model_url or ""
        return [url for part in named.split(";") if (url := part.strip())]

    def _model_to_serve(self) -> str:
        url = self.config.model_url
        if url and not FileOps.is_remote(url) and not FileOps.exists(url):
            raise ModelFileError(
                f"MODEL_URL names {url}, which does not exist", code="missing-file", path=url
            )
        return self.model_path


def _build_filter(spec: Mapping[str, Any] | None) -> Callable[[Any], bool] | None:
    if not spec:
        return None
    kind = ClassFactory.get_cls(ClassType.HEM, spec.get("method", "IBT"))
    built: Callable[[Any], bool] = kind(**(spec.get("param") or {}))
    return built
