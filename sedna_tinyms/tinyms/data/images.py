"""Pictures on disk: finding them, and reading them as RGB whatever they are."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from sedna_tinyms.errors import DatasetError

__all__ = ["IMAGE_SUFFIXES", "generate_image_list", "load_img", "load_resized_img", "to_rgb"]

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
        raise DatasetError(f"the image directory {root} does not exist or is no directory")
    found = sorted(
        str(path)
        for path in root.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
    )
    return found[: int(min(max_dataset_size, len(found)))]


def load_img(path: str | os.PathLike[str]) -> Image.Image:
    """Read a picture as RGB, 8 bits a channel, turned upright as its EXIF data says.

    Gray, palette, CMYK and 16-bit pictures are converted; an alpha channel is dropped.

    Raises
    ------
    DatasetError
        If the file is missing, no picture, truncated, damaged, or holds floating-point pixels.
    """
    try:
        with Image.open(path) as image:
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return to_rgb(image)
    except FileNotFoundError:
        raise DatasetError(f"the picture {os.fspath(path)} does not exist") from None
    except IsADirectoryError:
        raise DatasetError(f"the picture {os.fspath(path)} is a directory") from None
    except UnidentifiedImageError:
        raise DatasetError(
            f"{os.fspath(path)} is no picture (or in a format that Pillow does not know)"
        ) from None
    except DECODER_ERRORS as error:
        raise DatasetError(f"the picture {os.fspath(path)} cannot be read: {error}") from error


def load_resized_img(
    path: str | os.PathLike[str], width: int = 256, height: int = 256
) -> Image.Image:
    """Read a picture as `load_img` does and resize it."""
    return load_img(path).resize((width, height))


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
