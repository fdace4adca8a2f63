"""An ONNX file is published once it has computed what its network computes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.artifact.files import write_file
from sedna_tinyms.engine import available_engines, open_engine
from sedna_tinyms.errors import ModelFileError

__all__ = ["check_onnx", "publish_onnx"]


def check_onnx(
    model: bytes,
    inputs: NDArray[Any],
    expected: Mapping[str, NDArray[Any]],
    *,
    tolerance: float = 1e-3,
) -> float:
    """Compute real samples with an ONNX model and compare with what its network gives.

    Parameters
    ----------
    model : bytes
        The ONNX file's content.
    inputs : ndarray, shape (N, ...)
        What the model takes.
    expected : mapping of str to ndarray
        Outputs by name, computed from the same samples by other means.
    tolerance : float
        The largest difference allowed, relative to the output's largest magnitude.

    Returns
    -------
    float
        The largest relative difference.

    Raises
    ------
    ModelFileError
        If it is above `tolerance`, or not a number; the message names it and the output.
    """
    # The lightest engine, in single precision: a check must not depend on which one is fastest.
    with open_engine(model, (*available_engines(), "onnxruntime")[0]) as engine:
        found = engine.run(inputs)
    largest = 0.0
    for name, wanted in expected.items():
        if name not in found or found[name].shape != wanted.shape:
            shown = found[name].shape if name in found else "missing"
            raise ModelFileError(
                f"the ONNX model is not published: its output {name!r} is {shown}, the network "
                f"gives {wanted.shape}",
                code="wrong-shape",
                name=name,
                value=shown,
                expected=wanted.shape,
            )
        scale = max(float(np.abs(wanted).max()), 1e-6)
        difference = float(np.abs(found[name] - wanted).max()) / scale
        if not difference <= tolerance:  # NaN is refused too
            raise ModelFileError(
                f"the ONNX model is not published: its output {name!r} differs from the network's "
                f"by up to {difference:.2g} of its largest value, {scale:.4g}; "
                f"{tolerance:.2g} is allowed",
                code="damaged",
                name=name,
                value=difference,
                expected=tolerance,
            )
        largest = max(largest, difference)
    return largest


def publish_onnx(
    model: bytes,
    path: str | os.PathLike[str],
    inputs: NDArray[Any],
    expected: Mapping[str, NDArray[Any]],
    *,
    tolerance: float = 1e-3,
) -> float:
    """Write a model that passes `check_onnx`, whole or not at all; return the difference.

    Raises
    ------
    ModelFileError
        If the model does not give what is expected; nothing is written.
    StorageError
        If the file cannot be written.
    """
    difference = check_onnx(model, inputs, expected, tolerance=tolerance)
    with write_file(path) as temporary:
        temporary.write_bytes(model)
    return difference
