"""Lists of labelled pictures: index files (one picture a line) and image folders."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sedna_tinyms.errors import DatasetError, Problem, Problems, did_you_mean
from sedna_tinyms.pictures import LabelledImages, read_image_folder

__all__ = ["LabelledImages", "read_image_folder", "read_index"]


def read_index(
    path: str | os.PathLike[str],
    class_names: Sequence[str] | None = None,
    *,
    root: str | os.PathLike[str] | None = None,
) -> LabelledImages:
    """Read a text file whose lines are ``<relative path> <label>``.

    Blank lines, Windows line ends and a byte order mark do no harm; a path may hold spaces.

    Parameters
    ----------
    path : path
        The index file.
    class_names : sequence of str, optional
        The classes, in the order of the network's outputs; a label is one of these names, or the
        number of one. Without them, the classes are the labels found, sorted (by value where all
        are whole numbers).
    root : path, optional
        What the pictures' paths are relative to; the index file's directory by default.

    Raises
    ------
    DatasetError
        If the file is missing, no text, or lists no pictures; or with all faulty lines, each with
        file and line: missing picture, missing label, unknown label.
    """
    index = Path(path)
    base = index.parent if root is None else Path(root)
    problems = Problems()
    samples: list[tuple[str, str]] = []
    for number, line in enumerate(_lines(index), 1):
        if not line.strip():
            continue
        image, label = _split(line.strip())
        problem = _problem(base, image, label, class_names)
        if problem:
            problems.add(
                f"{index}:{number}: {problem}",
                code=problem.code,
                path=str(index),
                line=number,
                **problem.fields,
            )
        else:
            samples.append((str(base / image), label))
    problems.raise_as(DatasetError, f"the index file {index} has faulty lines", path=str(index))
    if not samples:
        raise DatasetError(
            f"the index file {index} lists no pictures", code="empty", path=str(index)
        )

    found = {label for _, label in samples}
    names = tuple(class_names) if class_names is not None else tuple(sorted(found, key=_by_value))
    labels = [names.index(label) if label in names else int(label) for _, label in samples]
    return LabelledImages([image for image, _ in samples], labels, names)


def _lines(index: Path) -> list[str]:
    try:
        return index.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise DatasetError(
            f"the index file {index} does not exist", code="missing-file", path=str(index)
        ) from None
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"the index file {index} is no UTF-8 text (byte {error.start}); save it as UTF-8",
            code="not-utf8",
            path=str(index),
        ) from None
    except OSError as error:
        raise DatasetError(
            f"the index file {index} cannot be read: {error}",
            code="unreadable-file",
            path=str(index),
        ) from error


def _split(line: str) -> tuple[str, str]:
    """Split at the last blank: the label holds none, the path may."""
    parts = line.rsplit(maxsplit=1)
    return (parts[0], parts[1]) if len(parts) == 2 else (line, "")


def _problem(
    base: Path, image: str, label: str, class_names: Sequence[str] | None
) -> Problem | None:
    if not label or (base / f"{image} {label}").is_file():
        whole = f"{image} {label}".rstrip()
        return Problem(f"no label after {whole!r}", "missing-label", {"value": whole})
    if not (base / image).is_file():
        picture = str(base / image)
        return Problem(f"the picture {picture} does not exist", "missing-file", {"value": picture})
    if class_names is None or label in class_names:
        return None
    if label.isdecimal() and int(label) < len(class_names):
        return None
    return Problem(
        f"unknown label {label!r}{did_you_mean(label, class_names)}; "
        f"one of {', '.join(class_names)}, or 0 to {len(class_names) - 1}",
        "unknown-class",
        {"value": label, "valid": tuple(class_names)},
    )


def _by_value(label: str) -> tuple[bool, int, str]:
    return (not label.isdecimal(), int(label) if label.isdecimal() else 0, label)
