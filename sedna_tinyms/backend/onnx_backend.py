"""The backend for estimators that run ONNX files, where there is no MindSpore."""

from __future__ import annotations

import ctypes
import logging
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from sedna_tinyms.backend.estimator_backend import EstimatorBackend
from sedna_tinyms.errors import ConfigurationError, ForeignModelError

__all__ = ["ONNXBackend"]

logger = logging.getLogger(__name__)

CHECKPOINTS = (".ckpt", ".npz", ".safetensors")


class ONNXBackend(EstimatorBackend):
    """`EstimatorBackend` that answers and evaluates, and learns nothing: ``BACKEND_TYPE=ONNX``.

    Predictions go on side by side, as the engines allow it, also while the next model is loaded.

    Parameters
    ----------
    estimator : class, callable or object
        With `predict`, `evaluate` and `load`, such as `estimators.OnnxClassifier`.
    fine_tune : bool
        As Sedna passes it; nothing is trained here.
    **kwargs
        What Sedna passes. Whatever device it names, the engines compute on the CPU.

    Raises
    ------
    ConfigurationError
        If `estimator` is none.
    """

    framework = "onnx"
    suffixes = (".onnx",)

    def __init__(self, estimator: Any, fine_tune: bool = True, **kwargs: Any) -> None:
        super().__init__(estimator, fine_tune, **kwargs)
        if self.use_cuda or self.use_npu:
            logger.warning(
                "DEVICE_CATEGORY is %s, but BACKEND_TYPE=ONNX computes on the CPU",
                kwargs.get("device_category") or ("GPU" if self.use_cuda else "NPU"),
            )

    def load(self, model_url: str = "", model_name: str | None = None, **kwargs: Any) -> Any:
        """Load a model as `EstimatorBackend.load`, and give the last one's memory back."""
        result = super().load(model_url, model_name, **kwargs)
        _return_free_memory()
        return result

    def train(self, train_data: Any, valid_data: Any = None, **kwargs: Any) -> NoReturn:  # noqa: ARG002
        """Refuse: an ONNX model is not trained.

        Raises
        ------
        ConfigurationError
            Always; the message says what to do.
        """
        _refuse("is not trained")

    def save(self, model_url: str = "", model_name: str | None = None) -> NoReturn:  # noqa: ARG002
        """Refuse: an ONNX model is written by the training.

        Raises
        ------
        ConfigurationError
            Always; the message says what to do.
        """
        _refuse("is not saved again")

    def _load_into(
        self,
        estimator: Any,
        path: Path,
        url: str,
        kwargs: dict[str, Any],
        *,
        to_train: bool = False,
    ) -> Any:
        if PurePosixPath(url).suffix in CHECKPOINTS:
            raise ForeignModelError(
                f"{url} is a checkpoint, and BACKEND_TYPE is ONNX: let the job's Model name the "
                ".onnx file beside it, with the format onnx, or give this worker "
                "BACKEND_TYPE=TINYMS, which needs MindSpore",
                code="unknown-format",
                path=url,
                expected=self.suffixes,
            )
        return super()._load_into(estimator, path, url, kwargs, to_train=to_train)


def _return_free_memory() -> None:
    """Hand what was freed to the system: glibc would keep a third of a small process to itself."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):  # another C library
        return


def _refuse(what: str) -> NoReturn:
    raise ConfigurationError(
        f"BACKEND_TYPE is ONNX, and an ONNX model {what}: let the train worker have "
        "BACKEND_TYPE=TINYMS, whose estimators write an .onnx file beside each checkpoint, and "
        "keep ONNX for evaluation and inference",
        code="unsupported",
        name="BACKEND_TYPE",
        value="ONNX",
    )
