"""Count what a label brings, by the filter that chose the picture.

    sedna-tinyms bench mining --data DIR --weights FILE --json OUT

A linear head on frozen features has learned one half of the first domain. A stream of pictures
passes, and each filter, with the parameters it has by default, takes what it calls hard until the
budget of labels is spent; then the head learns these too. Accuracy is the mean over the test parts
of all domains. Two streams: `shift`, the new domains alone; and `mixed`, in which every other
picture is of the known domain, and a label for it is mostly wasted. Before either, the filters see
a quarter of the known domain pass, which nobody labels. `random` draws by lot.

Sedna's Threshold and IBT judge detections, and have no say here.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from arguments import at_least_one
from harness import Benchmark, Numbers, Row, Run, main
from labelled_pictures import add_options, class_names, labels_of, read_domains
from numpy.typing import NDArray

from sedna_tinyms.errors import UsageError

FEATURES = "features.npz"
"""The preparation computes them, once for all rows."""

PENALTY = 1e-2
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""The matrices are small: more threads wait for each other."""

Filter = Callable[[Any], bool]


class Part(NamedTuple):
    """Pictures by their features, with their classes."""

    features: NDArray[np.float32]
    labels: NDArray[np.int64]

    def take(self, chosen: NDArray[np.int64] | slice) -> Part:
        """Return some of them."""
        return Part(self.features[chosen], self.labels[chosen])


class Head(NamedTuple):
    """A linear classifier."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits of each row of features."""
        return np.asarray(features @ self.weight.T + self.bias)


def configure(parser: argparse.ArgumentParser) -> None:
    add_options(parser)
    parser.add_argument("--budget", type=at_least_one, default=60, help="labels to spend")


def rows(_: argparse.Namespace) -> list[Row]:
    return [
        Row(name, partial(label, stream, name), environment=ONE_THREAD, once=True)
        for stream in STREAMS
        for name in FILTERS
    ]


# The streams


def shift(_known: Part, new: Sequence[Part], rng: np.random.Generator) -> Part:
    """Return all of the new domains, mixed."""
    return _mixed(new, rng)


def mixed(known: Part, new: Sequence[Part], rng: np.random.Generator) -> Part:
    """Return as many pictures of the new domains as of the known one, mixed."""
    share = len(known.labels) // len(new)
    return _mixed([known, *(_mixed([part], rng).take(slice(share)) for part in new)], rng)


STREAMS = {"shift": shift, "mixed": mixed}


def _mixed(parts: Sequence[Part], rng: np.random.Generator) -> Part:
    features, labels = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Part(features, labels).take(rng.permutation(len(labels)))


# The filters


def of_sedna(name: str) -> Filter:
    from sedna_tinyms.sedna.algorithms import hard_example_mining

    kind = getattr(hard_example_mining, f"{name}Filter")
    chosen: Filter = kind()
    return chosen


def of_ours(name: str) -> Filter:
    from sedna_tinyms.learning.mining import FILTERS

    return FILTERS[name]()


FILTERS: dict[str, Callable[[], Filter]] = {
    "random": partial(of_sedna, "Random"),
    "CrossEntropy": partial(of_sedna, "CrossEntropy"),
    **{name: partial(of_ours, name) for name in ("Margin", "Energy", "Novelty")},
}


# One row


def label(stream: str, name: str, options: argparse.Namespace, run: Run) -> Numbers:
    """Spend the budget on what a filter finds, once for each seed."""
    learned, new, tests = _read(run.shared / FEATURES)
    found = [
        _spend(learned, new, tests, stream, name, options.budget, seed) for seed in options.seeds
    ]
    before, after, labels = np.array(found).T
    return {
        "stream": stream,
        "labels": float(labels.mean()),
        "accuracy_before": float(before.mean()),
        "accuracy": float(after.mean()),
        "accuracy_std": float(after.std()),
        "points_per_100_labels": float((1e4 * (after - before) / labels).mean()),
        "by_seed": [float(accuracy) for accuracy in after],
    }


