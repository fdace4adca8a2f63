"""Random crops and flips of pictures with drawn boxes, for training SSD.

After Liu et al., "SSD: Single Shot MultiBox Detector" (2016), section 2.2: a crop is taken that
overlaps an object by at least a random amount, and keeps the objects whose centre it holds.
Random numbers are NumPy's global ones, so `numpy.random.seed` fixes them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.tinyms.ssd_boxes import intersection_over_union

__all__ = ["flip", "random_crop"]

LEAST_OVERLAPS = (None, 0.1, 0.3, 0.5, 0.7, 0.9)
SMALLEST_SIDE = 0.3
ASPECT_RATIOS = (0.5, 2.0)
TRIES = 50


def random_crop(
    image: NDArray[Any], boxes: NDArray[np.float32]
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Return a part of the picture and the boxes in it, or both unchanged.

    Parameters
    ----------
    image : ndarray of shape (H, W, C)
        The picture.
    boxes : ndarray of shape (N, 5)
        (ymin, xmin, ymax, xmax) in pixels, and the class.

    Returns
    -------
    image, boxes
        At least one box is left, cut off at the borders.
    """
    least = LEAST_OVERLAPS[np.random.randint(len(LEAST_OVERLAPS))]
    if least is None or len(boxes) == 0:
        return image, boxes
    height, width = image.shape[:2]
    centres = (boxes[:, :2] + boxes[:, 2:4]) / 2
    for _ in range(TRIES):
        size = np.random.uniform(SMALLEST_SIDE, 1.0, 2) * (height, width)
        if not ASPECT_RATIOS[0] <= size[0] / size[1] <= ASPECT_RATIOS[1]:
            continue
        corner = np.random.uniform(0, 1, 2) * ((height, width) - size)
        top, left = corner.astype(int)
        bottom, right = np.maximum((corner + size).astype(int), (top + 1, left + 1))
        crop = np.array([top, left, bottom, right], np.float32)
        inside = ((centres > crop[:2]) & (centres < crop[2:])).all(axis=1)
        if not inside.any() or intersection_over_union(crop, boxes[:, :4]).max() < least:
            continue
        kept = boxes[inside].copy()
        kept[:, :2] = np.maximum(kept[:, :2], crop[:2]) - crop[:2]
        kept[:, 2:4] = np.minimum(kept[:, 2:4], crop[2:]) - crop[:2]
        return image[top:bottom, left:right], kept
    return image, boxes


def flip(
    image: NDArray[Any], boxes: NDArray[np.float32]
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Return the picture and its boxes (in pixels) with left and right exchanged."""
    flipped = boxes.copy()
    flipped[:, [1, 3]] = image.shape[1] - boxes[:, [3, 1]]
    return image[:, ::-1], flipped
