"""Rows of `update.py` that are not ours: fine-tuning in MindSpore and in PyTorch.

All begin from the network that the preparation wrote, decode with the same code, take the same
batches, and train with stochastic gradient descent, momentum 0.9 and a learning rate of 0.01.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from harness import Numbers, Run
from labelled_pictures import class_names, first_domain, labels_of
from machine import peak_memory_mb, stopwatch
from numpy.typing import NDArray

from sedna_tinyms.pictures import IMAGENET_MEAN, IMAGENET_STD, load_pixels

if TYPE_CHECKING:
    import torch
    from mindspore import nn

__all__ = ["full_mindspore", "full_pytorch", "head_pytorch", "save_for_pytorch"]

BATCH = 32
RATE = 0.01
MOMENTUM = 0.9
HEAD_STEPS = 100
"""Most iterations of L-BFGS for PyTorch's head."""

ARRAYS = "start.npz"
MEAN, STD = (np.array(v, np.float32)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))


def normalize(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    normalized: NDArray[np.float32] = (pixels - MEAN) / STD
    return normalized


def decode(
    samples: Sequence[tuple[str, str]], names: Sequence[str], size: int
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Return pixels and labels."""
    pixels = load_pixels([picture for picture, _ in samples], size)
    return pixels, np.array(labels_of(samples, names), np.int32)


def batches(count: int, epochs: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield indices of full batches, as a shuffled data set with its remainder dropped does."""
    draw = np.random.default_rng(seed)
    for _ in range(epochs):
        order = draw.permutation(count)
        size = min(BATCH, count)
        for start in range(0, count - size + 1, size):
            yield order[start : start + size]


def train(step: Callable[[NDArray[np.int64]], None], drawn: list[Any], most: int | None) -> Numbers:
    """Take all steps, or `most` of them and reckon what the others would take."""
    seconds = []
    for indices in drawn[:most]:
        start = time.perf_counter()
        step(indices)
        seconds.append(time.perf_counter() - start)
    left = len(drawn) - len(seconds)
    # The first step compiles or warms up, and is not like the others.
    reckoned = left * float(np.mean(seconds[1:] or seconds))
    return {"steps": len(drawn), "measured_steps": len(seconds), "reckoned_seconds": reckoned}


def full_mindspore(
    options: argparse.Namespace,
    run: Run,
    *,
    graph: bool,
    most_steps: int | None = None,
) -> Numbers:
    """Fine-tune the whole network in MindSpore's default mode, or compiled."""
    from mindspore import Tensor, nn

    from sedna_tinyms.tinyms.context import prefer_graph_mode
    from sedna_tinyms.tinyms.model import load_weights, mobilenetv2, save_weights

    if graph:
        prefer_graph_mode()
    domain = first_domain(options)
    names = class_names([domain])
    network = mobilenetv2(len(names), width_mult=options.width)
    load_weights(network, run.shared / "start.ckpt")

    elapsed = stopwatch()
    pixels, labels = decode(domain.train, names, options.size)
    loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
    optimizer = nn.Momentum(network.trainable_params(), RATE, MOMENTUM)
    cell = nn.TrainOneStepCell(nn.WithLossCell(network, loss), optimizer).set_train()

    def step(indices: NDArray[np.int64]) -> None:
        cell(Tensor(normalize(pixels[indices])), Tensor(labels[indices])).asnumpy()

    drawn = list(batches(len(labels), options.epochs, options.seeds[0]))
    trained = train(step, drawn, most_steps)
    save_weights(network, run.own / "model.ckpt")
    numbers = trained | elapsed() | {"peak_memory_mb": peak_memory_mb(), "epochs": options.epochs}
    if trained["measured_steps"] == trained["steps"]:
        accuracy = mindspore_accuracy(network, *decode(domain.test, names, options.size))
        return numbers | {"accuracy": accuracy}
    # What the clock saw is a part of the whole.
    numbers["seconds"] += trained["reckoned_seconds"]
    return numbers | {"processor_seconds": None, "accuracy": None}


def mindspore_accuracy(
    network: nn.Cell, pixels: NDArray[np.uint8], labels: NDArray[np.int32]
) -> float:
    from mindspore import Tensor

    network.set_train(False)
    padded = np.concatenate([pixels, pixels[: -len(pixels) % BATCH]])
    parts = (padded[i : i + BATCH] for i in range(0, len(padded), BATCH))
    logits = np.concatenate([network(Tensor(normalize(part))).asnumpy() for part in parts])
    return float(np.mean(logits[: len(labels)].argmax(1) == labels))


def full_pytorch(options: argparse.Namespace, run: Run) -> Numbers:
    """Fine-tune the whole network in PyTorch."""
    import torch

    domain = first_domain(options)
    names = class_names([domain])
    network = pytorch_network(run.shared, len(names), options.width)

    elapsed = stopwatch()
    pixels, labels = decode(domain.train, names, options.size)
    targets = torch.from_numpy(labels).long()
    optimizer = torch.optim.SGD(network.parameters(), RATE, MOMENTUM)
    network.train()

    def step(indices: NDArray[np.int64]) -> None:
        optimizer.zero_grad()
        logits = network(channels_last(pixels[indices]))
        torch.nn.functional.cross_entropy(logits, targets[torch.from_numpy(indices)]).backward()
        optimizer.step()

    trained = train(step, list(batches(len(labels), options.epochs, options.seeds[0])), None)
    torch.save(network.state_dict(), run.own / "model.pt")
    numbers = trained | elapsed() | {"peak_memory_mb": peak_memory_mb(), "epochs": options.epochs}
    return numbers | {"accuracy": pytorch_accuracy(network, domain.test, names, options.size)}


def head_pytorch(options: argparse.Namespace, run: Run) -> Numbers:
    """Train a linear head in PyTorch, on features that are computed once."""
    import torch

    domain = first_domain(options)
    names = class_names([domain])
    network = pytorch_network(run.shared, len(names), options.width)
    backbone, head = network[:-1], network[-1]

    elapsed = stopwatch()
    pixels, labels = decode(domain.train, names, options.size)
    features = torch.from_numpy(outputs(backbone, pixels))
    targets = torch.from_numpy(labels).long()
    optimizer = torch.optim.LBFGS(
        head.parameters(), max_iter=HEAD_STEPS, line_search_fn="strong_wolfe"
    )

    def loss() -> Any:
        optimizer.zero_grad()
        value = torch.nn.functional.cross_entropy(head(features), targets)
        value = value + 1e-3 * head.weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    torch.save(network.state_dict(), run.own / "model.pt")
    numbers = elapsed() | {"peak_memory_mb": peak_memory_mb()}
    return numbers | {"accuracy": pytorch_accuracy(network, domain.test, names, options.size)}


def pytorch_accuracy(
    network: Any, samples: Sequence[tuple[str, str]], names: Sequence[str], size: int
) -> float:
    pixels, labels = decode(samples, names, size)
    return float(np.mean(outputs(network, pixels).argmax(1) == labels))


def channels_last(pixels: NDArray[np.uint8]) -> torch.Tensor:
    import torch

    return torch.from_numpy(normalize(pixels)).to(memory_format=torch.channels_last)


def outputs(module: Any, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return a module's outputs, batch after batch."""
    import torch

    module.eval()
    with torch.inference_mode():
        parts = [
            module(channels_last(pixels[i : i + BATCH])).numpy()
            for i in range(0, len(pixels), BATCH)
        ]
    return np.concatenate(parts)


def save_for_pytorch(network: Any, directory: Path) -> None:
    """Write a network's arrays in the order of PyTorch's `state_dict`, so that no peer needs us."""
    from mindspore import nn

    arrays = []
    for _, cell in network.cells_and_names():
        if isinstance(cell, nn.BatchNorm2d):
            arrays += [cell.gamma, cell.beta, cell.moving_mean, cell.moving_variance]
        elif isinstance(cell, nn.Conv2d):
            arrays.append(cell.weight)
        elif isinstance(cell, nn.Dense):
            arrays += [cell.weight, cell.bias]
    np.savez(directory / ARRAYS, *(array.asnumpy() for array in arrays))


def pytorch_network(directory: Path, classes: int, width: float) -> Any:
    """Return the starting network on all cores, in the memory format that is fastest."""
    import torch
    import torch_networks

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    module = torch_networks.mobilenetv2(classes, width)
    with np.load(directory / ARRAYS) as archive:
        arrays = [archive[f"arr_{place}"] for place in range(len(archive.files))]
    state = module.state_dict()
    names = [name for name in state if not name.endswith("num_batches_tracked")]
    loaded = {name: torch.from_numpy(a) for name, a in zip(names, arrays, strict=True)}
    module.load_state_dict(state | loaded)
    return module.to(memory_format=torch.channels_last)
