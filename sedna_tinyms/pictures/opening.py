"""Any picture, whatever it is, as RGB with 8 bits a channel."""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from sedna_tinyms.errors import DatasetError

__all__ = ["DECODER_ERRORS", "IMAGE_SUFFIXES", "Picture", "as_rgb", "digest", "load_img", "to_rgb"]

Picture: TypeAlias = "str | os.PathLike[str] | Image.Image | NDArray[Any]"

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".tif", ".tiff")

DECODER_ERRORS = (
    OSError,
    SyntaxError,  # Pillow's own word for a broken PNG
    ValueError,
    TypeError,
    EOFError,
    IndexError,
    KeyError,
    ArithmeticError,
    MemoryError,
    NotImplementedError,
    struct.error,
    Image.DecompressionBombError,
)


def load_img(path: str | os.PathLike[str], least_side: int | None = None) -> Image.Image:
    """Read a picture as RGB, 8 bits a channel, turned upright as its EXIF data says.

    Gray, palette, CMYK and 16-bit pictures are converted; an alpha channel is dropped.

    Parameters
    ----------
    path : path
        The picture's file.
    least_side : int, optional
        A picture of this height and width would do: a JPEG that is at least twice as large is
        decoded at a half, a quarter or an eighth of its size, but never smaller than this.

    Raises
    ------
    DatasetError
        If the file is missing, no picture, truncated, damaged, or holds floating-point pixels.
    """
    try:
        with Image.open(path) as image:
            if least_side is not None:
                image.draft(None, (least_side, least_side))
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return to_rgb(image)
    except FileNotFoundError:
        raise DatasetError(
            f"the picture {os.fspath(path)} does not exist", code="missing-file", path=path
        ) from None
    except IsADirectoryError:
        raise DatasetError(
            f"the picture {os.fspath(path)} is a directory", code="not-a-file", path=path
        ) from None
    except UnidentifiedImageError:
        raise DatasetError(
            f"{os.fspath(path)} is no picture (or in a format that Pillow does not know)",
            code="bad-picture",
            path=path,
        ) from None
    except DECODER_ERRORS as error:
        raise DatasetError(
            f"the picture {os.fspath(path)} cannot be read: {error}", code="bad-picture", path=path
        ) from error


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a Pillow image of any mode to RGB, 8 bits a channel.

    Raises
    ------
    ValueError
        If its pixels have no fixed range: floating point, or integers beyond 16 bits.
    """
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I"):
        pixels = np.asarray(image)
        if pixels.min() < 0 or pixels.max() > 0xFFFF:
            raise ValueError("its pixels go beyond 16 bits; save it as an 8-bit picture")
        return Image.fromarray((pixels >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers; save it as an 8-bit picture")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


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
            raise DatasetError(
                f"a picture of mode {picture.mode} is unusable: {error}",
                code="bad-picture",
                mode=picture.mode,
            ) from error
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
            "with 1 to 4 channels",
            code="wrong-shape",
            value=picture.shape,
        )
    pixels = picture.reshape(*picture.shape[:2], -1)
    pixels = np.repeat(pixels[..., :1], 3, axis=2) if channels[0] < 3 else pixels[..., :3]
    if pixels.dtype.kind == "f":
        return np.ascontiguousarray(pixels, np.float32)
    if pixels.dtype.kind not in "iu":
        raise DatasetError(
            f"an array of {picture.dtype} is no picture; it must hold numbers",
            code="wrong-type",
            value=str(picture.dtype),
        )
    if pixels.min() < 0 or pixels.max() > 255:
        raise DatasetError(
            f"an array with values from {pixels.min()} to {pixels.max()} is no picture; "
            "whole numbers must lie between 0 and 255",
            code="out-of-range",
            least=int(pixels.min()),
            most=int(pixels.max()),
        )
    return np.ascontiguousarray(pixels, np.uint8)


def digest(picture: Picture) -> str:
    """Return the SHA-256 of a picture's content, as hexadecimal digits.

    That of a file's bytes; or, for an image or array, of its pixels as RGB and their shape.

    Raises
    ------
    DatasetError
        If a file cannot be read, or it is no picture (files are not decoded for this).
    """
    if isinstance(picture, str | os.PathLike):
        try:
            return hashlib.sha256(Path(picture).read_bytes()).hexdigest()
        except OSError as error:
            raise DatasetError(
                f"the picture {os.fspath(picture)} cannot be read: {error.strerror}",
                code="missing-file" if isinstance(error, FileNotFoundError) else "unreadable-file",
                path=picture,
            ) from error
    pixels = as_rgb(picture)
    content = hashlib.sha256(f"{pixels.dtype} {pixels.shape}\n".encode())
    content.update(np.ascontiguousarray(pixels).data)
    return content.hexdigest()
