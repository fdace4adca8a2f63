"""Transforms of pictures: MindSpore's operations, and TinyMS's ready ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mindspore.dataset import vision as _vision
from mindspore.dataset.transforms import (
    Compose,
    Concatenate,
    Duplicate,
    Fill,
    Mask,
    OneHot,
    PadEnd,
    RandomApply,
    RandomChoice,
    Slice,
    TypeCast,
    Unique,
)
from mindspore.dataset.vision import *  # noqa: F403
from mindspore.dataset.vision import HWC2CHW, Decode
from mindspore.dataset.vision import RandomHorizontalFlip as PILRandomHorizontalFlip

from sedna_tinyms.tinyms.vision.loading import load_images
from sedna_tinyms.tinyms.vision.pictures import Picture, as_rgb
from sedna_tinyms.tinyms.vision.transforms import (
    ImageFolderTransform,
    imagefolder_transform,
    postprocess,
)

decode = Decode()
hwc2chw = HWC2CHW()

__all__ = [
    "Compose",
    "Concatenate",
    "Duplicate",
    "Fill",
    "ImageFolderTransform",
    "Mask",
    "OneHot",
    "PILRandomHorizontalFlip",
    "PadEnd",
    "Picture",
    "RandomApply",
    "RandomChoice",
    "Slice",
    "TypeCast",
    "Unique",
    "as_rgb",
    "decode",
    "hwc2chw",
    "imagefolder_transform",
    "load_images",
    "postprocess",
]
__all__ += [name for name in dir(_vision) if name[0].isupper()]

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...  # mypy does not look into MindSpore
