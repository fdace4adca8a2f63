"""Pictures on disk: read as RGB whatever they are (see `sedna_tinyms.pictures`), and written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sedna_tinyms.artifact.files import write_file
from sedna_tinyms.errors import ConfigurationError
from sedna_tinyms.pictures import (
    DECODER_ERRORS,
    IMAGE_SUFFIXES,
    generate_image_list,
    load_img,
    to_rgb,
)

__all__ = [
    "DECODER_ERRORS",
    "IMAGE_SUFFIXES",
    "generate_image_list",
    "load_img",
    "load_resized_img",
    "save_image",
    "to_rgb",
]

NO_ALPHA = ((), (1,), (3,))


def load_resized_img(
    path: str | os.PathLike[str], width: int = 256, height: int = 256
) -> Image.Image:
    """Read a picture as `load_img` does and resize it."""
    return load_img(path).resize((width, height))


def save_image(img: Any, img_path: str | os.PathLike[str]) -> None:
    """Write what a network for pictures gave, or an array, as a picture file.

    Parameters
    ----------
    img : Tensor or ndarray
        Floating-point numbers of shape (1, C, H, W) or (C, H, W), from -1 to 1, as
        `vision.cyclegan_transform` makes them; or uint8 of shape (H, W) or (H, W, C). C is 1 or 3.
    img_path : path
        The file; its suffix says the format. Missing directories are made.

    Raises
    ------
    ConfigurationError
        If it is no such array, or the suffix is not one of `IMAGE_SUFFIXES`.
    StorageError
        If the file cannot be written.
    """
    path = Path(img_path)
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise ConfigurationError(
            f"{path} cannot be written: its suffix is {path.suffix!r}, which is not one of "
            f"{', '.join(IMAGE_SUFFIXES)}",
            code="unknown-format",
            path=str(path),
            value=path.suffix,
            valid=tuple(IMAGE_SUFFIXES),
        )
    pixels = _as_pixels(np.asarray(img.asnumpy() if hasattr(img, "asnumpy") else img))
    with write_file(path) as temporary:
        Image.fromarray(pixels).save(temporary)


def _as_pixels(values: NDArray[Any]) -> NDArray[np.uint8]:
    shape = values.shape
    if values.ndim == 4 and shape[0] == 1:
        values = values[0]
    if values.dtype.kind == "f" and values.ndim == 3:
        values = np.rint(np.clip((values.transpose(1, 2, 0) + 1) * 127.5, 0, 255)).astype(np.uint8)
    if values.dtype != np.uint8 or values.ndim not in (2, 3) or values.shape[2:] not in NO_ALPHA:
        raise ConfigurationError(
            f"an array of {values.dtype} and shape {shape} is no picture to save: it must hold "
            "floats of shape (1, C, H, W) or bytes of shape (H, W, C), where C is 1 or 3",
            code="wrong-shape",
            value=shape,
            dtype=str(values.dtype),
        )
    return values[..., 0] if values.shape[2:] == (1,) else values
