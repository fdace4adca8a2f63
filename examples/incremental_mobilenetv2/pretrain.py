"""Made ``backbone.npz``: MobileNetV2's features, learnt on shapes that are no parts.

What ImageNet is to a model for photos, `shapes` is to the demo's: the job starts from a network
that can see, and knows no part. Trained with PyTorch, whose step takes a third of the time here,
and kept under torchvision's names, which the TinyMS core reads. Needs the extra ``bench``,
and a quarter of an hour::

    python pretrain.py backbone.npz
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from numpy.typing import NDArray
from PIL import Image
from shapes import photograph_shape
from torch import Tensor, nn

CLASSES, PICTURES = 128, 110
SIZE, WIDTH = 96, 0.35
EPOCHS, BATCH, PEAK_RATE = 20, 64, 0.1
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
STAGES = (
    # expansion, channels, blocks, stride of the first block (Sandler et al. 2018, table 2)
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class Residual(nn.Module):  # type: ignore[misc]
    """Expand, filter depthwise, project; add the input where the shapes allow it."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.adds = stride == 1 and inputs == outputs
        layers = [_convolution(inputs, hidden, 1)] if expansion > 1 else []
        layers += [_convolution(hidden, hidden, 3, stride, hidden)]
        project = nn.Conv2d(hidden, outputs, 1, bias=False)
        self.conv = nn.Sequential(*layers, project, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        return x + self.conv(x) if self.adds else self.conv(x)


class MobileNetV2(nn.Module):  # type: ignore[misc]
    """With torchvision's names."""

    def __init__(self, classes: int, width: float) -> None:
        super().__init__()
        channels = _channels(32 * width)
        layers: list[nn.Module] = [_convolution(3, channels, 3, 2)]
        for expansion, base, blocks, stride in STAGES:
            for block in range(blocks):
                outputs = _channels(base * width)
                layers.append(Residual(channels, outputs, 1 if block else stride, expansion))
                channels = outputs
        self.features = nn.Sequential(*layers, _convolution(channels, 1280, 1))
        self.classifier = nn.Linear(1280, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
        nn.init.normal_(self.classifier.weight, 0, 0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        return self.classifier(self.features(x).mean((2, 3)))


def main() -> None:
    """Draw the shapes, train, and write the features to the file that the command line names."""
    target = Path(sys.argv[1])
    torch.manual_seed(0)
    torch.set_num_threads(1)  # at this size a second thread mostly waits
    start = time.monotonic()
    pictures, labels = draw_shapes()
    print(f"{len(pictures)} pictures drawn in {time.monotonic() - start:.0f} s", flush=True)
    network = MobileNetV2(CLASSES, WIDTH).to(memory_format=torch.channels_last)
    train(network, torch.from_numpy(pictures), torch.from_numpy(labels))
    kept = network.features.state_dict(prefix="features.")
    np.savez_compressed(
        target,
        **{
            name: value.numpy().astype(np.float16)
            for name, value in kept.items()
            if not name.endswith("num_batches_tracked")
        },
    )


def draw_shapes() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return pictures (N, 3, SIZE, SIZE) and their classes."""
    labels = np.repeat(np.arange(CLASSES), PICTURES)
    with ProcessPoolExecutor() as pool:
        drawn = list(
            pool.map(_draw, labels.tolist(), list(range(PICTURES)) * CLASSES, chunksize=64)
        )
    return np.stack(drawn), labels


def train(network: nn.Module, pictures: Tensor, labels: Tensor) -> None:
    """Train with SGD, one cycle of the learning rate, turned and mirrored pictures."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    optimizer = torch.optim.SGD(
        network.parameters(), PEAK_RATE, momentum=0.9, nesterov=True, weight_decay=4e-5
    )
    steps = len(pictures) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, PEAK_RATE, EPOCHS * steps, pct_start=0.1
    )
    start = time.monotonic()
    for epoch in range(EPOCHS):
        right = 0
        for batch in torch.randperm(len(pictures))[: steps * BATCH].split(BATCH):
            images = (pictures[batch].float() - mean) / std
            images = torch.rot90(images, int(torch.randint(4, ())), (2, 3))
            mirrored = torch.rand(BATCH) < 0.5
            images[mirrored] = images[mirrored].flip(3)
            logits = network(images.contiguous(memory_format=torch.channels_last))
            loss = F.cross_entropy(logits, labels[batch], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            right += int((logits.argmax(1) == labels[batch]).sum())
        seconds = time.monotonic() - start
        print(f"epoch {epoch + 1}: {right / steps / BATCH:.3f} right, {seconds:.0f} s", flush=True)


def _draw(shape_class: int, index: int) -> NDArray[np.uint8]:
    picture = photograph_shape(shape_class, index).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    return np.asarray(picture).transpose(2, 0, 1)


def _convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU6())


def _channels(wanted: float) -> int:
    """Round to a multiple of 8, never below 90 %."""
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


if __name__ == "__main__":
    main()
