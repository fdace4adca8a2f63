"""Whether a model file opens and answers real pictures, within limits of time and memory.

This is tried in a process of its own (``sedna-tinyms canary``), because a model that takes all of
the memory, or ends its process, must not do so where pictures are waiting for answers.
"""

from __future__ import annotations

import mmap
import os
import resource
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sedna_tinyms.errors import DatasetError, MissingExtraError, ModelFileError
from sedna_tinyms.pictures import IMAGE_SUFFIXES

__all__ = ["Canary", "find_pictures", "try_model"]

MARKS = (b"architecture", b"class_names", b"format_version", b"pad_mode")
"""Of what a model file of the estimators speaks (see `ModelCard.metadata`)."""


@dataclass
class Canary:
    """What became of a model that was tried.

    Attributes
    ----------
    outcome : {"passed", "failed", "not tried"}
        It is not tried if it is not one of this package's estimators, or there are no pictures.
    reason : str
        Why, in words.
    pictures : int
        How many were answered.
    open_seconds, first_answer_seconds : float or None
        To load the model, and from there to the first answer.
    ms_per_image : float or None
        From a picture's file to its answer, one picture at a time: the median after the first.
    peak_bytes : int or None
        Resident memory of the process at its largest.
    engine : str or None
        What computed the answers, and why it.
    code : str
        Why, for a program, as the `code` of an error; empty if it passed.
    """

    model: str
    outcome: Literal["passed", "failed", "not tried"] = "failed"
    reason: str = ""
    pictures: int = 0
    open_seconds: float | None = None
    first_answer_seconds: float | None = None
    ms_per_image: float | None = None
    peak_bytes: int | None = None
    engine: str | None = None
    code: str = ""


def try_model(
    model: Path,
    pictures: Sequence[Path],
    *,
    max_ms: float | None = None,
    max_bytes: int | None = None,
) -> Canary:
    """Open a model and let it answer pictures; nothing is raised, whatever the model does.

    Parameters
    ----------
    model : Path
        A ``.onnx`` file of the MobileNetV2 estimators, or a checkpoint of theirs.
    pictures : sequence of Path
        Some will do; those that cannot be read are passed over.
    max_ms : float, optional
        Most milliseconds for a picture.
    max_bytes : int, optional
        Most memory that the process may take.
    """
    canary = Canary(str(model))
    try:
        if not _describes_itself(model):
            reason = f"{model.name} does not describe itself, as the models of the estimators do"
            return _end(canary, "not tried", reason, "foreign-model")
        if not pictures:
            return _end(canary, "not tried", "there is no picture to try it with", "empty")
        _answer(canary, _open(canary, model), pictures)
    except (MissingExtraError, DatasetError) as error:
        return _end(canary, "not tried", str(error), error.code)
    except ModelFileError as error:
        return _end(canary, "failed", str(error), error.code)
    except Exception as error:  # whatever a broken model brings about is what is looked for
        return _end(canary, "failed", repr(error), "internal")
    finally:
        canary.peak_bytes = _peak_bytes()
    over = _over_the_limit(canary, max_ms, max_bytes)
    if over:
        return _end(canary, "failed", over, "out-of-range")
    return _end(canary, "passed", _figures(canary), "")


def _end(
    canary: Canary, outcome: Literal["passed", "failed", "not tried"], reason: str, code: str
) -> Canary:
    canary.outcome, canary.reason, canary.code = outcome, reason, code
    return canary


