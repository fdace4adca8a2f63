"""What is learnt, forgotten and kept while domains arrive one after another, then classes.

    sedna-tinyms bench stream --data DIR --weights FILE --json OUT

Every round trains on one domain, as a train worker does: a new estimator begins from the last
model and its memory, trains, saves. The accuracy matrix has a line a round and a column a domain,
measured with the ONNX file that the edge would get. Rows:

naive
    The last blocks on each round's pictures alone: cross-entropy, and nothing against forgetting.
head, latent
    The estimator's strategies, with everything kept.
latent-20, latent-50, latent-100
    So many pictures' activations kept of each domain.
lwf
    Nothing kept: the last model's answers to the new pictures stand for the earlier ones.
ewc
    Nothing kept: the weights that the earlier rounds needed are held back.
joint
    `latent` on all domains at once, with as many steps as the stream's rounds have together.
classes-naive, classes-head, classes-latent
    The classes of all domains in three groups, one after another; the head grows.

Numbers are means over the seeds, with the standard deviation of the mean accuracy.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from arguments import at_least_one
from harness import Benchmark, Numbers, Row, Run, main
from labelled_pictures import Domain, add_options, class_names, read_domains
from numpy.typing import NDArray

from sedna_tinyms.errors import UsageError
from sedna_tinyms.learning.accuracy_matrix import AccuracyMatrix, mean_and_spread

if TYPE_CHECKING:
    from sedna_tinyms.learning.strategies import Lesson, Strategy

EVERYTHING = 1 << 40
"""A budget for the memory that no benchmark reaches."""

GROUPS = 3
"""In how many groups the classes arrive."""


@dataclass(frozen=True)
class Plan:
    """How one row learns.

    Attributes
    ----------
    strategy : str
        As the estimators call it; or ``naive`` or ``joint``, see `yardsticks`.
    kept : int or None
        Samples kept of each domain; None for all.
    arriving : {"domains", "classes", "at once"}
        What a round brings.
    """

    strategy: str
    kept: int | None = None
    arriving: str = "domains"


PLANS = {
    "naive": Plan("naive", kept=0),
    "head": Plan("head"),
    "latent": Plan("latent"),
    "latent-20": Plan("latent", kept=20),
    "latent-50": Plan("latent", kept=50),
    "latent-100": Plan("latent", kept=100),
    "lwf": Plan("lwf", kept=0),
    "ewc": Plan("ewc", kept=0),
    "joint": Plan("joint", arriving="at once"),
    "classes-naive": Plan("naive", kept=0, arriving="classes"),
    "classes-head": Plan("head", arriving="classes"),
    "classes-latent": Plan("latent", arriving="classes"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    add_options(parser)
    parser.add_argument("--epochs", type=at_least_one, help="of a round; the estimator's default")


def rows(_: argparse.Namespace) -> list[Row]:
    return [Row(name, partial(play, plan), ("mindspore",)) for name, plan in PLANS.items()]


def facts(options: argparse.Namespace) -> Numbers:
    if options.weights is None:
        raise UsageError(
            "--weights must name the file of a pretrained MobileNetV2", code="missing-value"
        )
    domains = read_domains(options.data, options.domains, options.images)
    return {
        "domains": [domain.name for domain in domains],
        "train_images": [len(domain.train) for domain in domains],
        "test_images": [len(domain.test) for domain in domains],
        "class_groups": [class_names([group]) for group in grouped_by_class(domains)],
    }


def grouped_by_class(domains: Sequence[Domain]) -> list[Domain]:
    """Return the pictures of all domains, in groups of classes."""
    first, *others = class_names(domains)  # a classifier begins with two classes
    groups = np.array_split(others, min(GROUPS, max(1, len(others))))
    groups[0] = np.array([first, *groups[0]])
    return [
        Domain(
            "+".join(group),
            [sample for domain in domains for sample in domain.train if sample[1] in group],
            [sample for domain in domains for sample in domain.test if sample[1] in group],
        )
        for group in groups
    ]


def rounds_of(plan: Plan, domains: Sequence[Domain]) -> list[Domain]:
    """Return what each round brings."""
    if plan.arriving == "classes":
        return grouped_by_class(domains)
    if plan.arriving == "domains":
        return list(domains)
    everything = [sample for domain in domains for sample in domain.train]
    return [Domain("at once", everything, [])]


def yardsticks(rounds: int) -> dict[str, type[Strategy]]:
    """Return the strategies that nobody should use, which show what the others are worth."""
    from sedna_tinyms.learning.strategies.latent import Latent

    class Naive(Latent):
        def opinions(self, lesson: Lesson) -> NDArray[np.float32]:
            return np.zeros(len(lesson.items), np.float32)

    class Joint(Latent):
        most_steps = rounds * Latent.most_steps

    return {"naive": Naive, "joint": Joint}


def play(plan: Plan, options: argparse.Namespace, run: Run) -> Numbers:
    """Play all rounds of one row with one seed."""
    from estimators import OnnxClassifier
    from sedna_tinyms.learning.strategies import STRATEGIES

    domains = read_domains(options.data, options.domains, options.images)
    STRATEGIES.update(yardsticks(len(domains)))
    brought = rounds_of(plan, domains)
    measured = brought if plan.arriving == "classes" else domains
    matrix = AccuracyMatrix([domain.name for domain in measured])
    model, seconds = Path(options.weights), []
    for number, domain in enumerate(brought, start=1):
        known = class_names(brought[:number] if plan.arriving == "classes" else domains)
        before, model = model, run.own / f"round-{number}" / "model.ckpt"
        seconds.append(learn(plan, domain, known, before, model, options, run))
        classifier = OnnxClassifier(engine="onnxruntime")
        classifier.load(model.with_suffix(".onnx"))
        accuracies = {
            other.name: classifier.evaluate(other.test)["accuracy"][0]
            for other in measured
            if set(class_names([other])) <= set(known)
        }
        matrix.add(domain.name, accuracies)
    return {
        "accuracy_matrix": matrix.as_dict(),
        "mean_accuracy": float(np.mean(matrix.values[-1])),
        "forgetting": _finite(matrix.forgetting()),
        "backward_transfer": _finite(matrix.backward_transfer()),
        "seconds": seconds,
        "bytes_kept": bytes_beside(model),
    }


def learn(
    plan: Plan,
    domain: Domain,
    known: list[str],
    before: Path,
    model: Path,
    options: argparse.Namespace,
    run: Run,
) -> float:
    """Play one round; return its seconds, from the pictures to the files."""
    from estimators import TinyMSMobileNetV2

    first = before == options.weights
    estimator: Any = TinyMSMobileNetV2(
        known if first else None,
        options.size,
        options.width,
        strategy=plan.strategy,
        replay_bytes=0 if plan.kept == 0 else EVERYTHING,
        seed=options.seeds[run.number],
        export_onnx=True,
        **({"epochs": options.epochs} if options.epochs else {}),
    )
    estimator.load_weights(before)
    start = time.perf_counter()
    estimator.train(domain.train, domain=domain.name)
    memory = estimator.memory
    if plan.kept and len(memory):
        each = memory.nbytes // len(memory)
        memory.budget_bytes = each * plan.kept * len(memory.domains)
    model.parent.mkdir()
    estimator.save(model)
    return time.perf_counter() - start


def bytes_beside(model: Path) -> int:
    """Return the size of all that a round keeps for the next one besides the model itself."""
    models = (model, model.with_suffix(".onnx"))
    return sum(path.stat().st_size for path in model.parent.iterdir() if path not in models)


def gather(runs: Sequence[Numbers]) -> Numbers:
    """Take means over the seeds."""
    accuracy = mean_and_spread(run["mean_accuracy"] for run in runs)
    matrices = np.array([run["accuracy_matrix"]["accuracy"] for run in runs], np.float64)
    forgotten = [run["forgetting"] for run in runs if run["forgetting"] is not None]
    return {
        "accuracy_matrix": [list(map(_finite, line)) for line in matrices.mean(axis=0)],
        "mean_accuracy": accuracy.mean,
        "mean_accuracy_std": _finite(accuracy.std),
        "forgetting": float(np.mean(forgotten)) if forgotten else None,
        "seconds_per_round": float(np.mean([run["seconds"] for run in runs])),
        "bytes_kept": max(run["bytes_kept"] for run in runs),
    }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def last_line(matrix: list[list[float | None]]) -> str:
    """Show the accuracies after the last round."""
    return " ".join("-" if value is None else f"{value:.3f}" for value in matrix[-1])


STREAM = Benchmark(
    name="stream",
    script=__file__,
    columns={
        "accuracy_matrix": last_line,
        "mean_accuracy": ".3f",
        "mean_accuracy_std": ".3f",
        "forgetting": ".3f",
        "seconds_per_round": ".1f",
        "bytes_kept": ",d",
    },
    rows=rows,
    configure=configure,
    facts=facts,
    gather=gather,
    runs=lambda options: len(options.seeds),
)

if __name__ == "__main__":
    sys.exit(main(STREAM))
