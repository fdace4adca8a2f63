"""Pictures on disk: finding them, and telling their classes by their folders."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sedna_tinyms.errors import DatasetError, Problems, did_you_mean
from sedna_tinyms.pictures.opening import IMAGE_SUFFIXES

__all__ = ["LabelledImages", "generate_image_list", "read_image_folder"]


class LabelledImages(NamedTuple):
    """Pictures with their classes.

    Attributes
    ----------
    paths : list of str
        One file a picture.
    labels : list of int
        For each picture, an index into `class_names`.
    class_names : tuple of str
        Every class, also one without a picture.
    """

    paths: list[str]
    labels: list[int]
    class_names: tuple[str, ...]


def generate_image_list(
    directory: str | os.PathLike[str], max_dataset_size: float = float("inf")
) -> list[str]:
    """List the pictures below a directory, sorted, at most `max_dataset_size` of them.

    Raises
    ------
    DatasetError
        If `directory` is no directory.
    """
    root = Path(directory)
    if not root.is_dir():
        raise DatasetError(
            f"the image directory {root} does not exist or is no directory",
            code="not-a-directory" if root.exists() else "missing-file",
            path=root,
        )
    found = sorted(
        str(path)
        for path in root.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
    )
    return found[: int(min(max_dataset_size, len(found)))]


def read_image_folder(
    path: str | os.PathLike[str], class_names: Sequence[str] | None = None
) -> LabelledImages:
    """List a directory with one subdirectory of pictures a class.

    Parameters
    ----------
    path : path
        The directory.
    class_names : sequence of str, optional
        The classes, in the order of the network's outputs; the subdirectories, sorted, by default.
        A class without a subdirectory has no pictures.

    Raises
    ------
    DatasetError
        If the directory is missing, has no pictures in subdirectories, or one of its
        subdirectories is no known class.
    """
    root = Path(path)
    if not root.is_dir():
        raise DatasetError(
            f"the image folder {root} does not exist or is no directory",
            code="not-a-directory" if root.exists() else "missing-file",
            path=root,
        )
    found = sorted(d.name for d in root.iterdir() if d.is_dir() and not d.name.startswith("."))
    names = tuple(found if class_names is None else class_names)
    problems = Problems()
    for name in found:
        if name not in names:
            problems.add(
                f"{root / name}: unknown class {name!r}{did_you_mean(name, names)}",
                code="unknown-class",
                path=root / name,
                value=name,
                valid=names,
            )
    problems.raise_as(
        DatasetError, f"the image folder {root} has other classes than {names}", path=root
    )

    samples = [
        (image, names.index(name)) for name in found for image in generate_image_list(root / name)
    ]
    if not samples:
        raise DatasetError(
            f"the image folder {root} has no pictures; it must have one subdirectory a class",
            code="empty",
            path=root,
        )
    return LabelledImages([image for image, _ in samples], [label for _, label in samples], names)
