"""OpenVINO: often the fastest engine on x86-64, above all in bfloat16."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.engine.choice import Choice
from sedna_tinyms.engine.compiled import compiled_model
from sedna_tinyms.engine.engine import Engine
from sedna_tinyms.engine.onnx_file import DTYPES, OnnxFile
from sedna_tinyms.errors import ModelFileError, extra
from sedna_tinyms.onednn import LIMIT

__all__ = ["OpenVinoEngine"]

_starting = threading.Lock()


class OpenVinoEngine(Engine):
    """Runs an ONNX file with OpenVINO on the CPU, in float32 or bfloat16.

    Raises
    ------
    MissingExtraError
        If OpenVINO is not installed.
    ModelFileError
        If it cannot load the model.
    """

    name = "openvino"

    def __init__(self, model: OnnxFile, choice: Choice) -> None:
        shape, dtype = model.input.shape[1:], DTYPES[model.input.element_type]
        super().__init__(choice, shape, dtype, model.output_shapes, model.metadata)
        with _all_instructions(), extra("openvino", "the engine openvino"):
            import openvino

            core = openvino.Core()
            options = {
                "INFERENCE_PRECISION_HINT": choice.precision,
                "INFERENCE_NUM_THREADS": choice.threads,
                "PERFORMANCE_HINT": "LATENCY",
                "ENABLE_CPU_PINNING": False,  # decoding needs the cores too
            }
            try:
                compiled = compiled_model(core, model.content, options, openvino.__version__)
                self._request = compiled.create_infer_request()
                # oneDNN looks at the limit when its first operator is made: now, not later.
                self._request.infer([np.zeros((1, *shape), dtype)], share_inputs=True)
            except RuntimeError as error:
                raise ModelFileError(
                    f"OpenVINO cannot load {model.source}: {_reason(error)}",
                    code="unsupported",
                    engine=self.name,
                ) from error
        self._running = threading.Lock()

    def _compute(self, inputs: NDArray[Any]) -> list[NDArray[Any]]:
        with self._running:  # a request holds the outputs of one run
            results = self._request.infer([inputs], share_inputs=True)
            return [results[name] for name in self.output_names]

    def close(self) -> None:
        """Give the model's memory back."""
        super().close()
        self._request = None


def _reason(error: RuntimeError) -> str:
    """Return what OpenVINO says, without the places in its source code."""
    lines = (line.strip() for line in str(error).splitlines())
    return " ".join(line for line in lines if line and not line.startswith(("Exception", "Check")))


@contextmanager
def _all_instructions() -> Iterator[None]:
    """Set aside the limit on oneDNN's instructions that MindSpore needs.

    OpenVINO brings a oneDNN of its own, without the fault that the limit is for; limited to AVX2 it
    has no bfloat16.
    """
    with _starting:
        limit = os.environ.pop(LIMIT, None)
        try:
            yield
        finally:
            if limit is not None:
                os.environ[LIMIT] = limit
