"""What a network is made of, and what one prediction costs."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, nn

from sedna_tinyms.errors import ConfigurationError
from sedna_tinyms.tinyms.context import PYNATIVE_MODE, temporary_mode
from sedna_tinyms.tinyms.model.modes import kept_modes

__all__ = ["LayerSummary", "ModelSummary", "summarize"]

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMALIZATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm)


@dataclass(frozen=True)
class LayerSummary:
    """One layer, in the order of computation.

    Attributes
    ----------
    name : str
        Where it is in the network, as in its parameters' names.
    kind : str
        Its class.
    output_shape : tuple of int
        With the batch axis.
    parameters, trainable : int
        Numbers in its parameters; a layer that is used again counts 0.
    bytes : int
        What these take in memory.
    flops : int
        See `ModelSummary`.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    trainable: int
    bytes: int
    flops: int


@dataclass(frozen=True)
class ModelSummary:
    """A network's layers and their sum; ``str()`` is a table.

    Attributes
    ----------
    network : str
        Its class.
    input_shape : tuple of int
        With the batch axis.
    output_shapes : tuple of tuple of int
        Of each output.
    layers : tuple of LayerSummary
        In the order of computation.
    parameters, trainable, bytes : int
        Of the whole network.
    flops : int
        Floating-point operations of its convolutions, dense layers and normalizations for this
        input, two to a multiply-add. Activations, pooling, and what a network computes outside of
        layers, such as the matrix products of attention, are not counted.
    latency_ms : float or None
        Median time of one prediction, measured here and now; None if it was not measured.
    """

    network: str
    input_shape: tuple[int, ...]
    output_shapes: tuple[tuple[int, ...], ...]
    layers: tuple[LayerSummary, ...]
    parameters: int
    trainable: int
    bytes: int
    flops: int
    latency_ms: float | None

    def __str__(self) -> str:
        heading = ("layer", "kind", "output", "parameters", "MFLOPs")
        rows = [
            (
                layer.name,
                layer.kind,
                _shape_text(layer.output_shape),
                f"{layer.parameters:,}",
                f"{layer.flops / 1e6:,.2f}",
            )
            for layer in self.layers
        ]
        widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
        lines = [
            "  ".join(
                cell.rjust(width) if index > 2 else cell.ljust(width)
                for index, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in (heading, *rows)
        ]
        rule = "-" * len(lines[0])
        outputs = ", ".join(map(_shape_text, self.output_shapes))
        totals = (
            f"{self.network}: {_shape_text(self.input_shape)} to {outputs}",
            f"{self.parameters:,} parameters ({self.trainable:,} trainable), "
            f"{self.bytes / 1e6:,.2f} MB, {self.flops / 1e6:,.1f} MFLOPs",
        )
        latency = () if self.latency_ms is None else (f"{self.latency_ms:.2f} ms a prediction",)
        return "\n".join([lines[0], rule, *lines[1:], rule, *totals, *latency])


def summarize(
    network: nn.Cell,
    predict: Callable[[Tensor], Any],
    input_shape: Sequence[int],
    batch_size: int = 1,
    repeats: int = 5,
) -> ModelSummary:
    """Summarize a network; see `Model.summary`."""
    shape = (batch_size, *input_shape)
    if not all(isinstance(size, int) and size >= 1 for size in shape):
        raise ConfigurationError(
            f"an input of shape {tuple(input_shape)} in batches of {batch_size} cannot be; every "
            "size is a whole number of at least 1",
            code="out-of-range",
            name="input_shape",
            value=tuple(input_shape),
            batch_size=batch_size,
        )
    sample = Tensor(np.zeros(shape, np.float32))
    with kept_modes(network):
        layers, outputs = _watched(network.set_train(False), sample)
        latency = _median_latency(predict, sample, repeats) if repeats else None
    parameters = list(network.get_parameters())
    return ModelSummary(
        network=type(network).__name__,
        input_shape=shape,
        output_shapes=outputs,
        layers=layers,
        parameters=sum(parameter.size for parameter in parameters),
        trainable=sum(parameter.size for parameter in parameters if parameter.requires_grad),
        bytes=sum(map(_size_in_bytes, parameters)),
        flops=sum(layer.flops for layer in layers),
        latency_ms=latency,
    )


def _watched(
    network: nn.Cell, sample: Tensor
) -> tuple[tuple[LayerSummary, ...], tuple[tuple[int, ...], ...]]:
    """Run the network once, noting what each layer gives."""
    layers: list[LayerSummary] = []
    seen: set[int] = set()

    def note(name: str) -> Callable[[nn.Cell, Any, Any], None]:
        def hook(cell: nn.Cell, inputs: Any, output: Any) -> None:  # noqa: ARG001
            own = [p for p in cell.get_parameters(expand=False) if id(p) not in seen]
            seen.update(map(id, own))
            shape = (_shapes(output) or ((),))[0]
            layers.append(
                LayerSummary(
                    name=name,
                    kind=type(cell).__name__,
                    output_shape=shape,
                    parameters=sum(p.size for p in own),
                    trainable=sum(p.size for p in own if p.requires_grad),
                    bytes=sum(map(_size_in_bytes, own)),
                    flops=_flops(cell, shape),
                )
            )

        return hook

    handles = [
        cell.register_forward_hook(note(name))
        for name, cell in network.cells_and_names()
        if not cell.name_cells() or list(cell.get_parameters(expand=False))
    ]
    try:
        with temporary_mode(PYNATIVE_MODE):
            outputs = _shapes(network(sample))
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).strip().split("\n", 1)[0]
        raise ConfigurationError(
            f"{type(network).__name__} cannot take one input of shape {sample.shape}: {reason}",
            code="wrong-shape",
            name=type(network).__name__,
            value=sample.shape,
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    return tuple(layers), outputs


def _shapes(output: Any) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of one or several outputs."""
    several = output if isinstance(output, list | tuple) else (output,)
    return tuple(tuple(tensor.shape) for tensor in several if isinstance(tensor, Tensor))


def _flops(cell: nn.Cell, output_shape: tuple[int, ...]) -> int:
    elements = math.prod(output_shape)
    if isinstance(cell, CONVOLUTIONS):
        weight = cell.weight.shape  # (out, in / groups, *kernel)
        return elements * (2 * int(math.prod(weight[1:])) + bool(cell.has_bias))
    if isinstance(cell, nn.Dense):
        return elements * (2 * int(cell.in_channels) + bool(cell.has_bias))
    if isinstance(cell, NORMALIZATIONS):
        return 2 * elements
    return 0


def _size_in_bytes(parameter: Parameter) -> int:
    return int(parameter.size * parameter.itemsize)


def _median_latency(predict: Callable[[Tensor], Any], sample: Tensor, repeats: int) -> float:
    """Return milliseconds; the first prediction, which may compile, does not count."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        result = predict(sample)
        for tensor in result if isinstance(result, tuple) else (result,):
            tensor.asnumpy()  # MindSpore computes in the background until somebody looks
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times[1:])


def _shape_text(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "scalar"
