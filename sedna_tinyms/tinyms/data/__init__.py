"""Datasets: MindSpore's, lists of labelled pictures, and pictures on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mindspore import mindrecord as _mindrecord
from mindspore.dataset import engine as _engine
from mindspore.dataset.engine import *  # noqa: F403
from mindspore.dataset.engine.datasets import Dataset as _Dataset
from mindspore.mindrecord import *  # noqa: F403

from sedna_tinyms.tinyms.data.cifar import read_cifar
from sedna_tinyms.tinyms.data.cifar import with_checked_files as _with_checked_files
from sedna_tinyms.tinyms.data.download import download_dataset
from sedna_tinyms.tinyms.data.images import (
    generate_image_list,
    load_img,
    load_resized_img,
    save_image,
)
from sedna_tinyms.tinyms.data.index import LabelledImages, read_image_folder, read_index
from sedna_tinyms.tinyms.data.sampler import DistributedSampler
from sedna_tinyms.tinyms.data.unpaired import GanImageFolderDataset, UnalignedDataset
from sedna_tinyms.tinyms.data.workers import with_clamped_workers as _with_clamped_workers
from sedna_tinyms.tinyms.left_out import left_out

__all__ = [
    "DistributedSampler",
    "GanImageFolderDataset",
    "LabelledImages",
    "UnalignedDataset",
    "download_dataset",
    "generate_image_list",
    "load_img",
    "load_resized_img",
    "read_cifar",
    "read_image_folder",
    "read_index",
    "save_image",
]
__all__ += [name for name in _engine.__all__ if name not in __all__]
__all__ += _mindrecord.__all__

globals().update(
    _with_clamped_workers(
        value
        for value in map(_engine.__dict__.get, _engine.__all__)
        if isinstance(value, type) and issubclass(value, _Dataset)
    )
)

Cifar10Dataset = _with_checked_files(globals()["Cifar10Dataset"])
Cifar100Dataset = _with_checked_files(globals()["Cifar100Dataset"])

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...  # mypy does not look into MindSpore

else:
    __getattr__ = left_out(__name__)
