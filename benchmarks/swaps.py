"""Swap models under load: what clients get while the hot-update thread exchanges what answers.

    sedna-tinyms bench swaps --swaps 200 --clients 8 --json OUT

The inference worker's parts are the real ones: `ONNXBackend`, the embedded library's hot-update
thread, and the runner's `HotUpdate`, which lays models down and announces them. Clients predict in
threads without pause. Each answer names the version that gave it, and is compared with what that
version answers when it is alone. Between good models come bad ones, of every kind in turn.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from arguments import at_least_one
from harness import Benchmark, Numbers, Row, Run, main
from machine import resident_mb
from numpy.typing import NDArray

from estimators import OnnxClassifier
from estimators.model_card import ModelCard
from sedna_tinyms.backend import ONNXBackend
from sedna_tinyms.errors import WorkerError
from sedna_tinyms.jobs.deploy import HotUpdate
from sedna_tinyms.sedna.core.hot_update import ModelLoadingThread

NAMES = ("bolt", "gear", "nut")
SIDE, HIDDEN = 32, 256
MODELS = 10
"""Different good models, in turn."""

PICTURES = 8
POLL_SECONDS = 0.02
PATIENCE_SECONDS = 60.0
WARM_UP = 0.25
"""The share of updates before memory is looked at: allocators and caches have settled then."""

SAME = 1e-5


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--swaps", type=at_least_one, default=200, help="good models in all")
    parser.add_argument("--clients", type=at_least_one, default=8, help="threads that predict")
    parser.add_argument("--bad-every", type=at_least_one, default=5, help="good models")


def write_model(path: Path, seed: int, names: tuple[str, ...] = NAMES, **change: Any) -> Path:
    """Write a classifier with random weights of 3 MB.

    Parameters
    ----------
    path, seed
        Where to; which.
    names : tuple of str
        Its classes.
    **change
        ``weight=nan`` spoils the last layer; ``described=False`` leaves the description out.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    draw = np.random.default_rng(seed)
    head = draw.normal(size=(HIDDEN, len(names))) * change.get("weight", 0.05)
    weights = {
        "scale": np.array(1 / 255),
        "first": draw.normal(size=(3 * SIDE * SIDE, HIDDEN)) / SIDE,
        "head": head,
    }
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "scale"], ["scaled"]),
        helper.make_node("Flatten", ["scaled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "first"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["positive"]),
        helper.make_node("MatMul", ["positive", "head"], ["logits"]),
    ]
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["N", 3, SIDE, SIDE])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", len(names)])
    constants = [numpy_helper.from_array(w.astype(np.float32), n) for n, w in weights.items()]
    graph = helper.make_graph(nodes, "classifier", [pixels], [logits], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    if change.get("described", True):
        helper.set_model_props(model, ModelCard(names, 1.0, SIDE).metadata())
    onnx.save(model, path)
    return path


def write_bad_models(directory: Path, good: Path) -> dict[str, Path]:
    """Write a model of each kind that must be refused."""
    bad = {
        name: directory / f"{name}.onnx" for name in ("truncated", "empty", "text", "flipped bytes")
    }
    content = good.read_bytes()
    bad["truncated"].write_bytes(content[: len(content) // 2])
    bad["empty"].write_bytes(b"")
    bad["text"].write_text("this is no model\n" * 100, encoding="utf-8")
    bad["flipped bytes"].write_bytes(bytes(255 - byte for byte in content[:999]) + content[999:])
    bad["not a number"] = write_model(directory / "nan.onnx", 1, weight=np.nan)
    bad["foreign"] = write_model(directory / "foreign.onnx", 1, described=False)
    bad["other classes"] = write_model(directory / "classes.onnx", 1, ("bolt", "gear", "screw"))
    return bad


def classifier() -> OnnxClassifier:
    """Return what the worker script of an edge device hands to Sedna."""
    return OnnxClassifier(NAMES, "onnxruntime", threads=1)


@dataclass
class Clients:
    """Threads that predict without pause, and what they saw.

    Parameters
    ----------
    backend : ONNXBackend
        What they ask.
    pictures : list of ndarray
        What they ask about.
    expected : mapping
        By version, the answer for each picture.
    """

    backend: ONNXBackend
    pictures: list[NDArray[np.uint8]]
    expected: Mapping[str, NDArray[np.float64]]
    answers: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, number: int) -> None:
        """Predict until `done`."""
        answers: Counter[str] = Counter()
        seconds = []
        while not self.done.is_set():
            number = (number + 1) % len(self.pictures)
            begin = time.perf_counter()
            try:
                answer = self.backend.predict(self.pictures[number])
            except Exception as error:  # any at all is a lost request
                self.faults.append(f"failed: {error!r:.200}")
                continue
            seconds.append(time.perf_counter() - begin)
            answers[answer.version] += 1
            own = self.expected.get(answer.version)
            if own is None:
                self.faults.append(f"the version {answer.version!r} was never deployed")
            elif np.abs(own[number] - np.array(answer)).max() > SAME:
                self.faults.append(f"not the answer of version {answer.version}")
        with self.lock:
            self.answers += answers
            self.seconds += seconds


class Deployments:
    """Announces models as the runner does, and waits for what the worker reports."""

    def __init__(self, directory: Path, backend: ONNXBackend) -> None:
        self.hot_update = HotUpdate(directory)
        self.reports: SimpleQueue[str] = SimpleQueue()
        os.environ["MODEL_HOT_UPDATE_CONFIG"] = str(self.hot_update.config)
        self.thread = ModelLoadingThread(
            backend, lambda status, **_: self.reports.put(status), period=POLL_SECONDS
        )
        self.count = 0

    def announce(self, model: Path) -> str:
        """Return what the worker says of a model: ``completed`` or ``failed``."""
        self.count += 1
        version = self.hot_update.lay_down(model, self.count)
        self.hot_update.announce(version)
        try:
            status = self.reports.get(timeout=PATIENCE_SECONDS)
        except Empty:
            raise WorkerError(
                f"nothing was reported about {model.name}: is the thread alive?", code="timeout"
            ) from None
        self.hot_update.tidy(version)
        return status


def swap(options: argparse.Namespace, run: Run) -> Numbers:
    """Exchange models while clients predict; return what was seen."""
    good = [write_model(run.own / f"{seed}.onnx", seed) for seed in range(MODELS)]
    bad = write_bad_models(run.own, good[0])
    draw = np.random.default_rng(0)
    pictures = list(draw.integers(0, 256, (PICTURES, SIDE, SIDE, 3), dtype=np.uint8))
    expected = dict(map(partial(answers_of, pictures=pictures), good))
    deployments = run.own / "hot"
    deployments.mkdir()
    backend = ONNXBackend(classifier, model_save_path=str(good[0]))
    backend.load()
    worker = Deployments(deployments, backend)
    clients = Clients(backend, pictures, expected)
    threads = [threading.Thread(target=clients.run, args=(n,)) for n in range(options.clients)]
    for thread in (worker.thread, *threads):
        thread.start()
    try:
        held, lost, longest = _exchange(options, worker, good, bad)
    finally:
        clients.done.set()
        worker.thread.stop()
        for thread in (worker.thread, *threads):
            thread.join(PATIENCE_SECONDS)
    updates = worker.thread.loaded + sum(worker.thread.refused.values())
    return {
        "swaps": worker.thread.loaded,
        "refused": sum(worker.thread.refused.values()),
        "refused_by_kind": dict(worker.thread.refused),
        "wrongly_taken_or_refused": lost,
        "answers": sum(clients.answers.values()),
        "versions_that_answered": len(clients.answers),
        "faults": len(clients.faults),
        "first_faults": clients.faults[:5],
        "median_ms": 1e3 * float(np.percentile(clients.seconds, 50)),
        "p99_ms": 1e3 * float(np.percentile(clients.seconds, 99)),
        "longest_update_s": longest,
        "updates": updates,
        **held,
    }


def answers_of(model: Path, pictures: list[NDArray[np.uint8]]) -> tuple[str, NDArray[np.float64]]:
    """Return a model's version and what it answers when it is alone."""
    alone = classifier()
    alone.load(model)
    return str(alone.version), np.array([alone.predict(picture) for picture in pictures])


def _exchange(
    options: argparse.Namespace, worker: Deployments, good: list[Path], bad: Mapping[str, Path]
) -> tuple[Numbers, list[str], float]:
    """Announce all models; return what grew, what was taken or refused wrongly, the slowest."""
    kinds, lost, longest = list(bad), [], 0.0
    warm, before = max(1, int(options.swaps * WARM_UP)), _holdings()
    first = 0
    for number in range(1, options.swaps + 1):
        if number % options.bad_every == 0:
            kind = kinds[number // options.bad_every % len(kinds)]
            if worker.announce(bad[kind]) != "failed":
                lost.append(f"{kind} was taken")
        begin = time.perf_counter()
        if worker.announce(good[number % len(good)]) != "completed":
            lost.append(f"swap {number} was refused: {worker.thread.reason:.200}")
        longest = max(longest, time.perf_counter() - begin)
        if number == warm:
            before, first = _holdings(), worker.count
    after = _holdings()
    grown = {f"{name}_grown": after[name] - before[name] for name in after}
    updates = max(1, worker.count - first)
    return grown | {"mb_per_update": grown["resident_mb_grown"] / updates}, lost, longest


def _holdings() -> dict[str, float]:
    """Return what a leak would make grow."""
    return {
        "resident_mb": resident_mb(),
        "threads": len(os.listdir("/proc/self/task")),  # noqa: PTH208 - Python's and others'
        "handles": len(os.listdir("/proc/self/fd")),  # noqa: PTH208
    }


BENCHMARK = Benchmark(
    name="swaps",
    script=__file__,
    columns={
        "swaps": ",d",
        "refused": ",d",
        "answers": ",d",
        "faults": ",d",
        "median_ms": ".2f",
        "p99_ms": ".2f",
        "longest_update_s": ".2f",
        "mb_per_update": ".3f",
        "threads_grown": "+d",
        "handles_grown": "+d",
    },
    rows=lambda _: [Row("ONNXBackend", swap, ("onnx", "onnxruntime"), once=True)],
    configure=configure,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
