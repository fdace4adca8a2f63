"""TinyMS's transforms for MNIST and CIFAR-10."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mindspore import dtype
from mindspore.dataset import Cifar10Dataset, GeneratorDataset, MnistDataset, transforms, vision
from numpy.typing import NDArray
from PIL import Image

from sedna_tinyms.errors import DatasetError
from sedna_tinyms.tinyms.keywords import refuse_unknown, require_counts
from sedna_tinyms.tinyms.vision.labels import CIFAR10
from sedna_tinyms.tinyms.vision.pipeline import batched, clamped_workers, require_dataset
from sedna_tinyms.tinyms.vision.transforms import ClassifierTransform

__all__ = ["Cifar10Transform", "MnistTransform", "cifar10_transform", "mnist_transform"]

COLUMNS = ("image", "label")
MNIST_MEAN, MNIST_STD = 0.1307, 0.3081
CIFAR10_MEAN, CIFAR10_STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


def as_gray(rgb: NDArray[Any]) -> NDArray[np.float32]:
    """Return the brightness (H, W, 1) of an RGB array, in whole steps from 0 to 255."""
    if rgb.dtype != np.uint8:
        if not (rgb.min() >= 0 and rgb.max() <= 255):
            raise DatasetError(
                f"an array with values from {rgb.min()} to {rgb.max()} is no picture of digits; "
                "they must lie between 0 and 255",
                code="out-of-range",
                least=float(rgb.min()),
                most=float(rgb.max()),
            )
        rgb = rgb.astype(np.uint8)
    return np.asarray(Image.fromarray(rgb).convert("L"), np.float32)[..., None]


class MnistTransform(ClassifierTransform):
    """TinyMS's transform for handwritten digits: gray, 32 x 32, scaled, channel first.

    TinyMS subtracts MNIST's mean before it divides by 255, so values lie between 0 and 3.24;
    its checkpoints expect that.

    Parameters
    ----------
    labels : sequence, optional
        Class names for `postprocess`; the whole numbers 0 to 9 by default.
    """

    def __init__(self, labels: Sequence[object] = range(10), **keywords: Any) -> None:
        refuse_unknown("MnistTransform", keywords, ["labels"])
        self._of_gray = [
            vision.Resize((32, 32)),
            vision.Rescale(1 / MNIST_STD, -MNIST_MEAN / MNIST_STD),
            vision.Rescale(1 / 255, 0.0),
            vision.HWC2CHW(),
        ]
        super().__init__((1, 32, 32), [as_gray, *self._of_gray], labels)

    def apply_ds(
        self,
        mnist_ds: MnistDataset | GeneratorDataset,
        repeat_size: int = 1,
        batch_size: int = 32,
        num_parallel_workers: int | None = None,
    ) -> Any:
        """Transform and batch a dataset of digits.

        Parameters
        ----------
        mnist_ds : MnistDataset or GeneratorDataset
            With columns `image`, uint8 (H, W, 1), and `label`.
        repeat_size : int
            How often the dataset repeats.
        batch_size : int
            Pictures in a batch; a last batch with fewer is dropped.
        num_parallel_workers : int, optional
            Threads; never more than this process may use cores.

        Returns
        -------
        Dataset
            Columns `image`, float32 (batch_size, 1, 32, 32), and `label`, int32.

        Raises
        ------
        TypeError
            If it is another kind of dataset.
        DatasetError
            If it has fewer pictures than one batch takes.
        """
        require_dataset(mnist_ds, (MnistDataset, GeneratorDataset), COLUMNS)
        workers = clamped_workers(num_parallel_workers)
        dataset = mnist_ds.map(transforms.TypeCast(dtype.int32), "label")
        dataset = dataset.map(self._of_gray, "image", num_parallel_workers=workers)
        return batched(dataset, batch_size, repeat_size)


class Cifar10Transform(ClassifierTransform):
    """TinyMS's transform for CIFAR-10: resize, scale to 0..1, normalize, channels first.

    Parameters
    ----------
    labels : sequence of str, optional
        Class names for `postprocess`; those of CIFAR-10 by default.
    size : int
        Height and width of the result. 224 is TinyMS's; smaller ones train faster.

    Raises
    ------
    ConfigurationError
        If `size` is no whole number of at least 1.
    """

    def __init__(self, labels: Sequence[str] = CIFAR10, size: int = 224, **keywords: Any) -> None:
        refuse_unknown("Cifar10Transform", keywords, ["labels", "size"])
        require_counts("Cifar10Transform", {"size": size})
        self.size = size
        operations = [
            vision.Resize((size, size)),
            vision.Rescale(1 / 255, 0.0),
            vision.Normalize(CIFAR10_MEAN, CIFAR10_STD),
            vision.HWC2CHW(),
        ]
        super().__init__((3, size, size), operations, labels)

    def apply_ds(
        self,
        cifar10_ds: Cifar10Dataset | GeneratorDataset,
        repeat_size: int = 1,
        batch_size: int = 32,
        num_parallel_workers: int | None = None,
        is_training: bool = True,
    ) -> Any:
        """Transform and batch a dataset of pictures.

        Parameters
        ----------
        cifar10_ds : Cifar10Dataset or GeneratorDataset
            With columns `image`, uint8 (H, W, 3), and `label`; at least 24 x 24 for training.
        repeat_size : int
            How often the dataset repeats.
        batch_size : int
            Pictures in a batch; a last batch with fewer is dropped.
        num_parallel_workers : int, optional
            Threads; never more than this process may use cores.
        is_training : bool
            True: first a random crop of 32 x 32 after padding by 4, and a random flip.

        Returns
        -------
        Dataset
            Columns `image`, float32 (batch_size, 3, size, size), and `label`, int32.

        Raises
        ------
        TypeError
            If it is another kind of dataset.
        DatasetError
            If it has fewer pictures than one batch takes.
        """
        require_dataset(cifar10_ds, (Cifar10Dataset, GeneratorDataset), COLUMNS)
        workers = clamped_workers(num_parallel_workers)
        operations = list(self._operations)
        if is_training:
            operations[:0] = [vision.RandomCrop(32, padding=4), vision.RandomHorizontalFlip(0.5)]
        dataset = cifar10_ds.map(transforms.TypeCast(dtype.int32), "label")
        dataset = dataset.map(operations, "image", num_parallel_workers=workers)
        return batched(dataset, batch_size, repeat_size)


mnist_transform = MnistTransform()
cifar10_transform = Cifar10Transform()
