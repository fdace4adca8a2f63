"""A network ready to predict, whose weights can be exchanged between two predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Tensor, float32
from numpy.typing import NDArray

from sedna_tinyms.errors import ModelFileError
from sedna_tinyms.tinyms.model import load_weights
from sedna_tinyms.tinyms.model.parameters import set_value
from sedna_tinyms.tinyms.serving.architectures import ARCHITECTURES, Blueprint, build_network

__all__ = ["Network"]


class Network:
    """A network that is compiled once, for any number of pictures at a time.

    MindSpore allows one compilation or execution in a process at a time, so every method runs on
    the thread of the `Runner`.

    Parameters
    ----------
    blueprint : Blueprint
        What to build.

    Raises
    ------
    SednaTinyMSError
        If it cannot be built.
    """

    def __init__(self, blueprint: Blueprint) -> None:
        self.blueprint = blueprint
        self._cell = build_network(blueprint)
        self._cell.set_train(False)
        # A free batch axis costs 2 ms a call against a fixed one, and saves a compilation of
        # seconds for each number of pictures.
        self._cell.set_inputs(Tensor(shape=[None, *blueprint.input_shape], dtype=float32))

    def load(self, checkpoint: Path) -> None:
        """Take the weights of a file, or keep the present ones if they prove unusable.

        Raises
        ------
        ModelFileError
            If the file is broken, belongs to another network, or gives outputs that are no
            numbers.
        """
        parameters = list(self._cell.get_parameters())
        present = [parameter.asnumpy().copy() for parameter in parameters]
        load_weights(self._cell, checkpoint)
        try:
            self._check()
        except ModelFileError:
            for parameter, array in zip(parameters, present, strict=True):
                set_value(parameter, array)
            raise

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the outputs for a batch; several are joined along their last axis."""
        outputs: Any = self._cell(Tensor(batch))
        if isinstance(outputs, tuple):
            return np.concatenate([output.asnumpy() for output in outputs], axis=-1)
        return np.asarray(outputs.asnumpy())

    def _check(self) -> None:
        """Predict for two made-up pictures, which also compiles the network."""
        batch = np.zeros((2, *self.blueprint.input_shape), np.float32)
        batch[1] = np.linspace(-2.0, 2.0, batch[1].size).reshape(batch[1].shape)
        output = self(batch)
        if not np.isfinite(output).all():
            raise ModelFileError(
                "with these weights the network's outputs are NaN or infinite: the training that "
                "wrote them diverged",
                code="not-finite",
            )
        classes = (2, self.blueprint.class_num)
        if output.shape != classes and not ARCHITECTURES[self.blueprint.architecture].detects:
            raise ModelFileError(
                f"the outputs have the shape {output.shape}, not {classes}",
                code="wrong-shape",
                value=output.shape,
                expected=classes,
            )