def find_pictures(
    source: Path, directory: Path | None = None, most: int | None = None
) -> list[Path]:
    """Return pictures of a directory, or those that the lines of a file name.

    Parameters
    ----------
    source : Path
        A directory, which is searched wholly, or a text file of lines ``<picture> [<label>]``.
    directory : Path, optional
        What the lines are relative to; by default where the file lies.
    most : int, optional
        Take only so many, evenly from all of them.

    Raises
    ------
    DatasetError
        If there is neither.
    """
    if source.is_dir():
        found = sorted(p for p in source.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    else:
        try:
            lines = source.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DatasetError(
                f"cannot read the list of pictures {source}: {error}",
                code=_unread(error),
                path=str(source),
            ) from error
        named = (_picture_of(line.strip(), directory or source.parent) for line in lines)
        found = list(dict.fromkeys(picture for picture in named if picture is not None))
    if most is None or len(found) <= most:
        return found
    return [found[number * len(found) // most] for number in range(most)]


def _picture_of(line: str, directory: Path) -> Path | None:
    for name in (line, line.rsplit(maxsplit=1)[0] if line else ""):
        if name and "\0" not in name and (directory / name).is_file():
            return directory / name
    return None


def _describes_itself(model: Path) -> bool:
    """Tell whether a model says what it is for, as those of the estimators do."""
    try:
        with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            if all(text.find(mark) >= 0 for mark in MARKS):
                return True
    except (OSError, ValueError) as error:  # an empty file cannot be mapped
        raise ModelFileError(
            f"the model file {model} cannot be read: {error}",
            code=_unread(error),
            path=str(model),
        ) from error
    if model.suffix == ".onnx":
        from sedna_tinyms.engine import open_engine

        open_engine(model, threads=1).close()  # one that is cut short says nothing any more
    return False


def _open(canary: Canary, model: Path) -> Any:
    """Load a model as a worker does, but never measure engines here: that would open all of them.

    Their memory, and the time that it takes, would be held against the model.
    """
    from sedna_tinyms.engine import available_engines, choose_engine

    if model.suffix == ".onnx":
        from estimators import OnnxClassifier

        estimator: Any = OnnxClassifier(engine=choose_engine(model, measure=False))
    else:
        from estimators import TinyMSMobileNetV2

        estimator = TinyMSMobileNetV2(engine=(*available_engines(), "mindspore")[0])
    started = time.perf_counter()
    estimator.load(model)
    canary.open_seconds = time.perf_counter() - started
    return estimator


def _answer(canary: Canary, estimator: Any, pictures: Sequence[Path]) -> None:
    """Let the estimator answer one picture after the other, and look at each answer."""
    seconds: list[float] = []
    unreadable = ""
    for picture in pictures:
        started = time.perf_counter()
        try:
            answer = estimator.predict(str(picture))
        except DatasetError as error:
            unreadable = str(error)
            continue
        seconds.append(time.perf_counter() - started)
        _check(answer, len(estimator.card.class_names), picture)
    canary.engine = estimator.engines.get("predictions")
    if not seconds:
        raise DatasetError(
            f"none of {len(pictures)} pictures can be read: {unreadable}", code="bad-picture"
        )
    canary.pictures = len(seconds)
    canary.first_answer_seconds = seconds[0]
    canary.ms_per_image = 1000 * statistics.median(seconds[1:] or seconds)


def _check(answer: Any, classes: int, picture: Path) -> None:
    for name, numbers in (("probabilities", answer), ("logits", answer.logits)):
        array = np.asarray(numbers, np.float64)
        if array.shape != (classes,):
            raise ModelFileError(
                f"the answer to {picture} has {name} of shape {array.shape} for {classes} classes",
                code="wrong-shape",
                name=name,
                value=array.shape,
                expected=(classes,),
            )
        if not np.isfinite(array).all():
            raise ModelFileError(
                f"the {name} of the answer to {picture} are not finite: {array}",
                code="not-finite",
                name=name,
                path=str(picture),
            )


def _unread(error: Exception) -> str:
    return "missing-file" if isinstance(error, FileNotFoundError) else "unreadable-file"


def _over_the_limit(canary: Canary, max_ms: float | None, max_bytes: int | None) -> str:
    over = []
    if max_ms is not None and (canary.ms_per_image or 0.0) > max_ms:
        over.append(f"it takes {canary.ms_per_image:.1f} ms a picture, and may take {max_ms:g}")
    if max_bytes is not None and (canary.peak_bytes or 0) > max_bytes:
        over.append(
            f"it takes {_megabytes(canary.peak_bytes)} of memory, and may take "
            f"{_megabytes(max_bytes)}"
        )
    return "; ".join(over)


def _figures(canary: Canary) -> str:
    return (
        f"{canary.pictures} pictures answered, {canary.ms_per_image:.1f} ms each, "
        f"{_megabytes(canary.peak_bytes)} of memory, by {canary.engine}"
    )


def _megabytes(size: int | None) -> str:
    return "an unknown amount" if size is None else f"{size / 1e6:.0f} MB"


def _peak_bytes() -> int:
    """Return the largest resident memory of this process, without what its parent had taken."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):  # no Linux
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if os.uname().sysname == "Darwin" else peak * 1024
