"""Which rule should deploy: arrivals of labels played through the job's own bookkeeping.

    sedna-tinyms bench gates --data DIR --weights FILE --json OUT

A job is played without workers: its journal, its ledger of samples, the check of an arrival's
labels, the decision and the search for wrong labels are the product's. Training is the strategy
`head`, with everything remembered: softmax regression on the pooled features of the pretrained
network, which are reduced to 256 principal components of the training pictures. A quarter of the
labels is held out. The pictures for testing take no part in it.

Rules:

before
    That of release 0.1: a two-sided McNemar test at 95 % and 2 points more accuracy on the
    evaluation samples of the last five arrivals; labels of a round that is not deployed are lost.
keep
    Labels wait until a deployed model has learned them, all that is held out is evidence, and a
    model is deployed that gets as many right; an arrival that makes a model surely worse is kept
    out.
check
    The default: as `keep`, after a check of the labels of each arrival by the model in service.
sure-75, sure-90
    As `check`, but a model must be better with this probability.

Streams: the domains `mixed`; one after the other (`domains`); groups of classes one after the other
(`classes`). Labels: right (`clean`); a fifth of them wrong (`noise`); every fifth arrival wholly
mislabelled (`fifth`), or the first (`first`).

For each size of an arrival: `end`, the accuracy at the end minus that of learning all right labels
at once, in points; `harmful`, deployments of a model that is more than 2 points worse than the one
before (4 with fewer than 400 test pictures), of all rounds; `caught`, mislabelled arrivals kept
out; `false`, right ones kept out. ``harmful_most`` and ``false_most`` are upper bounds at 95 %
(Clopper and Pearson). Numbers are over all seeds. `CLEARLY` in `sedna_tinyms.jobs.arrivals` was
chosen on the seeds 10 and 11, which the published figures leave out. All seeds draw from the same
training pictures; only the test pictures are apart.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from arguments import at_least_ones
from harness import Benchmark, Numbers, Row, Run, main
from labelled_pictures import add_options, class_names, read_domains
from mining import FEATURES, prepare
from numpy.typing import NDArray

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
COMPONENTS = 256
TRAIN_PROB = 0.75
MOST_ROUNDS = 40
MOST_PICTURES = 640
RULES: dict[str, tuple[bool, float]] = {
    "keep": (False, 0.5),
    "check": (True, 0.5),
    "sure-75": (True, 0.75),
    "sure-90": (True, 0.9),
}
"""Whether the labels of an arrival are checked, and the probability that is asked for."""
STREAMS = (
    *("mixed clean", "domains clean", "classes clean", "mixed noise"),
    *("mixed fifth", "domains fifth", "mixed first"),
)
YAML = """
apiVersion: sedna.io/v1alpha1
kind: Dataset
metadata: {name: stream}
spec: {url: /data/stream.txt, format: txt, nodeName: laptop}
---
apiVersion: sedna.io/v1alpha1
kind: Model
metadata: {name: model}
spec: {url: /models/model.ckpt, format: ckpt}
---
apiVersion: sedna.io/v1alpha1
kind: IncrementalLearningJob
metadata: {name: gates}
spec:
  initialModel: {name: model}
  dataset: {name: stream, trainProb: 0.75}
  trainSpec:
    template: {spec: {nodeName: laptop, containers: [{name: w, image: w, args: [train.py]}]}}
    trigger: {condition: {operator: ">=", threshold: 1, metric: num_of_samples}}
  evalSpec:
    template: {spec: {nodeName: laptop, containers: [{name: w, image: w, args: [eval.py]}]}}
  deploySpec:
    model: {name: model, hotUpdateEnabled: true, pollPeriodSeconds: 1}
    trigger: {condition: {operator: ">", threshold: 0, metric: "gate_delta[0]"}}
    hardExampleMining: {name: Random}
    template: {spec: {nodeName: laptop, containers: [{name: w, image: w, args: [infer.py]}]}}
  outputDir: /output
