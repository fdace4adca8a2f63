"""What the frozen part of a network makes of pictures: looked up, or computed where it is new."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.errors import DatasetError, ModelFileError, Problems
from sedna_tinyms.learning.cache import ActivationCache
from sedna_tinyms.pictures import Picture, digest, pixel_batches

__all__ = ["Frozen", "activations", "picture_digests"]

logger = logging.getLogger(__name__)

BATCH = 32
"""Pictures that go through the frozen part at once."""
WRITTEN_TOGETHER = 64 << 20
"""Bytes that are computed before they are cached; what a killed training has to compute again."""


class Frozen(Protocol):
    """The part of a network that is not trained.

    Attributes
    ----------
    cached_as : str
        The space of its activations in a cache, which names all that they depend on: see
        `sedna_tinyms.learning.cache.space_name`.
    """

    @property
    def cached_as(self) -> str:
        """See the class."""

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        """Return the activations (N, ...), in the dtype to keep, of pixels (N, 3, H, W)."""


def activations(
    pictures: Sequence[Picture],
    frozen: Frozen,
    cache: ActivationCache | None,
    size: int,
    digests: Sequence[str] | None = None,
) -> NDArray[Any]:
    """Return the activations of pictures, and compute only those that the cache does not have.

    The next pictures are decoded while the frozen part computes. A picture that occurs more than
    once is computed once.

    Parameters
    ----------
    pictures : sequence of path, PIL.Image or ndarray, length N
        Pictures, as `sedna_tinyms.pictures.load_pixels` takes them.
    frozen : Frozen
        The frozen part.
    cache : ActivationCache or None
        Where activations are looked up and kept; None computes all.
    size : int
        Height and width of the frozen part's input.
    digests : sequence of str, length N, optional
        Those of the pictures, if they are known: see `picture_digests`.

    Returns
    -------
    ndarray, shape (N, ...)
        In the order of the pictures; float32 of shape (0,) if there is none.

    Raises
    ------
    DatasetError
        With every picture that cannot be read.
    ModelFileError
        If activations are not finite: the weights are broken, or the dtype is too small for them.
    """
    if not pictures:
        return np.empty(0, np.float32)
    digests = picture_digests(pictures) if digests is None else digests
    place = {name: index for index, name in enumerate(dict.fromkeys(digests))}
    found, known = np.zeros(len(place), bool), np.empty(0)
    if cache is not None:
        found, known = cache.read(frozen.cached_as, list(place))
    if not found.all():
        picture_of = dict(zip(digests, pictures, strict=True))
        new = [name for name, is_known in zip(place, found, strict=True) if not is_known]
        computed = _computed([picture_of[name] for name in new], new, frozen, cache, size)
        if found.any() and not _alike(known, computed):
            logger.warning(
                "the cache has %s %s for the space %s, but the frozen part gives %s %s: all is "
                "computed again",
                *(
                    known.dtype,
                    known.shape[1:],
                    frozen.cached_as,
                    computed.dtype,
                    computed.shape[1:],
                ),
            )
            return activations(pictures, frozen, None, size, digests)
        known = _merged(found, known, computed)
    return known if len(place) == len(pictures) else known[[place[name] for name in digests]]


def picture_digests(pictures: Sequence[Picture]) -> list[str]:
    """Return the digest of each picture's content: see `sedna_tinyms.pictures.digest`.

    Raises
    ------
    DatasetError
        With every picture that cannot be read.
    """
    problems = Problems()
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        futures = [threads.submit(digest, picture) for picture in pictures]
    for future in futures:
        if isinstance(error := future.exception(), DatasetError):
            problems.add(str(error), code=error.code, **error.fields)
    problems.raise_as(DatasetError, f"{len(problems.lines)} of {len(pictures)} pictures fail")
    return [future.result() for future in futures]


def _computed(
    pictures: Sequence[Picture],
    digests: Sequence[str],
    frozen: Frozen,
    cache: ActivationCache | None,
    size: int,
) -> NDArray[Any]:
    """Compute activations and cache them, those of a long run in parts."""
    rows = np.empty(0)
    done = cached = 0
    for pixels in pixel_batches(pictures, size, BATCH):
        batch = frozen.run(pixels)
        if not np.isfinite(batch).all():
            raise ModelFileError(
                f"the frozen part gives NaN or infinity in {batch.dtype}: its weights are broken, "
                "or their activations need a larger dtype",
                code="not-finite",
                value=str(batch.dtype),
            )
        if not done:
            rows = np.empty((len(pictures), *batch.shape[1:]), batch.dtype)
        rows[done : done + len(batch)] = batch
        done += len(batch)
        if cache is not None and rows[cached:done].nbytes >= WRITTEN_TOGETHER:
            cache.write(frozen.cached_as, digests[cached:done], rows[cached:done])
            cached = done
    if cache is not None:
        cache.write(frozen.cached_as, digests[cached:], rows[cached:])
    return rows


def _alike(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return (one.shape[1:], one.dtype) == (other.shape[1:], other.dtype)


def _merged(found: NDArray[np.bool_], known: NDArray[Any], computed: NDArray[Any]) -> NDArray[Any]:
    if not found.any():
        return computed
    rows = np.empty((len(found), *computed.shape[1:]), computed.dtype)
    rows[found], rows[~found] = known, computed
    return rows
