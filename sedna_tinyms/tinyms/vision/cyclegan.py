"""TinyMS's transform for pictures that a CycleGAN turns into one another."""

from __future__ import annotations

from typing import Any

from mindspore.dataset import GeneratorDataset, vision

from sedna_tinyms.tinyms.vision.pipeline import (
    Transform,
    batched,
    clamped_workers,
    require_dataset,
)

__all__ = ["CycleGanDatasetTransform", "cyclegan_transform"]

SIZE = 256


class CycleGanDatasetTransform(Transform):
    """TinyMS's transform for CycleGAN: 256 x 256, scaled to -1..1, channels first.

    CycleGAN's networks themselves are not part of this core.
    """

    def __init__(self) -> None:
        self._resize = vision.Resize((SIZE, SIZE))
        self._normalize = [
            vision.Normalize(mean=(127.5,) * 3, std=(127.5,) * 3),
            vision.HWC2CHW(),
        ]
        super().__init__((3, SIZE, SIZE), [self._resize, *self._normalize])

    def apply_ds(
        self,
        gan_generator_ds: GeneratorDataset,
        repeat_size: int = 1,
        batch_size: int = 1,
        num_parallel_workers: int | None = 1,
        shuffle: bool = True,
        phase: str = "train",
    ) -> Any:
        """Transform and batch unpaired pictures.

        Parameters
        ----------
        gan_generator_ds : GeneratorDataset
            With columns `image_A` and `image_B` for training, else `image`; uint8 (H, W, 3).
        repeat_size : int
            How often the dataset repeats.
        batch_size : int
            Pictures in a batch; a last batch with fewer is dropped.
        num_parallel_workers : int, optional
            Threads; never more than this process may use cores.
        shuffle : bool
            In training: crop and flip at random.
        phase : str
            ``"train"``, or anything else for prediction.

        Returns
        -------
        Dataset
            The same columns; pictures are float32 (batch_size, 3, 256, 256).

        Raises
        ------
        TypeError
            If it is another kind of dataset.
        DatasetError
            If it has fewer pictures than one batch takes.
        """
        columns = ("image_A", "image_B") if phase == "train" else ("image",)
        require_dataset(gan_generator_ds, (GeneratorDataset,), columns)
        operations = [self._resize]
        if phase == "train" and shuffle:
            crop = vision.RandomResizedCrop(SIZE, scale=(0.5, 1.0), ratio=(0.75, 1.333))
            operations = [crop, vision.RandomHorizontalFlip(0.5)]
        workers = clamped_workers(num_parallel_workers)
        dataset = gan_generator_ds
        for column in columns:
            dataset = dataset.map(
                [*operations, *self._normalize], column, num_parallel_workers=workers
            )
        return batched(dataset, batch_size, repeat_size)


cyclegan_transform = CycleGanDatasetTransform()
