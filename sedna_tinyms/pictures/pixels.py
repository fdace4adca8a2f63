"""From pictures to the bytes that a network takes: decoded, resized, cropped, channels first."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sedna_tinyms.errors import ConfigurationError, DatasetError, Problems
from sedna_tinyms.pictures.opening import Picture, as_rgb, load_img

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "load_pixels", "pixel_batches"]

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
"""Of each channel, for pixels from 0 to 255."""

PORTION = 4
"""Pictures that a thread takes at a time."""

BATCHES_AHEAD = 4
"""Batches that are decoded while the caller computes with an earlier one: enough to keep the cores
busy while an engine is opened for the first."""


def load_pixels(
    pictures: Sequence[Picture], size: int, threads: int | None = None
) -> NDArray[np.uint8]:
    """Decode pictures, resize them to ``size * 256 / 224`` square, and crop the centre.

    The geometry is that of TinyMS's `imagefolder_transform`; the resizing is Pillow's bilinear
    one, which averages where a picture gets smaller.

    Parameters
    ----------
    pictures : sequence of path, PIL.Image or ndarray
        See `as_rgb`; floating-point arrays hold values from 0 to 255 and are rounded.
    size : int
        Height and width of the result.
    threads : int, optional
        As many as this process may use cores by default.

    Returns
    -------
    ndarray of uint8, shape (len(pictures), 3, size, size)
        Pixels from 0 to 255, not normalized.

    Raises
    ------
    DatasetError
        With every picture that cannot be read.
    ConfigurationError
        If `size` or `threads` is no whole number of at least 1.
    """
    _require_positive(size=size, threads=threads)
    pixels = np.empty((len(pictures), 3, size, size), np.uint8)
    if len(pictures) <= 1:
        _raise(_decode(pictures, pixels), len(pictures))
        return pixels
    with ThreadPoolExecutor(threads or _cores()) as pool:
        _raise(_Batch.begin(pool, pictures, pixels).complaints(), len(pictures))
    return pixels


def pixel_batches(
    pictures: Sequence[Picture], size: int, batch_size: int, threads: int | None = None
) -> Iterator[NDArray[np.uint8]]:
    """Yield the pixels of `load_pixels` batch after batch, decoding ahead on threads.

    While the caller computes with one batch, the next four are decoded; so no more than five are
    in memory. The last batch may be smaller.

    Raises
    ------
    DatasetError
        With every picture that cannot be read, once all were looked at; batches from the first
        such picture on are not yielded.
    ConfigurationError
        If `size`, `batch_size` or `threads` is no whole number of at least 1.
    """
    _require_positive(size=size, batch_size=batch_size, threads=threads)
    complaints: list[DatasetError] = []
    with ThreadPoolExecutor(threads or _cores()) as pool:
        try:
            for batch in _begun_ahead(pool, pictures, size, batch_size):
                complaints += batch.complaints()
                if not complaints:
                    yield batch.pixels
        finally:  # also where the caller stops early
            pool.shutdown(cancel_futures=True)
    _raise(complaints, len(pictures))


class _Batch(NamedTuple):
    """Pictures that are being decoded."""

    pixels: NDArray[np.uint8]
    portions: list[Future[list[DatasetError]]]

    @classmethod
    def begin(
        cls, pool: ThreadPoolExecutor, pictures: Sequence[Picture], pixels: NDArray[np.uint8]
    ) -> _Batch:
        portions = [
            pool.submit(_decode, pictures[i : i + PORTION], pixels[i : i + PORTION])
            for i in range(0, len(pictures), PORTION)
        ]
        return cls(pixels, portions)

    def complaints(self) -> list[DatasetError]:
        """Wait until all is decoded; return an error for each picture that could not be."""
        return [complaint for portion in self.portions for complaint in portion.result()]


def _begun_ahead(
    pool: ThreadPoolExecutor, pictures: Sequence[Picture], size: int, batch_size: int
) -> Iterator[_Batch]:
    begun: deque[_Batch] = deque()
    for start in range(0, len(pictures), batch_size):
        some = pictures[start : start + batch_size]
        begun.append(_Batch.begin(pool, some, np.empty((len(some), 3, size, size), np.uint8)))
        if len(begun) > BATCHES_AHEAD:
            yield begun.popleft()
    yield from begun


def _decode(pictures: Sequence[Picture], pixels: NDArray[np.uint8]) -> list[DatasetError]:
    complaints = []
    for picture, place in zip(pictures, pixels, strict=True):
        try:
            place[:] = _cropped(picture, place.shape[-1])
        except DatasetError as error:
            complaints.append(error)
    return complaints


def _cropped(picture: Picture, size: int) -> NDArray[np.uint8]:
    """Return the centre of a resized picture, of shape (3, size, size)."""
    resized = round(size * 256 / 224)
    image = _image(picture, 2 * resized)  # twice, so that there is something left to average
    first, last = (resized - size) // 2, (resized - size) // 2 + size
    width, height = image.width / resized, image.height / resized
    box = (first * width, first * height, last * width, last * height)
    cropped = image.resize((size, size), Image.Resampling.BILINEAR, box)
    return np.asarray(cropped).transpose(2, 0, 1)


def _image(picture: Picture, least_side: int) -> Image.Image:
    if isinstance(picture, str | os.PathLike):
        return load_img(picture, least_side)
    rgb: NDArray[Any] = as_rgb(picture)
    if rgb.dtype != np.uint8:
        if not np.isfinite(rgb).all():
            raise DatasetError(
                f"an array of shape {rgb.shape} holds NaN or infinity: no picture",
                code="not-finite",
                value=rgb.shape,
            )
        rgb = np.rint(rgb).clip(0, 255).astype(np.uint8)
    return Image.fromarray(rgb)


def _raise(complaints: Sequence[DatasetError], count: int) -> None:
    problems = Problems()
    for complaint in complaints:
        problems.add(str(complaint), code=complaint.code, **complaint.fields)
    problems.raise_as(DatasetError, f"{len(complaints)} of {count} pictures fail")


def _require_positive(**values: int | None) -> None:
    for name, value in values.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise ConfigurationError(
                f"{name} is {value!r}; it must be a whole number",
                code="not-an-integer",
                name=name,
                value=value,
            )
        if value is not None and value < 1:
            raise ConfigurationError(
                f"{name} is {value}; it must be at least 1",
                code="out-of-range",
                name=name,
                value=value,
            )


def _cores() -> int:
    return len(os.sched_getaffinity(0))
