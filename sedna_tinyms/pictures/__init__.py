"""Pictures, from wherever they come to the bytes that a network takes; without MindSpore.

Training, evaluation and prediction, in the cloud and at the edge, all read pictures here, so that
a model sees the same pixels everywhere.
"""

from sedna_tinyms.pictures.folders import LabelledImages, generate_image_list, read_image_folder
from sedna_tinyms.pictures.opening import (
    DECODER_ERRORS,
    IMAGE_SUFFIXES,
    Picture,
    as_rgb,
    digest,
    load_img,
    to_rgb,
)
from sedna_tinyms.pictures.pixels import IMAGENET_MEAN, IMAGENET_STD, load_pixels, pixel_batches

__all__ = [
    "DECODER_ERRORS",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "IMAGE_SUFFIXES",
    "LabelledImages",
    "Picture",
    "as_rgb",
    "digest",
    "generate_image_list",
    "load_img",
    "load_pixels",
    "pixel_batches",
    "read_image_folder",
    "to_rgb",
]