def _spend(
    domain: Part,
    new: Sequence[Part],
    tests: Sequence[Part],
    stream: str,
    name: str,
    budget: int,
    seed: int,
) -> tuple[float, float, int]:
    """Return accuracy before and after, and how many labels were spent."""
    from estimators import Prediction

    rng = np.random.default_rng(seed)
    random.seed(seed)
    order = rng.permutation(len(domain.labels))
    half, quarter = len(order) // 2, len(order) // 4
    learned, familiar = domain.take(order[:half]), domain.take(order[half : half + quarter])
    passing = STREAMS[stream](domain.take(order[half + quarter :]), new, rng)
    classes = 1 + max(int(part.labels.max()) for part in (learned, passing, *tests))
    head = _learn(learned, classes)
    names = [str(number) for number in range(classes)]

    def answers(part: Part) -> list[Prediction]:
        rows = zip(head.logits(part.features), part.features, strict=True)
        return [Prediction(logits, names, features) for logits, features in rows]

    is_hard = FILTERS[name]()
    for answer in answers(familiar):
        is_hard(answer)
    hard = [place for place, answer in enumerate(answers(passing)) if is_hard(answer)][:budget]
    if not hard:
        return _accuracy(head, tests), _accuracy(head, tests), 1
    better = _learn(_mixed([learned, passing.take(np.array(hard))], rng), classes)
    return _accuracy(head, tests), _accuracy(better, tests), len(hard)


def _learn(part: Part, classes: int) -> Head:
    from sedna_tinyms.learning.softmax_regression import softmax_regression

    start = np.zeros((classes, part.features.shape[1]), np.float32), np.zeros(classes, np.float32)
    weight, bias, _ = softmax_regression(part.features, part.labels, start, penalty=PENALTY)
    return Head(weight, bias)


def _accuracy(head: Head, tests: Sequence[Part]) -> float:
    right = [np.mean(head.logits(part.features).argmax(1) == part.labels) for part in tests]
    return float(np.mean(right))


# Features


def prepare(options: argparse.Namespace, run: Run) -> Numbers:
    """Compute the features of every picture, with the pretrained network as it is."""
    from sedna_tinyms.learning.frozen import FrozenBackbone
    from sedna_tinyms.pictures import IMAGENET_MEAN, IMAGENET_STD, pixel_batches
    from sedna_tinyms.tinyms.model import MobileNetV2, load_weights
    from sedna_tinyms.tinyms.model.mobilenetv2_onnx import BACKBONE_CELLS

    if options.weights is None:
        raise UsageError("--weights must name a pretrained MobileNetV2", code="missing-value")
    domains = read_domains(options.data, options.domains, options.images)
    names = class_names(domains)
    network = MobileNetV2(len(names), width_mult=options.width)
    load_weights(network, options.weights, skip_head=True)
    frozen = FrozenBackbone(
        network, BACKBONE_CELLS, input_size=options.size, mean=IMAGENET_MEAN, std=IMAGENET_STD
    )
    arrays: dict[str, NDArray[Any]] = {}
    for number, domain in enumerate(domains):
        for split, samples in (("train", domain.train), ("test", domain.test)):
            batches = pixel_batches([path for path, _ in samples], options.size, 32)
            features = np.concatenate([frozen.run(pixels) for pixels in batches])
            arrays[f"{number} {split}"] = features.reshape(len(samples), -1).astype(np.float32)
            arrays[f"{number} {split} labels"] = np.array(labels_of(samples, names), np.int64)
    np.savez(run.shared / FEATURES, **arrays)
    return {}


def _read(path: Path) -> tuple[Part, list[Part], list[Part]]:
    """Return the training part of the first domain, those of the others, and all test parts."""
    with np.load(path, allow_pickle=False) as arrays:
        count = len(arrays.files) // 4
        trains, tests = (
            [Part(arrays[f"{n} {split}"], arrays[f"{n} {split} labels"]) for n in range(count)]
            for split in ("train", "test")
        )
    return trains[0], trains[1:], tests


def facts(options: argparse.Namespace) -> Numbers:
    domains = read_domains(options.data, options.domains, options.images)
    if len(domains) < 2:
        raise UsageError(
            f"--data has one domain, {domains[0].name}: mining needs a second one",
            code="wrong-length",
            domain=domains[0].name,
        )
    return {"domains": [domain.name for domain in domains]}


def finish(results: list[Numbers]) -> Numbers:
    """Compare each filter with the lot on the same stream."""
    lots = {row["stream"]: row for row in results if row["name"] == "random"}
    for row in results:
        lot = lots.get(row["stream"])
        gained = row["points_per_100_labels"]
        row["times_random"] = gained / lot["points_per_100_labels"] if lot else None
    return {}


MINING = Benchmark(
    name="mining",
    script=__file__,
    columns={
        "stream": "",
        "labels": ".0f",
        "accuracy_before": ".3f",
        "accuracy": ".3f",
        "accuracy_std": ".3f",
        "points_per_100_labels": ".1f",
        "times_random": ".2f",
    },
    rows=rows,
    configure=configure,
    prepare=prepare,
    facts=facts,
    finish=finish,
)

if __name__ == "__main__":
    sys.exit(main(MINING))
