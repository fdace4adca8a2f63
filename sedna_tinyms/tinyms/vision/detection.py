"""TinyMS's transforms for finding objects with SSD300: VOC's classes, and ten animals'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mindspore.dataset import GeneratorDataset, VOCDataset, vision
from numpy.typing import NDArray

from sedna_tinyms.errors import ConfigurationError, did_you_mean
from sedna_tinyms.pictures import IMAGENET_MEAN, IMAGENET_STD
from sedna_tinyms.tinyms.keywords import refuse_unknown
from sedna_tinyms.tinyms.ssd_boxes import ssd_bboxes_encode, ssd_bboxes_filter
from sedna_tinyms.tinyms.vision.box_crop import flip, random_crop
from sedna_tinyms.tinyms.vision.labels import SHANSHUI, VOC
from sedna_tinyms.tinyms.vision.pipeline import (
    Transform,
    batched,
    clamped_workers,
    require_dataset,
)
from sedna_tinyms.tinyms.vision.transforms import STRATEGIES

__all__ = [
    "ShanshuiTransform",
    "VOCTransform",
    "shanshui_tranform",
    "shanshui_transform",
    "voc_transform",
]

SIZE = 300
NO_LABEL = -1


class VOCTransform(Transform):
    """TinyMS's transform for SSD300: resize to 300 x 300, normalize, channels first.

    Parameters
    ----------
    labels : sequence of str, optional
        Class names, the background first; by default the twenty of Pascal VOC.
    """

    def __init__(self, labels: Sequence[str] = VOC, **keywords: Any) -> None:
        refuse_unknown(type(self).__name__, keywords, ["labels"])
        self._resize = vision.Resize((SIZE, SIZE))
        self._normalize = [vision.Normalize(IMAGENET_MEAN, IMAGENET_STD), vision.HWC2CHW()]
        super().__init__((3, SIZE, SIZE), [self._resize, *self._normalize], labels)

    def apply_ds(
        self,
        voc_ds: VOCDataset | GeneratorDataset,
        repeat_size: int = 1,
        batch_size: int = 32,
        num_parallel_workers: int | None = None,
        is_training: bool = True,
    ) -> Any:
        """Transform and batch pictures with drawn boxes.

        Parameters
        ----------
        voc_ds : VOCDataset or GeneratorDataset
            A VOCDataset for the task "Detection" with ``decode=True``; or columns `image`, uint8
            (H, W, 3), `bbox`, (N, 4) as left, top, width and height in pixels, and `label`, (N,)
            or (N, 1), the class counted from 0 without the background.
        repeat_size : int
            How often the dataset repeats.
        batch_size : int
            Pictures in a batch; a last batch with fewer is dropped.
        num_parallel_workers : int, optional
            Threads; never more than this process may use cores.
        is_training : bool
            True: random crop, flip and colours, and boxes as the network's targets.

        Returns
        -------
        Dataset
            For training what `SSD300WithLoss` takes: `image`, `bbox` (B, 1917, 4), `label`
            (B, 1917) and `num_match` (B, 1). Otherwise `image`, `image_shape`, float32 (B, 2)
            with height and width in pixels, and `label` (B, N, 1), filled up with -1.

        Raises
        ------
        TypeError
            If it is another kind of dataset.
        DatasetError
            If it has fewer pictures than one batch takes.
        """
        require_dataset(voc_ds, (VOCDataset, GeneratorDataset), ("image", "bbox", "label"))
        workers = clamped_workers(num_parallel_workers)
        if is_training:
            columns = ["image", "bbox", "label", "num_match"]
            dataset = voc_ds.map(self._as_targets, ["image", "bbox", "label"], columns)
            operations = [vision.RandomColorAdjust(0.4, 0.4, 0.4), *self._normalize]
            padding = None
        else:
            columns = ["image", "image_shape", "label"]
            dataset = voc_ds.map(self._with_shape, ["image", "label"], columns)
            operations = list(self._normalize)
            padding = {"label": ([None, 1], NO_LABEL)}
        dataset = dataset.map(operations, "image", num_parallel_workers=workers)
        return batched(dataset.project(columns), batch_size, repeat_size, padding)

    def _as_targets(
        self, image: NDArray[Any], boxes: NDArray[Any], labels: NDArray[Any]
    ) -> tuple[NDArray[Any], ...]:
        """Crop and flip at random, and encode what is left."""
        left, top, width, height = boxes.astype(np.float32).reshape(-1, 4).T
        classes = labels.astype(np.float32).reshape(-1)
        drawn = np.stack([top, left, top + height, left + width, classes], axis=1)
        image, drawn = random_crop(image, drawn[(width > 0) & (height > 0)])
        if np.random.random() < 0.5:
            image, drawn = flip(image, drawn)
        drawn[:, :4] /= np.tile(np.array(image.shape[:2], np.float32), 2)
        return (self._resize(np.ascontiguousarray(image)), *ssd_bboxes_encode(drawn))

    def _with_shape(self, image: NDArray[Any], labels: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        shape = np.array(image.shape[:2], np.float32)
        return self._resize(image), shape, labels.astype(np.int32).reshape(-1, 1)

    def postprocess(
        self,
        input: NDArray[Any],  # noqa: A002 - TinyMS's name
        image_shape: Sequence[float],
        strategy: str = "TOP1_CLASS",
    ) -> list[dict[str, Any]]:
        """Return the objects that the network found in one picture.

        Parameters
        ----------
        input : ndarray of shape (1, 1917, 4 + classes)
            Boxes and scores of ``ssd300_mobilenetv2(is_training=False)``, side by side.
        image_shape : (height, width)
            Of the picture, in pixels.
        strategy : str
            TinyMS's word; every strategy gives all objects.

        Returns
        -------
        list of dict
            `bbox` as [left, top, width, height] in pixels, `score` and `category_id`, the name of
            the class.

        Raises
        ------
        TypeError
            If `input` is no three-dimensional array for one picture.
        ConfigurationError
            If the strategy is unknown, or the scores are of more classes than have a label.
        """
        if not isinstance(input, np.ndarray) or input.ndim != 3 or len(input) != 1:
            raise TypeError(
                f"postprocess takes an array of shape (1, boxes, 4 + classes), not {input!r:.80}"
            )
        if strategy not in STRATEGIES:
            raise ConfigurationError(
                f"unknown strategy {strategy!r}{did_you_mean(strategy, STRATEGIES)}; "
                f"one of {', '.join(STRATEGIES)}",
                code="unknown-name",
                name="strategy",
                value=strategy,
                valid=tuple(STRATEGIES),
            )
        boxes, scores = input[0, :, :4], input[0, :, 4:]
        if scores.shape[1] > len(self.labels):
            raise ConfigurationError(
                f"the network scores {scores.shape[1]} classes, {len(self.labels)} have a label",
                code="class-mismatch",
                value=scores.shape[1],
                expected=len(self.labels),
            )
        return [
            {
                "bbox": [left, top, right - left, bottom - top],
                "score": score,
                "category_id": self.labels[label],
            }
            for (top, left, bottom, right), score, label in zip(
                *ssd_bboxes_filter(boxes, scores, image_shape), strict=True
            )
        ]


class ShanshuiTransform(VOCTransform):
    """As `VOCTransform`, for TinyMS's ten animals of China's mountains.

    Parameters
    ----------
    labels : sequence of str, optional
        Class names, the background first.
    """

    def __init__(self, labels: Sequence[str] = SHANSHUI, **keywords: Any) -> None:
        super().__init__(labels, **keywords)


voc_transform = VOCTransform()
shanshui_transform = ShanshuiTransform()
shanshui_tranform = shanshui_transform
"""`shanshui_transform` as TinyMS spells it."""
