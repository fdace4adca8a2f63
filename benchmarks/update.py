"""Time one round of new pictures: ours, full fine-tuning, PyTorch, and the floor below them all.

    sedna-tinyms bench update --data DIR --weights FILE --json OUT

Every row learns the training part of one domain from the same pretrained network, and is tested on
that domain's test part. The clock runs from the pictures' files to the model's file: decoding,
forward, compilation, training, saving (ours in both formats, and the memory). Imports and reading
the pretrained network come before it. `floor` decodes the pictures and runs them through the
frozen network on the fastest engine installed, and does nothing else.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec

import numpy as np
from arguments import at_least_one
from harness import STOCK, Benchmark, Numbers, Row, Run, fastest, main
from labelled_pictures import add_options, class_names, first_domain
from machine import peak_memory_mb, stopwatch
from update_peers import full_mindspore, full_pytorch, head_pytorch, save_for_pytorch

from sedna_tinyms.errors import UsageError

BATCH = 32
IMPORTED_LATE = ("onnx", "onnxruntime", "openvino")
"""What the estimator imports where it first needs it; here, before the clock runs."""

STRATEGIES = ("head", "latent")
START = "start.ckpt"
FROZEN = "frozen.onnx"
"""The pretrained network with an untrained head, and its backbone: the preparation writes them."""


def configure(parser: argparse.ArgumentParser) -> None:
    add_options(parser)
    parser.add_argument("--epochs", type=at_least_one, default=5, help="of every full fine-tuning")
    parser.add_argument("--full", action="store_true", help="take every step of the stock row")
    parser.add_argument(
        "--measured-steps", type=at_least_one, default=4, help="of the stock row otherwise"
    )


def rows(options: argparse.Namespace) -> list[Row]:
    most = None if options.full else options.measured_steps
    return [
        *(Row(strategy, partial(ours, strategy), ("mindspore",)) for strategy in STRATEGIES),
        Row(
            "full-mindspore-stock",
            partial(full_mindspore, graph=False, most_steps=most),
            ("mindspore",),
            STOCK,
            once=True,
        ),
        Row(
            "full-mindspore",
            partial(full_mindspore, graph=True),
            ("mindspore",),
            once=True,
        ),
        Row("full-pytorch", full_pytorch, ("torch",), once=True),
        Row("head-pytorch", head_pytorch, ("torch",)),
        Row("floor", floor),
    ]


def facts(options: argparse.Namespace) -> Numbers:
    if options.weights is None:
        raise UsageError(
            "--weights must name the file of a pretrained MobileNetV2", code="missing-value"
        )
    domain = first_domain(options)
    return {
        "domain": domain.name,
        "train_images": len(domain.train),
        "test_images": len(domain.test),
        "classes": len(class_names([domain])),
    }


def prepare(options: argparse.Namespace, run: Run) -> Numbers:
    """Write the network that all rows begin from, and let the engines be chosen."""
    from estimators import TinyMSMobileNetV2
    from sedna_tinyms.pictures import IMAGENET_MEAN, IMAGENET_STD
    from sedna_tinyms.tinyms.model.mobilenetv2_onnx import BACKBONE_CELLS, frozen_onnx

    domain = first_domain(options)
    estimator = TinyMSMobileNetV2(
        class_names([domain]), options.size, options.width, options.weights
    )
    estimator.save(run.shared / START)
    network = estimator.network
    backbone = frozen_onnx(
        network, BACKBONE_CELLS, IMAGENET_MEAN, IMAGENET_STD, input_size=options.size
    )
    (run.shared / FROZEN).write_bytes(backbone)
    save_for_pytorch(network, run.shared)
    for strategy in STRATEGIES:
        if options.rows is None or strategy in options.rows:
            # Which engine is the fastest is then known, and what it compiled, as in a second round.
            learner = TinyMSMobileNetV2(
                initial_weights=run.shared / START, strategy=strategy, epochs=1
            )
            learner.train(domain.train[:BATCH])
    return {}


def ours(strategy: str, options: argparse.Namespace, run: Run) -> Numbers:
    """Learn as a train worker does, through the public estimator."""
    from estimators import TinyMSMobileNetV2

    for name in filter(find_spec, IMPORTED_LATE):
        import_module(name)
    domain = first_domain(options)
    seed = options.seeds[run.number % len(options.seeds)]
    estimator = TinyMSMobileNetV2(
        initial_weights=run.shared / START, strategy=strategy, seed=seed, export_onnx=True
    )
    estimator.load_weights(run.shared / START)
    elapsed = stopwatch()
    trained = estimator.train(domain.train, domain=domain.name)
    estimator.save(run.own / "model.ckpt")
    numbers = elapsed() | {"peak_memory_mb": peak_memory_mb()}
    for part in ("seconds_forward", "seconds_training"):
        (numbers[part],) = trained[part]
    (accuracy,) = estimator.evaluate(domain.test)["accuracy"]
    return numbers | {"accuracy": accuracy}


def floor(options: argparse.Namespace, run: Run) -> Numbers:
    """Decode and run the pictures, with nothing kept, on the fastest engine installed."""
    from sedna_tinyms.engine import open_engine
    from sedna_tinyms.pictures import pixel_batches

    pictures = [picture for picture, _ in first_domain(options).train]
    engine = open_engine(run.shared / FROZEN, precision="auto", batch=BATCH)
    engine.run(np.zeros((BATCH, 3, options.size, options.size), np.uint8))
    elapsed = stopwatch()
    for pixels in pixel_batches(pictures, options.size, BATCH):
        engine.run(pixels)
    numbers = elapsed() | {"peak_memory_mb": peak_memory_mb()}
    return numbers | {"accuracy": None, "engine": str(engine.choice)}


def finish(found: Sequence[Numbers]) -> Numbers:
    """Compare all rows with the floor."""
    floors = [row["seconds"] for row in found if row["name"] == "floor"]
    for row in found:
        row["ratio_to_floor"] = row["seconds"] / floors[0] if floors else None
    return {}


UPDATE = Benchmark(
    name="update",
    script=__file__,
    columns={
        "seconds": ".2f",
        "ratio_to_floor": ".2f",
        "peak_memory_mb": ".0f",
        "accuracy": ".3f",
        "seconds_median": ".2f",
        "processor_seconds": ".2f",
    },
    rows=rows,
    configure=configure,
    prepare=prepare,
    facts=facts,
    gather=fastest,
    finish=finish,
)

if __name__ == "__main__":
    sys.exit(main(UPDATE))
