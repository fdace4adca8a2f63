"""Pictures of two kinds that do not belong together one by one, as a CycleGAN learns from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.errors import DatasetError
from sedna_tinyms.tinyms.data.images import generate_image_list, load_img

__all__ = ["GanImageFolderDataset", "UnalignedDataset"]

Pixels = NDArray[np.uint8]


class UnalignedDataset:
    """Pairs of pictures from ``<path>/<phase>A`` and ``<path>/<phase>B``, for `GeneratorDataset`.

    An item is a picture of A and one of B, each uint8 (H, W, 3). There are as many items as the
    larger directory has pictures; the other's come again from the beginning.

    Parameters
    ----------
    dataset_path : path
        The directory of both.
    phase : str
        ``"train"`` or ``"test"``.
    max_dataset_size : float, optional
        The most pictures to take from each directory.
    shuffle : bool
        Take the picture of B at random, by NumPy's global generator, which `set_seed` seeds.

    Raises
    ------
    DatasetError
        If a directory is missing or has no pictures; for an item, if a picture cannot be read.
    """

    def __init__(
        self,
        dataset_path: str | os.PathLike[str],
        phase: str,
        max_dataset_size: float | None = None,
        shuffle: bool = True,
    ) -> None:
        self.paths_a = _pictures(Path(dataset_path, f"{phase}A"), max_dataset_size)
        self.paths_b = _pictures(Path(dataset_path, f"{phase}B"), max_dataset_size)
        self.shuffle = shuffle

    def __getitem__(self, index: int) -> tuple[Pixels, Pixels]:
        if not 0 <= index < len(self):
            raise IndexError(f"there is no item {index}; there are {len(self)}")
        of_b = np.random.randint(len(self.paths_b)) if self.shuffle else index % len(self.paths_b)
        return _pixels(self.paths_a[index % len(self.paths_a)]), _pixels(self.paths_b[of_b])

    def __len__(self) -> int:
        return max(len(self.paths_a), len(self.paths_b))


class GanImageFolderDataset:
    """The pictures below a directory with their file names, for `GeneratorDataset`.

    An item is a picture, uint8 (H, W, 3), and its file name.

    Parameters
    ----------
    dataset_path : path
        The directory.
    max_dataset_size : float, optional
        The most pictures to take.

    Raises
    ------
    DatasetError
        If it is missing or has no pictures; for an item, if a picture cannot be read.
    """

    def __init__(
        self, dataset_path: str | os.PathLike[str], max_dataset_size: float | None = None
    ) -> None:
        self.paths = _pictures(Path(dataset_path), max_dataset_size)

    def __getitem__(self, index: int) -> tuple[Pixels, NDArray[Any]]:
        path = self.paths[index]
        return _pixels(path), np.asarray(Path(path).name)

    def __len__(self) -> int:
        return len(self.paths)


def _pictures(directory: Path, most: float | None) -> list[str]:
    found = generate_image_list(directory, float("inf") if most is None else most)
    if not found:
        raise DatasetError(
            f"the image directory {directory} has no pictures", code="empty", path=str(directory)
        )
    return found


def _pixels(path: str) -> Pixels:
    return np.asarray(load_img(path))
