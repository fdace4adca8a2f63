"""What `core.py` measures, each in a process of its own: the networks, and a task for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

NETWORKS = {"mobilenetv2": (3, 224, 224), "lenet5": (1, 32, 32)}
"""Networks by name, and the shape of a picture for each."""

TASKS = ("train", "predict", "predict one")
CLASSES = 10

Array = NDArray[Any]


def noise(network: str, batch: int) -> tuple[Array, Array]:
    """Return pictures and labels."""
    draw = np.random.default_rng(0)
    pictures = draw.standard_normal((batch, *NETWORKS[network])).astype(np.float32)
    return pictures, draw.integers(0, CLASSES, batch).astype(np.int32)


def core_work(network: str, task: str, batch: int, *, graph: bool) -> Callable[[], object]:
    """Return the task as programs for the TinyMS core run it, or in MindSpore's default mode."""
    from mindspore import Tensor

    from sedna_tinyms.tinyms import model as networks
    from sedna_tinyms.tinyms.context import prefer_graph_mode
    from sedna_tinyms.tinyms.losses import SoftmaxCrossEntropyWithLogits
    from sedna_tinyms.tinyms.optimizers import Momentum

    if graph:
        prefer_graph_mode()
    pictures, labels = (Tensor(array) for array in noise(network, batch))
    cell = getattr(networks, network)(class_num=CLASSES)
    model = networks.Model(cell)
    if task != "train":
        return lambda: model.predict(pictures).asnumpy()
    loss = SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
    model.compile(loss, Momentum(cell.trainable_params(), 0.01, 0.9))
    step = model.train_network.set_train()
    return lambda: step(pictures, labels).asnumpy()


def torch_work(network: str, task: str, batch: int) -> Callable[[], object]:
    """Return the task in PyTorch, in the memory format that its CPU kernels are fastest with."""
    import torch
    import torch_networks

    torch.manual_seed(0)
    pictures, labels = (torch.from_numpy(array) for array in noise(network, batch))
    pictures = pictures.to(memory_format=torch.channels_last)
    module = getattr(torch_networks, network)(CLASSES).to(memory_format=torch.channels_last)
    if task != "train":
        module.eval()

        def predict() -> object:
            with torch.inference_mode():
                return module(pictures).numpy()

        return predict
    optimizer = torch.optim.SGD(module.parameters(), 0.01, 0.9)

    def step() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(module(pictures), labels.long())
        loss.backward()
        optimizer.step()
        return float(loss.item())

    return step


def timed(work: Callable[[], object], repeats: int, most_seconds: float) -> dict[str, float]:
    """Do the work once to warm up, then up to `repeats` times or for about `most_seconds`."""
    start = time.perf_counter()
    work()
    first = time.perf_counter() - start
    clock: list[float] = []
    processor: list[float] = []
    while len(clock) < repeats and (not clock or sum(clock) < most_seconds):
        start, processor_start = time.perf_counter(), time.process_time()
        work()
        clock.append(time.perf_counter() - start)
        processor.append(time.process_time() - processor_start)
    return {
        "first_s": first,
        "min_s": min(clock),
        "median_s": float(np.median(clock)),
        "processor_min_s": min(processor),
        "repeats": len(clock),
    }
