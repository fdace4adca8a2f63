"""From a picture to what a network takes, and from its output to words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mindspore import dtype
from mindspore.dataset import ImageFolderDataset, transforms, vision
from numpy.typing import NDArray

from sedna_tinyms.errors import ConfigurationError, did_you_mean
from sedna_tinyms.pictures import IMAGENET_MEAN, IMAGENET_STD
from sedna_tinyms.tinyms.keywords import refuse_unknown, require_counts
from sedna_tinyms.tinyms.vision.labels import MUSHROOMS
from sedna_tinyms.tinyms.vision.pipeline import (
    Transform,
    batched,
    clamped_workers,
    require_dataset,
)

__all__ = ["ClassifierTransform", "ImageFolderTransform", "imagefolder_transform", "postprocess"]

STRATEGIES = {"TOP1_CLASS": 1, "TOP3_CLASS": 3, "TOP5_CLASS": 5}


class ClassifierTransform(Transform):
    """A transform whose network gives one score a class."""

    def postprocess(
        self,
        input: NDArray[Any],  # noqa: A002 - TinyMS's name
        strategy: str = "TOP1_CLASS",
    ) -> str:
        """Put a network's output into words; see `vision.postprocess`."""
        return postprocess(input, self.labels, strategy)


class ImageFolderTransform(ClassifierTransform):
    """TinyMS's transform for photos: resize, centre crop, normalize, channels first.

    Parameters
    ----------
    labels : sequence of str, optional
        Class names for `postprocess`; TinyMS's nine mushrooms by default.
    size : int
        Height and width of the result. The picture is first resized to ``size * 256 / 224``.
    mean, std : sequence of float
        Per channel, for pixels from 0 to 255; ImageNet's by default.

    Raises
    ------
    ConfigurationError
        If a parameter is out of its range.
    """

    def __init__(
        self,
        labels: Sequence[object] = MUSHROOMS,
        size: int = 224,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        **keywords: Any,
    ) -> None:
        refuse_unknown("ImageFolderTransform", keywords, ["labels", "size", "mean", "std"])
        require_counts("ImageFolderTransform", {"size": size})
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ConfigurationError(
                f"mean is {mean!r} and std is {std!r}; each takes three numbers, std above 0",
                code="invalid-value",
                mean=tuple(mean),
                std=tuple(std),
            )
        self.size = size
        self.resized = round(size * 256 / 224)
        self.mean = tuple(float(m) for m in mean)
        self.std = tuple(float(s) for s in std)
        self._offset = (self.resized - size) // 2
        # Pixels are bytes, so normalizing one channel is looking 256 values up.
        self._normalized = self._normalize(np.arange(256)[:, None]).T.copy()
        resize = vision.Resize((self.resized, self.resized))
        super().__init__((3, size, size), [resize, self._crop_and_normalize], labels)

    def _crop_and_normalize(self, resized: NDArray[Any]) -> NDArray[np.float32]:
        inside = slice(self._offset, self._offset + self.size)
        cropped = resized[inside, inside]
        if cropped.dtype != np.uint8:
            return self._normalize(cropped).transpose(2, 0, 1)
        result = np.empty(self.shape, np.float32)
        for channel in range(3):
            np.take(self._normalized[channel], cropped[..., channel], out=result[channel])
        return result

    def _normalize(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        return np.asarray((pixels.astype(np.float32) - mean) / std, np.float32)

    def apply_ds(
        self,
        image_dataset: ImageFolderDataset,
        repeat_size: int = 1,
        batch_size: int = 32,
        num_parallel_workers: int | None = None,
        is_training: bool = True,
    ) -> Any:
        """Transform and batch an image folder.

        MindSpore decodes here: it does not turn pictures upright by their EXIF data as
        `load_images` does, and raises RuntimeError for a broken one, naming the file.

        Parameters
        ----------
        image_dataset : ImageFolderDataset
            With undecoded pictures, as it comes.
        repeat_size : int
            How often the dataset repeats.
        batch_size : int
            Pictures in a batch; a last batch with fewer is dropped.
        num_parallel_workers : int, optional
            Threads; never more than this process may use cores.
        is_training : bool
            True: random crop and flip. False: as for prediction.

        Returns
        -------
        Dataset
            Columns `image`, float32 (batch_size, 3, size, size), and `label`, int32.

        Raises
        ------
        TypeError
            If `image_dataset` is no ImageFolderDataset.
        DatasetError
            If it has fewer pictures than one batch takes.
        """
        require_dataset(image_dataset, (ImageFolderDataset,), ("image", "label"))
        workers = clamped_workers(num_parallel_workers)
        operations = self._random_operations() if is_training else self._fixed_operations()
        operations += [vision.Normalize(self.mean, self.std), vision.HWC2CHW()]
        dataset = image_dataset.map(transforms.TypeCast(dtype.int32), "label")
        dataset = dataset.map(operations, "image", num_parallel_workers=workers)
        return batched(dataset, batch_size, repeat_size)

    def _random_operations(self) -> list[Any]:
        crop = vision.RandomCropDecodeResize(self.size, scale=(0.08, 1.0), ratio=(0.75, 1.333))
        return [crop, vision.RandomHorizontalFlip(prob=0.5)]

    def _fixed_operations(self) -> list[Any]:
        crop = vision.Crop((self._offset, self._offset), self.size)
        return [vision.Decode(), vision.Resize((self.resized, self.resized)), crop]


def postprocess(
    logits: NDArray[Any], labels: Sequence[object], strategy: str = "TOP1_CLASS"
) -> str:
    r"""Put the first row of a classifier's output into words, in TinyMS's format.

    Scores are the softmax of the row, also where it already holds probabilities.

    Parameters
    ----------
    logits : ndarray of shape (N, classes)
        A network's output.
    labels : sequence
        The classes' names.
    strategy : {"TOP1_CLASS", "TOP3_CLASS", "TOP5_CLASS"}
        How many classes to name.

    Returns
    -------
    str
        ``TOP1: <label>, score: <score>``; for several, each is followed by a tab.

    Raises
    ------
    TypeError
        If `logits` is no two-dimensional array.
    ConfigurationError
        If the strategy is unknown, or asks for more classes than there are or have a label.
    """
    if not isinstance(logits, np.ndarray) or logits.ndim != 2:
        raise TypeError(f"postprocess takes a 2-D numpy array, not {logits!r:.80}")
    if strategy not in STRATEGIES:
        raise ConfigurationError(
            f"unknown strategy {strategy!r}{did_you_mean(strategy, STRATEGIES)}; "
            f"one of {', '.join(STRATEGIES)}",
            code="unknown-name",
            name="strategy",
            value=strategy,
            valid=tuple(STRATEGIES),
        )
    count = STRATEGIES[strategy]
    row = logits[0]
    order = np.argsort(-row, kind="stable")[:count]
    if len(order) < count or order.max() >= len(labels):
        raise ConfigurationError(
            f"{strategy} cannot be said: the output has {len(row)} classes, "
            f"{len(labels)} of them have a label",
            code="class-mismatch",
            name="strategy",
            value=strategy,
            classes=len(row),
            labels=len(labels),
        )
    exponentials = np.exp(row - row.max())
    scores = exponentials / exponentials.sum()
    if count == 1:
        return f"TOP1: {labels[order[0]]}, score: {round(float(scores[order[0]]), 5)}"
    return "".join(
        f"TOP{rank}: {labels[index]}, score: {scores[index]:.7f}\t"
        for rank, index in enumerate(order, 1)
    )


imagefolder_transform = ImageFolderTransform()
