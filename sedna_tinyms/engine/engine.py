"""The one face of all engines: arrays in, named arrays out, checked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.engine.choice import Choice
from sedna_tinyms.errors import ConfigurationError, ModelFileError, SednaTinyMSError

__all__ = ["Engine"]


class Engine(ABC):
    """A model ready to run.

    Several threads may call `run` at once. An engine is a context manager that closes itself.

    Attributes
    ----------
    name : {"onnxruntime", "openvino", "mindspore"}
        What computes.
    choice : Choice
        The engine, precision and threads, and why these.
    input_shape : tuple of int
        Shape of one sample, without the batch axis.
    input_dtype : numpy.dtype
        float32, or uint8 where the model normalizes pixels itself.
    output_shapes : mapping of str to tuple of int
        Shape of each output for one sample; -1 for an axis whose length the file does not tell.
    metadata : mapping of str to str
        What the model file says about itself.
    """

    name: str
    samples_at_once = 4
    """Computed together. MobileNetV2 at 224 pixels takes a quarter longer a sample with 16,
    whose activations no longer fit into the processor's cache, and 150 MB more."""

    def __init__(
        self,
        choice: Choice,
        input_shape: tuple[int, ...],
        input_dtype: np.dtype[Any],
        output_shapes: Mapping[str, tuple[int, ...]],
        metadata: Mapping[str, str],
    ) -> None:
        self.choice = choice
        self.input_shape = input_shape
        self.input_dtype = input_dtype
        self.output_shapes = output_shapes
        self.metadata = metadata
        self._closed = False

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of the outputs, in the model's order."""
        return tuple(self.output_shapes)

    def run(self, inputs: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """Compute the outputs of some samples.

        Parameters
        ----------
        inputs : ndarray, shape ``(N, *input_shape)``, of input_dtype
            N is 1 or more.

        Returns
        -------
        dict of str to ndarray of float32, shape (N, ...)
            Each output by its name.

        Raises
        ------
        ConfigurationError
            If `inputs` has another shape or dtype or holds NaN or infinity, or the engine is
            closed.
        ModelFileError
            If the model opened, but cannot be computed: its layers do not fit together.
        """
        self.check(inputs)
        inputs = np.ascontiguousarray(inputs)
        try:
            parts = [
                self._compute(inputs[start : start + self.samples_at_once])
                for start in range(0, len(inputs), self.samples_at_once)
            ]
        except SednaTinyMSError:
            raise
        except Exception as error:  # each engine has errors of its own
            raise ModelFileError(
                f"{self.name} cannot compute this model: {error}",
                code="unsupported",
                engine=self.name,
            ) from error
        return {
            name: np.concatenate(arrays).astype(np.float32, copy=False)
            for name, *arrays in zip(self.output_names, *parts, strict=True)
        }

    @abstractmethod
    def _compute(self, inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """Return the outputs of at most `samples_at_once` checked samples, in the model's order."""

    def close(self) -> None:
        """Give the model's memory back; the engine cannot run any more."""
        self._closed = True

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def check(self, inputs: NDArray[Any]) -> None:
        """Refuse what `run` does not take, with the errors of `run`."""
        if self._closed:
            raise ConfigurationError(
                f"this {self.name} engine is closed: open the model again",
                code="closed",
                engine=self.name,
            )
        if not isinstance(inputs, np.ndarray):
            raise ConfigurationError(
                f"the inputs are a {type(inputs).__name__}; they must be a numpy array of "
                f"{self.input_dtype}",
                code="wrong-type",
                value=type(inputs).__name__,
                expected=str(self.input_dtype),
            )
        if inputs.dtype != self.input_dtype:
            raise ConfigurationError(
                f"the inputs are {inputs.dtype}; this model takes {self.input_dtype}",
                code="wrong-type",
                value=str(inputs.dtype),
                expected=str(self.input_dtype),
            )
        if inputs.shape[1:] != self.input_shape or not len(inputs):
            wanted = ", ".join(map(str, ("N", *self.input_shape)))
            raise ConfigurationError(
                f"the inputs have the shape {inputs.shape}; this model takes ({wanted}) with N of "
                "1 or more",
                code="wrong-shape",
                value=inputs.shape,
                expected=self.input_shape,
            )
        if inputs.dtype == np.float32:
            _check_finite(inputs)


def _check_finite(inputs: NDArray[np.float32]) -> None:
    # NaN and infinity survive a sum, which is much cheaper to look at than every value.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(inputs.sum()):
            return
    bad = np.flatnonzero(~np.isfinite(inputs).reshape(len(inputs), -1).all(axis=1))
    if len(bad):
        raise ConfigurationError(
            f"sample {bad[0]} of {len(inputs)} holds NaN or infinity"
            + (f", and so do {len(bad) - 1} more" if len(bad) > 1 else ""),
            code="not-finite",
            samples=bad.tolist(),
        )
