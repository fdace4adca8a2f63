"""Many pictures at once, on all cores."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.errors import DatasetError, Problems
from sedna_tinyms.tinyms.vision.pictures import Picture, as_rgb
from sedna_tinyms.tinyms.vision.transforms import ImageFolderTransform, imagefolder_transform

__all__ = ["load_images"]


def load_images(
    pictures: Sequence[Picture],
    transform: ImageFolderTransform = imagefolder_transform,
    workers: int | None = None,
) -> NDArray[np.float32]:
    """Read and transform pictures as for prediction, on all cores.

    Parameters
    ----------
    pictures : sequence of path, PIL.Image or ndarray
        The pictures. Each takes ``12 * size * size`` bytes in the result: hand over many
        thousands in portions.
    transform : ImageFolderTransform
        What to do with each.
    workers : int, optional
        Threads; by default as many as this process may use cores.

    Returns
    -------
    ndarray of float32, shape (len(pictures), 3, size, size)
        Bit-equal to calling `transform` on each picture.

    Raises
    ------
    DatasetError
        With every picture that cannot be read.
    """
    batch = np.empty((len(pictures), 3, transform.size, transform.size), np.float32)

    def load(index: int) -> str:
        try:
            batch[index] = transform(as_rgb(pictures[index]))
        except DatasetError as error:
            return str(error)
        return ""

    indices = range(len(pictures))
    if len(pictures) == 1:
        outcomes = [load(0)]
    else:
        with ThreadPoolExecutor(workers or len(os.sched_getaffinity(0))) as pool:
            outcomes = list(pool.map(load, indices))
    problems = Problems()
    for outcome in filter(None, outcomes):
        problems.add(outcome)
    problems.raise_as(DatasetError, f"{len(problems.lines)} of {len(pictures)} pictures fail")
    return batch
