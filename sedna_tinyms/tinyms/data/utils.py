"""Pictures on disk and data sets from elsewhere, under TinyMS's name for this module."""

from __future__ import annotations

from sedna_tinyms.tinyms.data.download import download_dataset
from sedna_tinyms.tinyms.data.images import (
    generate_image_list,
    load_img,
    load_resized_img,
    save_image,
)

__all__ = [
    "download_dataset",
    "generate_image_list",
    "load_img",
    "load_resized_img",
    "save_image",
]
