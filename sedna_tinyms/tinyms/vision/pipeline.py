"""What the transforms share: a chain of operations on one picture, and batches of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sedna_tinyms.errors import ConfigurationError, DatasetError
from sedna_tinyms.tinyms.data import workers
from sedna_tinyms.tinyms.vision.pictures import as_rgb

__all__ = ["Transform", "batched", "clamped_workers", "require_dataset"]


class Transform:
    """A picture as a network takes it, and the names of what the network finds in it.

    Parameters
    ----------
    shape : tuple of int
        Of the result for one picture, without a batch axis.
    operations : sequence of callable
        What is done to the picture's RGB array, one after the other.
    labels : sequence
        Class names.

    Raises
    ------
    ConfigurationError
        If `labels` is no sequence.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        operations: Sequence[Callable[[Any], Any]],
        labels: Sequence[object] = (),
    ) -> None:
        if not isinstance(labels, Sequence):
            raise ConfigurationError(
                f"labels is {labels!r:.80}; it must be a sequence of class names. TinyMS's "
                "dictionary `configs` is left out: see the other parameters",
                code="wrong-type",
                name="labels",
                value=labels,
            )
        self.shape = shape
        self.labels = tuple(labels)
        self._operations = list(operations)

    def __call__(self, img: Image.Image | NDArray[Any]) -> NDArray[np.float32]:
        """Transform one picture as for prediction.

        Parameters
        ----------
        img : PIL.Image or ndarray
            Of any mode, and as it lies: `load_img` turns a photo upright by its EXIF data. An
            array is (H, W) or (H, W, C), with values from 0 to 255.

        Returns
        -------
        ndarray of float32
            Of `shape`, without a batch axis.

        Raises
        ------
        DatasetError
            If it is no usable picture.
        TypeError
            If it is neither of these types.
        """
        if not isinstance(img, Image.Image | np.ndarray):
            raise TypeError(f"a picture is a PIL.Image or a numpy array, not {type(img).__name__}")
        # MindSpore resizes Pillow images by other rules than arrays, hence always an array.
        pixels = as_rgb(img)
        for operation in self._operations:
            pixels = operation(pixels)
        return np.ascontiguousarray(pixels, np.float32)


def clamped_workers(requested: int | None) -> int:
    """Return how many threads to use: as requested or one a core, never more than that."""
    return workers.clamped_workers(requested or workers.available_cores())


def require_dataset(dataset: Any, kinds: tuple[type[Any], ...], columns: Sequence[str]) -> None:
    """Raise TypeError unless `dataset` is of one of the kinds and has the columns."""
    if not isinstance(dataset, kinds):
        raise TypeError(
            f"apply_ds takes a {' or '.join(kind.__name__ for kind in kinds)}, "
            f"not {type(dataset).__name__}"
        )
    found = dataset.get_col_names()
    if not set(columns) <= set(found):
        raise TypeError(
            f"apply_ds needs the columns {', '.join(columns)}; the dataset has {', '.join(found)}"
        )


def batched(
    dataset: Any, batch_size: int, repeat_size: int, padding: dict[str, Any] | None = None
) -> Any:
    """Return batches of a dataset, without a last one that is not full, repeated.

    Parameters
    ----------
    dataset : Dataset
        Single samples.
    batch_size, repeat_size : int
        Samples in a batch, and how often the dataset repeats.
    padding : dict, optional
        For columns of varying length: the shape and value to fill up with, by name.

    Raises
    ------
    DatasetError
        If there are fewer samples than one batch takes.
    """
    samples = dataset.get_dataset_size()
    if samples < batch_size:
        raise DatasetError(
            f"the dataset has {samples} samples, fewer than one batch of {batch_size}: "
            "make batch_size smaller",
            code="out-of-range",
            name="batch_size",
            value=batch_size,
            samples=samples,
        )
    if padding:
        batches = dataset.padded_batch(batch_size, drop_remainder=True, pad_info=padding)
    else:
        batches = dataset.batch(batch_size, drop_remainder=True)
    return batches.repeat(repeat_size)
