"""Pictures that clients send: decoded only after their size is known."""

from __future__ import annotations

import base64
import binascii
import io
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from sedna_tinyms.tinyms.data.images import DECODER_ERRORS, to_rgb
from sedna_tinyms.tinyms.serving.refusal import Refusal, without_paths

__all__ = ["as_data_url", "decode_picture"]

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
"""What is recognised; Pillow knows more, some of which start other programs."""

PREVIEW_SIDE = 1024


def decode_picture(text: object, pixel_limit: int) -> NDArray[np.uint8]:
    """Return the base64 text of a picture file, or a data URL, as RGB pixels, upright.

    Raises
    ------
    Refusal
        400 if it is no picture, 413 if it has more than `pixel_limit` pixels.
    """
    if not isinstance(text, str) or not text:
        raise Refusal(400, "data must be a picture file as base64 text", code="missing-value")
    encoded = text.partition(",")[2] if text.startswith("data:") else text
    try:
        content = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error) as error:
        raise Refusal(400, f"data is no base64: {error}", code="not-base64") from None
    try:
        with warnings.catch_warnings():
            # Pillow warns of odd metadata, and of sizes beyond a limit that is lower here.
            warnings.simplefilter("ignore")
            return _decode(content, pixel_limit)
    except UnidentifiedImageError:
        raise Refusal(
            400, f"data is no picture; known formats: {', '.join(FORMATS)}", code="unknown-format"
        ) from None
    except Image.DecompressionBombError:
        raise Refusal(
            413,
            f"the picture is too large; at most {pixel_limit} pixels are accepted",
            code="too-large",
        ) from None
    except DECODER_ERRORS as error:
        raise Refusal(
            400, f"the picture cannot be read: {without_paths(error)}", code="bad-picture"
        ) from None


def _decode(content: bytes, pixel_limit: int) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        width, height = image.size
        if width * height > pixel_limit:
            raise Refusal(
                413,
                f"the picture has {width} x {height} pixels; "
                f"at most {pixel_limit} pixels are accepted",
                code="too-large",
            )
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return np.asarray(to_rgb(image))


def as_data_url(pixels: NDArray[Any]) -> str:
    """Return a picture as a JPEG data URL, made smaller where it is large."""
    image = Image.fromarray(pixels)
    image.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
