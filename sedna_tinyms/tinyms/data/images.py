"""Pictures on disk: finding them, and reading them as RGB whatever they are."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from sedna_tinyms.artifact.files import write_file
from sedna_tinyms.errors import ConfigurationError, DatasetError

__all__ = [
    "IMAGE_SUFFIXES",
    "generate_image_list",
    "load_img",
    "load_resized_img",
    "save_image",
    "to_rgb",
]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".tif", ".tiff")

NO_ALPHA = ((), (1,), (3,))

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
            f"{', '.join(IMAGE_SUFFIXES)}"
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
            "floats of shape (1, C, H, W) or bytes of shape (H, W, C), where C is 1 or 3"
        )
    return values[..., 0] if values.shape[2:] == (1,) else values


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