"""


@dataclass
class Pictures:
    """Features, the right classes, and the labels that arrive."""

    features: NDArray[np.float32]
    classes: NDArray[np.int64]
    labels: NDArray[np.int64]


@dataclass
class Model:
    """A linear classifier and the classes that it has learned."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    learned: set[int] = field(default_factory=set)

    def answers(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probabilities of each row of features."""
        logits = (features @ self.weight.T + self.bias).astype(np.float64)
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))

    def metrics(self, pictures: Pictures, chosen: Sequence[int]) -> dict[str, list[float]]:
        """Return what an evaluation of these pictures reports."""
        answers, labels = self.answers(pictures.features[chosen]), pictures.labels[chosen]
        lead = answers.max(axis=1) - answers[np.arange(len(labels)), labels]
        known = np.isin(labels, list(self.learned))
        right = (answers.argmax(axis=1) == labels).astype(float)
        contradiction = np.where(known, np.round(lead * 50) / 50, -1.0)
        return {
            "accuracy": [float(right.mean())],
            "correct": right.tolist(),
            "contradiction": contradiction.tolist(),
        }

    def accuracy(self, features: NDArray[np.float32], classes: NDArray[np.int64]) -> float:
        """Return the share of right answers."""
        return float(np.mean(self.answers(features).argmax(axis=1) == classes))


def learn(pictures: Pictures, chosen: Sequence[int], rounds: Sequence[int], count: int) -> Model:
    """Solve the head for these pictures, each round counting alike, as the strategy `head`."""
    from sedna_tinyms.learning.softmax_regression import softmax_regression
    from sedna_tinyms.learning.strategies.head import PENALTY, domain_shares

    inputs, labels = pictures.features[chosen], pictures.labels[chosen]
    centre = inputs.mean(axis=0)
    inputs = inputs - centre
    scale = np.sqrt(np.square(inputs).sum(axis=1).mean()) or np.float32(1)
    start = np.zeros((count, inputs.shape[1]), np.float32), np.zeros(count, np.float32)
    shares = domain_shares([str(number) for number in rounds])
    weight, bias, _ = softmax_regression(
        inputs / scale, labels, start, shares=shares, penalty=PENALTY
    )
    weight = weight / scale
    return Model(weight, bias - weight @ centre, set(labels.tolist()))


@dataclass
class Played:
    """What came of a stream."""

    in_service: list[Model]
    rounds: int = 0
    kept_out: set[int] = field(default_factory=set)
    learned: int = 0
    lost: int = 0


class Player:
    """Plays a job without workers: the product's bookkeeping, and `learn` for a training.

    Parameters
    ----------
    pictures : Pictures
        In the order of their arrival.
    classes : int
        How many there are.
    directory : Path
        For the job's YAML, dataset and journal.
    checks : bool
        Whether the labels of an arrival are checked.
    confidence : float
        With which probability a model must be the better one.
    """

    def __init__(
        self, pictures: Pictures, classes: int, directory: Path, *, checks: bool, confidence: float
    ) -> None:
        from sedna_tinyms.jobs import load_job
        from sedna_tinyms.jobs.state import JobState

        self.pictures, self.classes = pictures, classes
        self.checks, self.confidence = checks, confidence
        (directory / "job.yaml").write_text(YAML)
        self.dataset = directory / "stream.txt"
        self.dataset.touch()
        self.job = load_job(directory / "job.yaml")
        self.state = JobState(directory / "journal.jsonl", self.job, self.dataset)
        self.state.run_begins(None, resumes=False)
        self.models: dict[int | None, Model] = {None: untrained(pictures, classes)}
        self.deployed: int | None = None
        self.trained_in: dict[int, int] = {}
        self.played = Played([self.models[None]])

    def arrive(self, arriving: range) -> None:
        """Let labels arrive, and play the rounds that follow."""
        with self.dataset.open("a") as file:
            file.write("".join(f"{i} {self.pictures.labels[i]}\n" for i in arriving))
        self.state.samples_arrive(self.state.reader.read_new(float(arriving.start)))
        while self.state.ledger.may_start:
            self._play_round()

    def end(self) -> Played:
        """Return what came of it."""
        summary, played = self.state.ledger.summary(), self.played
        played.kept_out = {each["arrival"] for each in summary["quarantine"]}
        played.learned = summary["learned"]
        named = ("waiting", "learned", "held_out", "set_aside", "quarantined")
        played.lost = len(self.pictures.labels) - sum(summary[name] for name in named)
        return played

    def _play_round(self) -> None:
        from sedna_tinyms.jobs.records import QUARANTINED

        state, record = self.state, self.state.round_begins()
        self.played.rounds += 1
        if state.step == "check":
            state.labels_checked(self._contradicted())
        if record.quarantined and not state.has_something_new:
            record.finish(QUARANTINED, "", "contradicted")
        else:
            self._train()
            self._decide()
        state.round_ends()

    def _contradicted(self) -> dict[int, str]:
        """Return the arrivals that the model in service contradicts, as the runner does."""
        from sedna_tinyms.jobs.arrivals import (
            OTHERS_AT_LEAST,
            check_arrival,
            recognised_classes,
            why_no_reference,
        )

        ledger = self.state.ledger
        asked = {number: ledger.arrivals[number].active for number in self.state.checking}
        others: dict[int, list[Any]] = {}
        for each in ledger.evidence(asked):
            others.setdefault(each.arrival, []).append(each)
        if not self.checks or self.deployed is None or len(others) < OTHERS_AT_LEAST:
            return {}
        correct = {n: self._metrics(self.deployed, found)["correct"] for n, found in others.items()}
        labels = {n: [each.label for each in found] for n, found in others.items()}
        if why_no_reference(correct, labels):
            return {}
        known = recognised_classes(
            [each for n in others for each in correct[n]],
            [each for n in others for each in labels[n]],
        )
        verdicts = {
            number: check_arrival(
                self._metrics(self.deployed, samples)["contradiction"],
                [each.label for each in samples],
                known,
            )
            for number, samples in asked.items()
        }
        return {n: each.reason for n, each in verdicts.items() if each.outcome == "contradicted"}

    def _train(self) -> None:
        state, record, ledger = self.state, self.state.records[-1], self.state.ledger
        chosen = [each.number - 1 for each in ledger.train_samples]
        known = [each.number - 1 for each in ledger.samples if each.state == "learned"]
        rounds = [self.trained_in[number] for number in known] + [record.round] * len(chosen)
        self.models[record.round] = learn(self.pictures, known + chosen, rounds, self.classes)
        record.models = [{"format": "ckpt", "url": f"/{record.round}", "metrics": None}]
        state.step_done()

    def _decide(self) -> None:
        from sedna_tinyms.gate import passes
        from sedna_tinyms.jobs.decision import DEPLOYED, NOT_PROVEN, decide

        state, record, ledger = self.state, self.state.records[-1], self.state.ledger
        state.evaluation_begins()
        if not ledger.eval_samples:
            record.finish(NOT_PROVEN, "", "no-evidence")
            return
        new, old = (self._metrics(n, ledger.eval_samples) for n in (record.round, self.deployed))
        new["gate"], old["gate"] = [float(bool(passes(new, old, self.confidence)))], [0.0]
        state.step_done()
        results = [{"metrics": new}, {"metrics": old}]
        trigger, noon = self.job.spec.deploy_trigger, datetime.time(12)
        decision = decide(results, trigger, noon, confidence=self.confidence)
        if decision.test is not None:
            record.tested(decision.test)
        record.finish(decision.outcome, decision.reason, decision.code)
        if decision.outcome == DEPLOYED:
            self.deployed = record.round
            learned = [each.number - 1 for each in ledger.train_samples]
            self.trained_in |= dict.fromkeys(learned, record.round)
            self.played.in_service.append(self.models[self.deployed])

    def _metrics(self, number: int | None, samples: Sequence[Any]) -> dict[str, list[float]]:
        return self.models[number].metrics(self.pictures, [each.number - 1 for each in samples])


def untrained(pictures: Pictures, classes: int) -> Model:
    """Return a model that has learned nothing."""
    weight = np.zeros((classes, pictures.features.shape[1]), np.float32)
    return Model(weight, np.zeros(classes, np.float32))


def play(pictures: Pictures, size: int, classes: int, *, checks: bool, confidence: float) -> Played:
    """Play a job whose arrivals have so many labels."""
    with tempfile.TemporaryDirectory() as directory:
        player = Player(pictures, classes, Path(directory), checks=checks, confidence=confidence)
        for start in range(0, len(pictures.labels), size):
            player.arrive(range(start, min(start + size, len(pictures.labels))))
        return player.end()


def play_before(pictures: Pictures, size: int, count: int) -> Played:
    """Play the rule of release 0.1."""
    model = untrained(pictures, count)
    played = Played([model])
    known: list[int] = []
    rounds: list[int] = []
    window: list[range] = []
    for number, start in enumerate(range(0, len(pictures.labels), size)):
        arriving = range(start, min(start + size, len(pictures.labels)))
        cut = start + int(TRAIN_PROB * len(arriving))
        window = [*window, range(cut, arriving.stop)][-5:]
        chosen, places = list(range(start, cut)), [i for part in window for i in part]
        if not chosen or not places:
            continue
        played.rounds += 1
        candidate = learn(pictures, known + chosen, [*rounds, *[number] * len(chosen)], count)
        new, old = (np.array(m.metrics(pictures, places)["correct"]) for m in (candidate, model))
        wins, losses = int(np.sum(new > old)), int(np.sum(new < old))
        if new.mean() - old.mean() > 0.02 and _two_sided(wins, losses) < 0.05 and wins > losses:
            model, known = candidate, known + chosen
            rounds += [number] * len(chosen)
            played.in_service.append(model)
    played.learned = len(known)
    return played


def _two_sided(wins: int, losses: int) -> float:
    from scipy.stats import binomtest

    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def stream_of(
    parts: Sequence[tuple[NDArray[np.float32], NDArray[np.int64]]],
    stream: str,
    size: int,
    seed: int,
) -> tuple[Pictures, set[int]]:
    """Return the pictures in the order of a stream, and the numbers of mislabelled arrivals."""
    order_by, noise = stream.split()
    rng = np.random.default_rng([seed, size])
    features = np.concatenate([part[0] for part in parts])
    classes = np.concatenate([part[1] for part in parts])
    domains = np.concatenate([np.full(len(part[1]), n) for n, part in enumerate(parts)])
    most = min(MOST_PICTURES, MOST_ROUNDS * size)
    order = rng.permutation(len(classes))[:most]
    count = int(classes.max()) + 1
    if order_by == "domains":
        order = order[np.argsort(domains[order], kind="stable")]
    if order_by == "classes":
        group = rng.permutation(count)[classes[order]] * 3 // count
        order = order[np.argsort(group, kind="stable")]
    right = classes[order]
    labels = right.copy()
    if noise == "noise":
        wrong = rng.random(len(labels)) < 0.2
        labels[wrong] = (right[wrong] + rng.integers(1, count, int(wrong.sum()))) % count
    arrivals = range(-(-len(labels) // size))
    bad = {n for n in arrivals if (noise == "fifth" and n % 5 == 4) or (noise == "first" and not n)}
    for number in bad:
        batch = slice(number * size, (number + 1) * size)
        labels[batch] = (right[batch] + 1 + rng.integers(count - 1)) % count
    return Pictures(features[order], right, labels), {number + 1 for number in bad}


def measure(rule: str, stream: str, options: argparse.Namespace, run: Run) -> Numbers:
    """Play a stream by a rule, with each size and seed."""
    trains, test_features, test_classes = _read(run.shared / FEATURES)
    count = int(max(part[1].max() for part in trains)) + 1
    margin = 0.02 if len(test_classes) >= 400 else 0.04
    sizes = {}
    for size in options.sizes:
        ends, totals = [], np.zeros(6, int)
        learned, lost = [], 0
        for seed in options.seeds:
            pictures, bad = stream_of(trains, stream, size, seed)
            if rule == "before":
                played = play_before(pictures, size, count)
            else:
                checks, confidence = RULES[rule]
                played = play(pictures, size, count, checks=checks, confidence=confidence)
            at_once = learn(
                Pictures(pictures.features, pictures.classes, pictures.classes),
                range(len(pictures.labels)),
                [0] * len(pictures.labels),
                count,
            ).accuracy(test_features, test_classes)
            found = [m.accuracy(test_features, test_classes) for m in played.in_service]
            ends.append(100 * (found[-1] - at_once))
            harmful = sum(b < a - margin for a, b in pairwise(found))
            arrivals = -(-len(pictures.labels) // size)
            caught, false = len(played.kept_out & bad), len(played.kept_out - bad)
            totals += (harmful, played.rounds, caught, len(bad), false, arrivals - len(bad))
            learned.append(played.learned / max(1, len(pictures.labels)))
            lost += played.lost
        harmful, rounds, caught, bad_count, false, good = totals.tolist()
        sizes[str(size)] = {
            "end": float(np.mean(ends)),
            "end_error": float(np.std(ends) / max(1, len(ends) - 1) ** 0.5),
            "harmful": harmful,
            "rounds": rounds,
            "harmful_most": _most(harmful, rounds),
            "caught": caught,
            "mislabelled": bad_count,
            "false": false,
            "right": good,
            "false_most": _most(false, good),
            "learned": float(np.mean(learned)),
            "lost": lost,
        }
    return {"stream": stream, "sizes": sizes, **_columns(sizes)}


def _columns(sizes: dict[str, dict[str, Any]]) -> Numbers:
    ends = {f"end_{size}": each["end"] for size, each in sizes.items()}
    total = {
        name: sum(each[name] for each in sizes.values())
        for name in ("harmful", "rounds", "caught", "mislabelled", "false", "right")
    }
    return {
        **ends,
        "harmful": f"{total['harmful']}/{total['rounds']}",
        "caught": f"{total['caught']}/{total['mislabelled']}",
        "false": f"{total['false']}/{total['right']}",
    }


def _most(events: int, trials: int) -> float:
    """Return the upper bound of a share, at 95 %."""
    from scipy.stats import beta

    return 1.0 if events >= trials else float(beta.ppf(0.95, events + 1, trials - events))


def _read(
    path: Path,
) -> tuple[
    list[tuple[NDArray[np.float32], NDArray[np.int64]]], NDArray[np.float32], NDArray[np.int64]
]:
    """Return the training part of each domain and the test parts together, reduced."""
    with np.load(path, allow_pickle=False) as arrays:
        count = len(arrays.files) // 4
        trains = [(arrays[f"{n} train"], arrays[f"{n} train labels"]) for n in range(count)]
        tests = [(arrays[f"{n} test"], arrays[f"{n} test labels"]) for n in range(count)]
    everything = np.concatenate([features for features, _ in trains])
    centre = everything.mean(axis=0)
    _, _, axes = np.linalg.svd(everything - centre, full_matrices=False)
    axes = axes[:COMPONENTS].T

    def reduced(features: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray((features - centre) @ axes, np.float32)

    return (
        [(reduced(features), labels) for features, labels in trains],
        reduced(np.concatenate([features for features, _ in tests])),
        np.concatenate([labels for _, labels in tests]),
    )


def configure(parser: argparse.ArgumentParser) -> None:
    add_options(parser)
    parser.add_argument(
        "--sizes", type=at_least_ones, default=[4, 8, 16, 32, 64], help="labels of an arrival"
    )


def rows(_: argparse.Namespace) -> list[Row]:
    return [
        Row(rule, partial(measure, rule, stream), environment=ONE_THREAD, once=True)
        for stream in STREAMS
        for rule in ("before", *RULES)
    ]


def facts(options: argparse.Namespace) -> Numbers:
    domains = read_domains(options.data, options.domains, options.images)
    return {"domains": [each.name for each in domains], "classes": class_names(domains)}


GATES = Benchmark(
    name="gates",
    script=__file__,
    columns={
        "stream": "",
        **{f"end_{size}": "+.1f" for size in (4, 8, 16, 32, 64)},
        "harmful": "",
        "caught": "",
        "false": "",
    },
    rows=rows,
    configure=configure,
    prepare=prepare,
    facts=facts,
)

if __name__ == "__main__":
    sys.exit(main(GATES))
