"""Time, memory and installed size of inference at the edge, by engine and batch size.

    sedna-tinyms bench edge --data DIR --weights FILE --json OUT

Every row but the last is an inference worker: the worker library's `IncrementalLearning` with our
estimator, asked for pictures by their files. `onnxruntime-alone` answers the same pictures with the
same file in a dozen lines of Pillow, NumPy and ONNX Runtime. All have the classes of one domain,
whose training part taught the head, and whose test part they are asked.

ms_per_image
    From a picture's file to its class: the fastest of many answers, divided by the batch.
resident_mb
    What the process holds after them.
first_answer_seconds
    From the start of the process, with its imports, to its first answer, of one picture.
install_mb
    Files of the installed distributions that the process imported from, and of all that these
    require.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle, islice
from typing import Any

from arguments import at_least_ones
from harness import Benchmark, Numbers, Row, Run
from harness import main as carry_out
from installed import install_mb
from labelled_pictures import add_options, class_names, evenly, first_domain
from machine import resident_mb

from sedna_tinyms.errors import UsageError

BATCH_SIZES = (1, 8, 32)
MODEL = "model.ckpt"
ONNX = "model.onnx"
INT8 = "model.int8.onnx"
CALIBRATION = 100
"""Pictures that tell the ranges of int8."""

LEAST_ANSWERS = 10

Pictures = Sequence[str]
Answer = Callable[[Pictures], Sequence[str]]
"""Names the class of each picture."""


def configure(parser: argparse.ArgumentParser) -> None:
    add_options(parser)
    parser.add_argument(
        "--batch-sizes",
        type=at_least_ones,
        default=",".join(map(str, BATCH_SIZES)),
        metavar="A,B",
        help="pictures asked together",
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="how long a row answers")


def rows(options: argparse.Namespace) -> list[Row]:
    engines: list[tuple[str, Callable[[Run], Answer], tuple[str, ...]]] = [
        ("mindspore", mindspore_worker, ("mindspore",)),
        ("onnxruntime", partial(onnx_worker, "onnxruntime", ONNX), ("onnxruntime",)),
        ("onnxruntime-int8", partial(onnx_worker, "onnxruntime", INT8), ("onnxruntime",)),
        ("openvino", partial(onnx_worker, "openvino", ONNX), ("openvino",)),
        ("onnxruntime-alone", alone, ("onnxruntime",)),
    ]
    return [
        Row(name, partial(measure, begin, batch), needs)
        for name, begin, needs in engines
        for batch in options.batch_sizes
    ]


def facts(options: argparse.Namespace) -> Numbers:
    if options.weights is None:
        raise UsageError(
            "--weights must name the file of a pretrained MobileNetV2", code="missing-value"
        )
    domain = first_domain(options)
    return {"domain": domain.name, "test_images": len(domain.test)}


def prepare(options: argparse.Namespace, run: Run) -> Numbers:
    """Teach a head the domain; write the model in all formats."""
    from estimators import TinyMSMobileNetV2
    from sedna_tinyms.engine.quantization import quantize
    from sedna_tinyms.pictures import load_pixels

    domain = first_domain(options)
    names = class_names([domain])
    estimator = TinyMSMobileNetV2(
        names, options.size, options.width, options.weights, strategy="head", export_onnx=True
    )
    estimator.train(domain.train, domain=domain.name)
    estimator.save(run.shared / MODEL)
    typical = [picture for picture, _ in evenly(domain.train, CALIBRATION)]
    pixels: Any = load_pixels(typical, options.size)
    quantize(run.shared / ONNX, pixels, run.shared / INT8)
    return {}


def measure(
    begin: Callable[[Run], Answer], batch: int, options: argparse.Namespace, run: Run
) -> Numbers:
    """Answer in this process, first one picture, then batches."""
    tests = first_domain(options).test
    pictures = [picture for picture, _ in tests]
    answer = begin(run)
    answer(pictures[:1])
    first = time.monotonic() - run.started

    seconds: list[float] = []
    asked = cycle(pictures)
    while len(seconds) < LEAST_ANSWERS or sum(seconds) < options.seconds:
        some = list(islice(asked, batch))
        start = time.perf_counter()
        answer(some)
        seconds.append(time.perf_counter() - start)
    resident = resident_mb()
    said = [name for i in range(0, len(tests), batch) for name in answer(pictures[i : i + batch])]
    return {
        "batch_size": batch,
        "ms_per_image": 1000 * min(seconds) / batch,
        "ms_per_image_median": 1000 * statistics.median(seconds) / batch,
        "resident_mb": resident,
        "first_answer_seconds": first,
        "install_mb": install_mb(without=["sedna-tinyms"] if begin is alone else []),
        "accuracy": sum(s == name for s, (_, name) in zip(said, tests, strict=True)) / len(tests),
    }


def mindspore_worker(run: Run) -> Answer:
    """Answer with the checkpoint, on MindSpore also where there are faster engines."""
    os.environ |= {"BACKEND_TYPE": "TINYMS", "MODEL_URL": str(run.shared / MODEL)}
    from estimators import TinyMSMobileNetV2

    return worker(TinyMSMobileNetV2(engine="mindspore"))


def onnx_worker(engine: str, model: str, run: Run) -> Answer:
    """Answer with an ONNX file."""
    os.environ |= {"BACKEND_TYPE": "ONNX", "MODEL_URL": str(run.shared / model)}
    from estimators import OnnxClassifier

    return worker(OnnxClassifier(engine=engine))


def worker(estimator: Any) -> Answer:
    """Begin an inference worker, as its script does."""
    from sedna_tinyms.sedna.core.incremental_learning import IncrementalLearning

    job = IncrementalLearning(estimator=estimator)

    def answer(pictures: Pictures) -> list[str]:
        predictions, _, _ = job.inference(list(pictures))
        return [prediction.class_name for prediction in predictions]

    return answer


def alone(run: Run) -> Answer:
    """Answer with ONNX Runtime and nothing of ours."""
    import json

    import numpy as np
    import onnxruntime
    from PIL import Image

    session = onnxruntime.InferenceSession(
        str(run.shared / ONNX), providers=["CPUExecutionProvider"]
    )
    (given,) = session.get_inputs()
    described = session.get_modelmeta().custom_metadata_map
    names, side = json.loads(described["class_names"]), json.loads(described["input_size"])
    larger = round(side * 256 / 224)
    edge = (larger - side) // 2

    def answer(pictures: Pictures) -> list[str]:
        pixels = np.empty((len(pictures), 3, side, side), np.uint8)
        for place, picture in enumerate(pictures):
            image = Image.open(picture).convert("RGB").resize((larger, larger), 2)
            whole = np.asarray(image).transpose(2, 0, 1)
            pixels[place] = whole[:, edge : edge + side, edge : edge + side]
        (logits,) = session.run(["logits"], {given.name: pixels})
        return [names[number] for number in logits.argmax(1)]

    return answer


def gather(runs: Sequence[Numbers]) -> Numbers:
    """Take the least of each number of the runs."""
    return {
        name: max(run[name] for run in runs)
        if name == "accuracy"
        else min(run[name] for run in runs)
        for name in runs[0]
    }


EDGE = Benchmark(
    name="edge",
    script=__file__,
    columns={
        "batch_size": "d",
        "ms_per_image": ".2f",
        "resident_mb": ".0f",
        "first_answer_seconds": ".2f",
        "install_mb": ".0f",
        "accuracy": ".3f",
    },
    rows=rows,
    configure=configure,
    prepare=prepare,
    facts=facts,
    gather=gather,
)

if __name__ == "__main__":
    sys.exit(carry_out(EDGE))
