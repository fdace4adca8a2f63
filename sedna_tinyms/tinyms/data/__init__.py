"""Datasets: MindSpore's, lists of labelled pictures, and pictures on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mindspore import mindrecord as _mindrecord
from mindspore.dataset import engine as _engine
from mindspore.dataset.engine import *  # noqa: F403
from mindspore.mindrecord import *  # noqa: F403

from sedna_tinyms.tinyms.data.download import download_dataset
from sedna_tinyms.tinyms.data.images import generate_image_list, load_img, load_resized_img
from sedna_tinyms.tinyms.data.index import LabelledImages, read_image_folder, read_index

__all__ = [
    "LabelledImages",
    "download_dataset",
    "generate_image_list",
    "load_img",
    "load_resized_img",
    "read_image_folder",
    "read_index",
]
__all__ += [*_engine.__all__, *_mindrecord.__all__]

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...  # mypy does not look into MindSpore
