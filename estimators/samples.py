"""Labelled pictures in every form that a worker script may hand over."""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.errors import DatasetError, Problem, Problems, did_you_mean
from sedna_tinyms.learning.activations import picture_digests
from sedna_tinyms.pictures import IMAGE_SUFFIXES, Picture, read_image_folder

__all__ = ["Samples", "as_pictures", "last_of_each", "line_parser", "read_samples"]

logger = logging.getLogger(__name__)

NUMERIC = re.compile(r"[+-]?[\d.]+")


class Samples(NamedTuple):
    """Pictures with their classes.

    Attributes
    ----------
    pictures : list of path, PIL.Image or ndarray
        As they came.
    labels : ndarray of int64, shape (N,)
        Index into `class_names` of each.
    class_names : tuple of str
        All classes.
    """

    pictures: list[Picture]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]


def line_parser(
    directory: str | os.PathLike[str] = "", *, labelled: bool = True
) -> Callable[[str], tuple[str, ...]]:
    """Return a function for ``TxtDataParse(func=...)`` that reads ``<picture> <label>`` lines.

    Blank lines give nothing, which Sedna's datasource skips; a byte order mark and a Windows line
    end do no harm; a path may hold spaces.

    Parameters
    ----------
    directory : path
        What the pictures' paths are relative to: ``Path(ORIGINAL_DATASET_URL).parent``.
    labelled : bool
        Whether every line must have a label. Otherwise the line is a picture and nothing else.

    Returns
    -------
    callable
        From a line to ``(path, label)``, ``(path,)`` or ``()``. It raises DatasetError, with the
        line, where the label is missing.
    """
    root = Path(directory)

    def parse(line: str) -> tuple[str, ...]:
        text = line.lstrip("\N{ZERO WIDTH NO-BREAK SPACE}").strip()
        if not text:
            return ()
        if not labelled:
            return (str(root / text),)
        picture, label = text.rsplit(maxsplit=1) if len(text.split()) > 1 else ("", text)
        # os.path takes a name that is too long for one that is not there; Path raises OSError.
        is_picture = os.path.isfile(root / text)  # noqa: PTH113
        if not picture or label.lower().endswith(IMAGE_SUFFIXES) or is_picture:
            raise DatasetError(
                f"the dataset line {text!r} has no label; a line is '<picture> <label>'",
                code="missing-label",
                value=text,
            )
        return (str(root / picture), label)

    return parse


def read_samples(data: Any, class_names: Sequence[str] | None, *, grow: bool = False) -> Samples:
    """Bring labelled pictures into one form.

    Parameters
    ----------
    data : object
        A Sedna datasource (attributes `x` and `y`), the path of an image folder, or an iterable
        of (picture, label) pairs. A label is a class name, or the number of one.
    class_names : sequence of str, optional
        The classes; those that occur, sorted, by default.
    grow : bool
        Whether names that are not among `class_names` are further classes, behind them; otherwise
        they are an error. One that differs from a class in upper and lower case alone is an error
        always, as is a number where the classes have names.

    Raises
    ------
    DatasetError
        If there is no sample, a label is missing or unknown; with every such sample.
    """
    if isinstance(data, str | os.PathLike):
        if grow and class_names is not None:
            class_names = _extended(class_names, read_image_folder(data, None).class_names)
        folder = read_image_folder(data, class_names)
        return Samples([*folder.paths], np.array(folder.labels, np.int64), folder.class_names)
    pictures, given = _columns(data)
    if not pictures:
        raise DatasetError(
            "the data has no samples: was the dataset file parsed, and is it empty?", code="empty"
        )
    if class_names is None:
        names = tuple(sorted({_text(label) for label in given} - {""}))
    else:
        names = _extended(class_names, given) if grow else tuple(class_names)
    problems = Problems()
    labels = np.zeros(len(pictures), np.int64)
    for index, (picture, label) in enumerate(zip(pictures, given, strict=True)):
        number = _number(label, names)
        if number is None:
            problem = _problem(label, names)
            problems.add(
                f"sample {index} ({_shown(picture)}): {problem.text}",
                code=problem.code,
                index=index,
                **problem.fields,
            )
        else:
            labels[index] = number
    problems.raise_as(
        DatasetError, f"{len(problems.lines)} of {len(pictures)} samples are unusable"
    )
    return Samples(pictures, labels, names)


