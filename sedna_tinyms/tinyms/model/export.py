"""Networks for other runtimes: ONNX for those that need no MindSpore."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import mindspore.onnx
import numpy as np
from mindspore import Tensor, nn
from numpy.typing import NDArray

from sedna_tinyms.artifact.files import write_file
from sedna_tinyms.errors import extra
from sedna_tinyms.tinyms.model.modes import kept_modes
from sedna_tinyms.tinyms.model.onnx_check import check_onnx

__all__ = ["export_onnx", "for_export"]

BATCH_AXIS = "batch"


class _Exported(nn.Cell):  # type: ignore[misc]
    """A cell around a network, with the network's parameter names."""

    def __init__(self, network: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, x: Tensor) -> Tensor:
        """Return the network's output."""
        return self.network(x)


@contextmanager
def for_export(network: nn.Cell) -> Iterator[nn.Cell]:
    """Yield a cell that computes what `network` does in prediction; its modes come back after.

    The cell is a new one each time, because MindSpore exports one and the same cell as ONNX only
    once: exporting changes the graph that it keeps for the cell, and the next export fails on it.
    """
    with kept_modes(network):
        yield _Exported(network).set_train(False)


def export_onnx(
    network: nn.Cell,
    input_shape: Sequence[int],
    path: str | os.PathLike[str],
    metadata: Mapping[str, str | int | float] | None = None,
    samples: NDArray[np.float32] | None = None,
) -> None:
    """Write `network` as ONNX that takes any number of samples at once.

    Parameters
    ----------
    network : Cell
        A network with one input; it is exported as for prediction and left in its mode.
    input_shape : sequence of int
        Shape of one sample, without the batch axis: ``(3, 224, 224)``.
    path : path
        The file to write or replace, whole or not at all.
    metadata : mapping, optional
        Texts and numbers to store in the file's ``metadata_props``.
    samples : ndarray, shape ``(N, *input_shape)``, optional
        Real inputs: the file is written only if it computes what the network does.

    Raises
    ------
    MissingExtraError
        If the `onnx` package is not installed.
    ModelFileError
        If the file's outputs for `samples` are not the network's.
    StorageError
        If the file cannot be written.
    """
    with extra("mindspore", "exporting ONNX"):
        import onnx
    sample = Tensor(np.zeros((1, *input_shape), np.float32))
    with tempfile.TemporaryDirectory(prefix="sedna-tinyms-") as directory:
        written = Path(directory, "network.onnx")
        with for_export(network) as cell:
            mindspore.onnx.export(cell, sample, file_name=str(written))
        model = onnx.load(str(written))
    # MindSpore leaves the sample's batch of one in the shapes; the graph itself fits any.
    for value in (*model.graph.input[:1], *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH_AXIS
    for name, text in (metadata or {}).items():
        model.metadata_props.add(key=name, value=str(text))
    onnx.checker.check_model(model)
    content = model.SerializeToString()
    if samples is not None:
        with kept_modes(network):
            computed = network.set_train(False)(Tensor(samples))
        tensors = [computed] if isinstance(computed, Tensor) else computed
        names = [output.name for output in model.graph.output]
        arrays = [tensor.asnumpy() for tensor in tensors]
        check_onnx(content, samples, dict(zip(names, arrays, strict=True)))
    with write_file(path) as temporary:
        temporary.write_bytes(content)
