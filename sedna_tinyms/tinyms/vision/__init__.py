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

from sedna_tinyms.tinyms.left_out import left_out
from sedna_tinyms.tinyms.ssd_boxes import ssd_bboxes_encode, ssd_bboxes_filter
from sedna_tinyms.tinyms.vision.classification import (
    Cifar10Transform,
    MnistTransform,
    cifar10_transform,
    mnist_transform,
)
from sedna_tinyms.tinyms.vision.coco import coco_eval
from sedna_tinyms.tinyms.vision.cyclegan import CycleGanDatasetTransform, cyclegan_transform
from sedna_tinyms.tinyms.vision.detection import (
    ShanshuiTransform,
    VOCTransform,
    shanshui_tranform,
    shanshui_transform,
    voc_transform,
)
from sedna_tinyms.tinyms.vision.loading import load_images
from sedna_tinyms.tinyms.vision.pictures import Picture, as_rgb
from sedna_tinyms.tinyms.vision.transforms import (
    ImageFolderTransform,
    imagefolder_transform,
    postprocess,
)
from sedna_tinyms.tinyms.vision.viewer import ImageViewer

decode = Decode()
hwc2chw = HWC2CHW()

__all__ = [
    "Cifar10Transform",
    "Compose",
    "Concatenate",
    "CycleGanDatasetTransform",
    "Duplicate",
    "Fill",
    "ImageFolderTransform",
    "ImageViewer",
    "Mask",
    "MnistTransform",
    "OneHot",
    "PILRandomHorizontalFlip",
    "PadEnd",
    "Picture",
    "RandomApply",
    "RandomChoice",
    "ShanshuiTransform",
    "Slice",
    "TypeCast",
    "Unique",
    "VOCTransform",
    "as_rgb",
    "cifar10_transform",
    "coco_eval",
    "cyclegan_transform",
    "decode",
    "hwc2chw",
    "imagefolder_transform",
    "load_images",
    "mnist_transform",
    "postprocess",
    "shanshui_tranform",
    "shanshui_transform",
    "ssd_bboxes_encode",
    "ssd_bboxes_filter",
    "voc_transform",
]
__all__ += [name for name in dir(_vision) if name[0].isupper()]

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...  # mypy does not look into MindSpore

else:
    __getattr__ = left_out(__name__)
