"""Chooses the engine asked for, or the fastest one installed, and opens a model on it."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import numpy as np

from sedna_tinyms.engine.choice import Choice, recall, remember
from sedna_tinyms.engine.cpu import bfloat16_is_native, processor, usable_cores
from sedna_tinyms.engine.engine import Engine
from sedna_tinyms.engine.onnx_file import FREE, OnnxFile, read_onnx
from sedna_tinyms.engine.onnxruntime_engine import OnnxRuntimeEngine
from sedna_tinyms.engine.openvino_engine import OpenVinoEngine
from sedna_tinyms.errors import (
    ConfigurationError,
    ForeignModelError,
    MissingExtraError,
    ModelFileError,
    Problems,
    did_you_mean,
)

__all__ = ["available_engines", "choose_engine", "open_engine"]

logger = logging.getLogger(__name__)

ENGINES: dict[str, Callable[[OnnxFile, Choice], Engine]] = {
    "onnxruntime": OnnxRuntimeEngine,
    "openvino": OpenVinoEngine,
}
EXTRAS = {"onnxruntime": "edge", "openvino": "openvino"}
PRECISIONS = ("f32", "bf16", "auto")
TURNS, TURN_SECONDS = 3, 0.1
"""How often and how long each candidate is measured."""

LEVEL = 1.1
"""Times that differ by less are level, and the lighter engine wins."""


def available_engines() -> tuple[str, ...]:
    """Return the engines installed that run an ONNX file, the lightest first."""
    return tuple(name for name in ENGINES if find_spec(name) is not None)


def open_engine(
    model: str | os.PathLike[str] | bytes,
    engine: str | Choice = "auto",
    *,
    threads: int | None = None,
    precision: str = "f32",
    batch: int = 1,
    input_shape: Sequence[int] | None = None,
    outputs: Mapping[str, Sequence[int]] | None = None,
) -> Engine:
    """Make an ONNX model ready to run.

    Parameters
    ----------
    model : path or bytes
        An ONNX file, or its content.
    engine : {"auto", "onnxruntime", "openvino"} or Choice
        As for `choose_engine`, or what that has chosen, which says all but the model.
    threads, precision, batch
        As for `choose_engine`.
    input_shape : sequence of int, optional
        The shape of a sample that the caller is going to give.
    outputs : mapping of str to sequence of int, optional
        Outputs that the caller needs, with their shapes for one sample.

    Raises
    ------
    ModelFileError
        If the file is missing or broken, or no engine can load it.
    ForeignModelError
        If it takes or gives something else than the caller expects.
    MissingExtraError
        If the engine, or for ``auto`` any engine, is not installed.
    ConfigurationError
        If an argument is out of its range.
    """
    candidates = (
        [engine] if isinstance(engine, Choice) else _candidates(engine, threads, precision, batch)
    )
    file = read_onnx(model)
    _check_face(file, input_shape, outputs)
    choice = _best(file, candidates, batch)
    opened = ENGINES[choice.engine](file, choice)
    logger.info("%s runs on %s", file.source, choice)
    return opened


def choose_engine(
    model: str | os.PathLike[str] | bytes,
    engine: str = "auto",
    *,
    threads: int | None = None,
    precision: str = "f32",
    batch: int = 1,
    measure: bool = True,
) -> Choice:
    """Say what `open_engine` runs a model on, without opening it if that is known.

    Parameters
    ----------
    model : path or bytes
        An ONNX file, or its content.
    engine : {"auto", "onnxruntime", "openvino"}
        ``auto`` takes the fastest installed; it measures them once for each network, processor and
        set of versions, and remembers the result in the user's cache directory.
    threads : int, optional
        Cores for one run; all that this process may use by default.
    precision : {"f32", "bf16", "auto"}
        ``bf16`` has 8 bits of mantissa and is faster where the processor has it; elsewhere, and on
        ONNX Runtime, it is f32, and `Engine.choice` says so. ``auto`` lets the time decide.
    batch : int
        Samples in a typical call, with which ``auto`` measures.
    measure : bool
        False takes the lightest engine where nothing is remembered: for a process whose own memory
        or time counts, which opening every engine would take.

    Raises
    ------
    ModelFileError, ForeignModelError, MissingExtraError, ConfigurationError
        As `open_engine`.
    """
    candidates = _candidates(engine, threads, precision, batch)
    return _best(read_onnx(model), candidates, batch, measure=measure)


def _candidates(engine: str, threads: int | None, precision: str, batch: int) -> list[Choice]:
    """Return the ways in which what is installed can fulfil what was asked for."""
    threads = usable_cores() if threads is None else threads
    _check_arguments(engine, threads, precision, batch)
    installed = available_engines() if engine == "auto" else (engine,)
    if not installed:
        raise MissingExtraError(
            "running an ONNX model needs an engine, and none is installed: "
            "pip install 'sedna-tinyms[edge]' for ONNX Runtime, or 'sedna-tinyms[openvino]'",
            code="missing-extra",
            extra="edge",
        )
    for name in installed:
        if find_spec(name) is None:
            raise MissingExtraError(
                f"the engine {name} is not installed: pip install 'sedna-tinyms[{EXTRAS[name]}]'",
                code="missing-extra",
                extra=EXTRAS[name],
            )
    return [choice for name in installed for choice in _choices(name, threads, precision, engine)]


def _choices(name: str, threads: int, precision: str, asked: str) -> list[Choice]:
    """Return the ways in which an engine can fulfil what was asked for."""
    reason = "the only engine installed" if asked == "auto" else "asked for"
    if precision == "f32":
        return [Choice(name, "f32", threads, reason)]
    if name != "openvino":
        return [Choice(name, "f32", threads, f"{reason}; {name} has no bf16 on a CPU")]
    if not bfloat16_is_native():
        return [Choice(name, "f32", threads, f"{reason}; this processor has no bf16")]
    narrow = Choice(name, "bf16", threads, reason)
    if precision == "bf16":
        return [narrow]
    return [Choice(name, "f32", threads, reason), narrow]


def _best(
    file: OnnxFile, candidates: Sequence[Choice], batch: int, *, measure: bool = True
) -> Choice:
    """Return the candidate with the shortest time a sample, measured now or earlier.

    The lightest stands first among `candidates`.
    """
    if len(candidates) == 1:
        return candidates[0]
    named = {f"{choice.engine} {choice.precision}": choice for choice in candidates}
    batch = min(batch, Engine.samples_at_once)  # of more, an engine computes so many at once
    question = {
        "structure": file.structure,
        "processor": processor(),
        "threads": candidates[0].threads,
        "batch": batch,
        "candidates": list(named),
        "versions": {choice.engine: _version(choice.engine) for choice in candidates},
    }
    milliseconds = recall(question)
    measured = "earlier"
    if not milliseconds and not measure:
        return replace(candidates[0], reason="the lightest, none was measured yet")
    if not milliseconds:
        measured = "now"
        milliseconds, failures = _measure(file, named, batch)
        if not failures:
            remember(question, milliseconds)
    least = min(milliseconds.values())
    best = next(name for name in named if milliseconds.get(name, math.inf) <= LEVEL * least)
    rank = "the fastest" if milliseconds[best] == least else "the lightest as fast as others"
    _, colon, note = named[best].reason.partition("; ")
    reason = f"{rank} of {len(milliseconds)}, measured {measured}{colon}{note}"
    return replace(named[best], reason=reason, milliseconds=milliseconds, measured=measured)


def _version(engine: str) -> str:
    try:
        return version(engine)
    except PackageNotFoundError:  # the module is another distribution's, as onnxruntime-gpu's
        return "unknown"


def _measure(
    file: OnnxFile, candidates: Mapping[str, Choice], batch: int
) -> tuple[dict[str, float], Problems]:
    """Return the milliseconds a sample of each engine that can load the model; why others cannot.

    That of its best run, as others use the cores too.
    """
    failures = Problems()
    with ExitStack() as opened:
        engines: dict[str, Engine] = {}
        for name, choice in candidates.items():
            try:
                engines[name] = opened.enter_context(ENGINES[choice.engine](file, choice))
            except (ModelFileError, MissingExtraError) as error:
                logger.warning("%s is left out: %s", name, error)
                failures.add(str(error), code=error.code, **error.fields)
        if not engines:
            raise failures.as_error(ModelFileError, f"no engine can load {file.source}")
        seconds = _best_runs(engines, batch)
    return {name: round(1000 * took / batch, 4) for name, took in seconds.items()}, failures


def _best_runs(engines: Mapping[str, Engine], batch: int) -> dict[str, float]:
    """Return the seconds of each engine's best run.

    The engines take turns, so that a busy moment does not fall on one of them alone; turns of many
    runs, and of one at least, because an engine's threads wait busily for a moment after the last.
    """
    draw = np.random.default_rng(0)
    first = next(iter(engines.values()))
    shape = (batch, *first.input_shape)
    samples = draw.integers(0, 255, shape).astype(first.input_dtype)
    best = dict.fromkeys(engines, math.inf)
    for _ in range(TURNS):
        for name, engine in engines.items():
            begin = time.perf_counter()
            while True:
                start = time.perf_counter()
                engine.run(samples)
                now = time.perf_counter()
                best[name] = min(best[name], now - start)
                if now - begin >= TURN_SECONDS:
                    break
    return best


def _check_arguments(engine: str, threads: int, precision: str, batch: int) -> None:
    problems = Problems()
    names = ("auto", *ENGINES)
    if engine == "mindspore":
        problems.add(
            "engine is 'mindspore', which runs a network and no file: "
            "use sedna_tinyms.engine.mindspore_engine.MindSporeEngine(network, ...)",
            code="unsupported",
            name="engine",
            value=engine,
        )
    elif engine not in names:
        problems.add(
            f"engine is {engine!r}{did_you_mean(engine, names)}; it must be one of "
            + ", ".join(names),
            code="unknown-name",
            name="engine",
            value=engine,
            valid=names,
        )
    if precision not in PRECISIONS:
        hint = did_you_mean(precision, PRECISIONS)
        problems.add(
            f"precision is {precision!r}{hint}; it must be one of {', '.join(PRECISIONS)}",
            code="unknown-name",
            name="precision",
            value=precision,
            valid=PRECISIONS,
        )
    for name, value in (("threads", threads), ("batch", batch)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            problems.add(
                f"{name} is {value!r}; it must be a whole number of at least 1",
                code="out-of-range",
                name=name,
                value=value,
            )
    problems.raise_as(ConfigurationError, "the model cannot be opened")


def _check_face(
    file: OnnxFile,
    input_shape: Sequence[int] | None,
    outputs: Mapping[str, Sequence[int]] | None,
) -> None:
    """Refuse a model that takes or gives something else than its caller expects."""
    problems = Problems()
    found = file.input.shape[1:]
    if input_shape is not None and tuple(input_shape) != found:
        problems.add(
            f"it takes samples of shape {found}, not {tuple(input_shape)}",
            code="wrong-shape",
            name=file.input.name,
            value=found,
            expected=tuple(input_shape),
        )
    shapes = file.output_shapes
    for name, wanted in (outputs or {}).items():
        if name not in shapes:
            hint = did_you_mean(name, shapes)
            problems.add(
                f"it has no output {name!r}{hint}, but {', '.join(shapes)}",
                code="unknown-name",
                name="output",
                value=name,
                valid=list(shapes),
            )
        elif not _agrees(shapes[name], tuple(wanted)):
            problems.add(
                f"its output {name!r} has the shape {shapes[name]}, not {tuple(wanted)}",
                code="wrong-shape",
                name=name,
                value=shapes[name],
                expected=tuple(wanted),
            )
    problems.raise_as(ForeignModelError, f"{file.source} is another model than the one expected")


def _agrees(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return len(found) == len(wanted) and all(
        a in (FREE, b) for a, b in zip(found, wanted, strict=True)
    )
