"""Any picture as an RGB array."""

from __future__ import annotations

import os
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sedna_tinyms.errors import DatasetError
from sedna_tinyms.tinyms.data.images import load_img, to_rgb

__all__ = ["Picture", "as_rgb"]

Picture: TypeAlias = "str | os.PathLike[str] | Image.Image | NDArray[Any]"


def as_rgb(picture: Picture) -> NDArray[Any]:
    """Return a picture as an array of shape (H, W, 3).

    Parameters
    ----------
    picture : path, PIL.Image or ndarray
        A file; an image of any mode; or an array of shape (H, W) or (H, W, C), where C is 1
        (gray), 2 (gray and alpha), 3 (RGB) or 4 (RGBA). Alpha is dropped.

    Returns
    -------
    ndarray
        uint8, or float32 if the array given held floating-point numbers.

    Raises
    ------
    DatasetError
        If a file cannot be read, or an array's shape or range is not a picture's.
    TypeError
        If it is none of these.
    """
    if isinstance(picture, Image.Image):
        try:
            return np.asarray(to_rgb(picture))
        except ValueError as error:
            raise DatasetError(f"a picture of mode {picture.mode} is unusable: {error}") from error
    if isinstance(picture, str | os.PathLike):
        return np.asarray(load_img(picture))
    if not isinstance(picture, np.ndarray):
        raise TypeError(
            f"a picture is a path, a PIL.Image or a numpy array, not {type(picture).__name__}"
        )
    channels = picture.shape[2:] or (1,)
    if picture.ndim not in (2, 3) or picture.size == 0 or channels[0] not in (1, 2, 3, 4):
        raise DatasetError(
            f"an array of shape {picture.shape} is no picture; it must be (H, W) or (H, W, C) "
            "with 1 to 4 channels"
        )
    pixels = picture.reshape(*picture.shape[:2], -1)
    pixels = np.repeat(pixels[..., :1], 3, axis=2) if channels[0] < 3 else pixels[..., :3]
    if pixels.dtype.kind == "f":
        return np.ascontiguousarray(pixels, np.float32)
    if pixels.dtype.kind not in "iu":
        raise DatasetError(f"an array of {picture.dtype} is no picture; it must hold numbers")
    if pixels.min() < 0 or pixels.max() > 255:
        raise DatasetError(
            f"an array with values from {pixels.min()} to {pixels.max()} is no picture; "
            "whole numbers must lie between 0 and 255"
        )
    return np.ascontiguousarray(pixels, np.uint8)