def last_of_each(samples: Samples) -> tuple[Samples, list[str]]:
    """Return samples with each picture once, with its last label; and the pictures' digests.

    Raises
    ------
    DatasetError
        With every picture that cannot be read.
    """
    digests = picture_digests(samples.pictures)
    last = {digest: index for index, digest in enumerate(digests)}
    if len(last) == len(digests):
        return samples, digests
    for index, digest in enumerate(digests):
        before, now = (samples.class_names[samples.labels[i]] for i in (index, last[digest]))
        if before != now:
            picture = _shown(samples.pictures[index])
            logger.warning("%s is labelled %s and later %s, which counts", picture, before, now)
    chosen = sorted(last.values())
    kept = Samples(
        [samples.pictures[index] for index in chosen], samples.labels[chosen], samples.class_names
    )
    return kept, [digests[index] for index in chosen]


def as_pictures(data: Any) -> tuple[list[Picture], bool]:
    """Return what is to be predicted as a list, and whether it was more than a single picture.

    Parameters
    ----------
    data : picture, or list, tuple or 4-D array of pictures
        A picture is a path, a PIL image or an array (H, W[, C]).
    """
    several = isinstance(data, list | tuple) or (isinstance(data, np.ndarray) and data.ndim == 4)
    return (list(data) if several else [data]), several


def _columns(data: Any) -> tuple[list[Picture], list[Any]]:
    if hasattr(data, "x") and hasattr(data, "y"):
        pictures = [] if data.x is None else list(data.x)
        labels = [None] * len(pictures) if data.y is None else list(data.y)
        if len(labels) != len(pictures):
            raise DatasetError(
                f"the data has {len(pictures)} pictures but {len(labels)} labels",
                code="wrong-length",
                value=len(labels),
                expected=len(pictures),
            )
        return [_unboxed(picture) for picture in pictures], labels
    if not isinstance(data, Iterable):
        raise DatasetError(
            f"{_shown(data)} is no data; give a Sedna datasource, an image folder's path, or a "
            "list of (picture, label)",
            code="wrong-type",
            value=_shown(data),
        )
    pairs = list(data)
    for index, pair in enumerate(pairs):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise DatasetError(
                f"sample {index} is {_shown(pair)}; it must be (picture, label)",
                code="wrong-type",
                index=index,
                value=_shown(pair),
            )
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _unboxed(picture: Any) -> Picture:
    """Turn NumPy's strings, which a datasource holds, into Python's."""
    result: Picture = str(picture) if isinstance(picture, np.str_) else picture
    return result


def _extended(names: Sequence[str], labels: Iterable[Any]) -> tuple[str, ...]:
    """Return names and, behind them, the labels that are none of them and no number of one."""
    further = {_text(label) for label in labels if _number(label, names) is None}
    return (*names, *sorted(text for text in further if _may_be_new(text, names)))


def _may_be_new(text: str, names: Sequence[str]) -> bool:
    """Tell whether a label is a class of its own: no slip of the pen, and no number among names."""
    if text.casefold() in map(str.casefold, names):
        return False
    return text != "" and (not _is_numeric(text) or any(map(_is_numeric, names)))


def _is_numeric(text: str) -> bool:
    return NUMERIC.fullmatch(text) is not None


def _text(label: Any) -> str:
    """Return a label as text; nothing, if it is none.

    Where pandas has a gap, the other numbers of a column are floats, and the gap is NaN.
    """
    if label is None:
        return ""
    if isinstance(label, float | np.floating):
        number = float(label)
        return "" if math.isnan(number) else f"{number:.0f}" if number.is_integer() else str(number)
    return str(label).strip()


def _number(label: Any, names: Sequence[str]) -> int | None:
    text = _text(label)
    if text in names:
        return names.index(text)
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    return None


def _problem(label: Any, names: Sequence[str]) -> Problem:
    text = _text(label)
    if not text:
        return Problem("it has no label", "missing-label")
    return Problem(
        f"unknown label {text!r}{did_you_mean(text, names)}; "
        f"one of {', '.join(names)}, or 0 to {len(names) - 1}",
        "unknown-name",
        {"value": text, "valid": tuple(names)},
    )


def _shown(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"array of {value.dtype} {value.shape}"
    text = str(value) if isinstance(value, str | os.PathLike) else repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
