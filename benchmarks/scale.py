"""Seconds of a round as the pictures of earlier rounds grow in number.

    sedna-tinyms bench scale --json OUT

Rounds of as many new pictures each follow one another, as in a job that has been running for long:
every round is a process that begins from the last model and its memory, and they share one cache
of activations. Rows are named by the number of earlier pictures. The pictures are small and drawn
here; `--data` is not read. Each repetition plays all rounds anew; the fastest counts.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from arguments import at_least_one
from harness import CACHE_DIRECTORY, Benchmark, Numbers, Row, Run, fastest, main
from machine import peak_memory_mb, stopwatch
from PIL import Image

from sedna_tinyms.errors import UsageError

CLASSES = 10
SIDE = 48
"""Pixels of a drawn picture."""

SECOND, TWENTIETH = 1, 19


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--most", type=at_least_one, default=20_000, help="earlier pictures")
    parser.add_argument("--strategy", default="latent", help="how the estimator learns")
    parser.set_defaults(images=1000, size=64, width=0.35)


def rows(options: argparse.Namespace) -> list[Row]:
    earlier = range(0, options.most + 1, options.images)
    return [
        Row(str(count), partial(play, number), ("mindspore",))
        for number, count in enumerate(earlier)
    ]


def play(number: int, options: argparse.Namespace, run: Run) -> Numbers:
    """Play one round after those before it."""
    from estimators import TinyMSMobileNetV2

    directory = run.shared / f"repetition-{run.number}"
    os.environ[CACHE_DIRECTORY] = str(directory / "activations")
    before, model = directory / f"{number - 1}.ckpt", directory / f"{number}.ckpt"
    if number and not before.is_file():
        raise UsageError(
            "a row needs all rows before it: each round begins from the last one",
            code="missing-file",
            path=before,
        )
    names = [f"class-{label}" for label in range(CLASSES)]
    estimator = TinyMSMobileNetV2(
        names, options.size, options.width, options.weights, strategy=options.strategy
    )
    if number:
        estimator.load_weights(before)
    samples = draw_pictures(run.own / "pictures", options.images, number)
    elapsed = stopwatch()
    metrics = estimator.train(samples, domain=f"round-{number + 1}")
    estimator.save(model)
    numbers = elapsed()
    for file in directory.glob(f"{number - 1}.*"):  # nothing needs the last model any more
        file.unlink()
    return numbers | {
        "earlier_images": number * options.images,
        "replayed": metrics["replayed"][0],
        "peak_memory_mb": peak_memory_mb(),
    }


def draw_pictures(directory: Path, count: int, seed: int) -> list[tuple[str, str]]:
    """Draw stripes of a class's own direction and width; no two pictures are the same."""
    directory.mkdir()
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    samples = []
    for number in range(count):
        label = number % CLASSES
        angle, waves = np.pi * label / CLASSES, 2 + label % 3
        along = (x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi * waves / SIDE
        stripes = np.sin(along + draw.uniform(0, 2 * np.pi))[..., None] * draw.uniform(20, 90, 3)
        pixels = 128 + stripes + draw.normal(0, 12, (SIDE, SIDE, 3))
        path = directory / f"{number}.png"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, compress_level=1)
        samples.append((str(path), f"class-{label}"))
    return samples


def finish(found: Sequence[Numbers]) -> Numbers:
    """Compare the twentieth round with the second, once both are there."""
    if len(found) <= TWENTIETH:
        return {"twentieth_to_second": None}
    return {"twentieth_to_second": found[TWENTIETH]["seconds"] / found[SECOND]["seconds"]}


SCALE = Benchmark(
    name="scale",
    script=__file__,
    columns={
        "earlier_images": ",d",
        "seconds": ".2f",
        "seconds_median": ".2f",
        "processor_seconds": ".2f",
        "replayed": ",.0f",
        "peak_memory_mb": ".0f",
    },
    rows=rows,
    configure=configure,
    gather=fastest,
    finish=finish,
)

if __name__ == "__main__":
    sys.exit(main(SCALE))
