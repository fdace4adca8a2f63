"""SSD300's default boxes: drawn boxes as targets for a network, and its output as boxes.

Boxes are (ymin, xmin, ymax, xmax) unless said otherwise, as fractions of the picture's height and
width. The layout is that of Liu et al., "SSD: Single Shot MultiBox Detector" (2016), section 2.2,
with the feature maps of a MobileNetV2.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.errors import DatasetError

__all__ = [
    "default_boxes",
    "intersection_over_union",
    "ssd_bboxes_encode",
    "ssd_bboxes_filter",
]

FEATURE_SIZES = (19, 10, 5, 3, 2, 1)
STEPS = (16, 32, 64, 100, 150, 300)
IMAGE_SIZE = 300
SMALLEST, LARGEST = 0.2, 0.95
SMALLEST_OF_ALL = 0.1
ASPECT_RATIOS = (2, 3)
CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2
POSITIVE_OVERLAP = 0.5

LEAST_SCORE = 0.7
NMS_OVERLAP = 0.6
MOST_BOXES = 100


def box_shapes(scales: Sequence[float], level: int) -> list[tuple[float, float]]:
    """Return height and width of the default boxes on one feature map: 3 on the first, else 6."""
    scale = scales[level]
    if level == 0:
        wide = (scale / math.sqrt(2), scale * math.sqrt(2))
        return [(SMALLEST_OF_ALL, SMALLEST_OF_ALL), wide, wide[::-1]]
    shapes = [(scale, scale)]
    for ratio in ASPECT_RATIOS:
        wide = (scale / math.sqrt(ratio), scale * math.sqrt(ratio))
        shapes += [wide, wide[::-1]]
    between = math.sqrt(scale * scales[level + 1])
    return [*shapes, (between, between)]


@functools.cache
def default_boxes() -> NDArray[np.float32]:
    """Return the 1917 default boxes as (centre y, centre x, height, width), float32."""
    scales = [*np.linspace(SMALLEST, LARGEST, len(FEATURE_SIZES)), 1.0]
    boxes = []
    for level, (size, step) in enumerate(zip(FEATURE_SIZES, STEPS, strict=True)):
        cell = step / IMAGE_SIZE
        shapes = box_shapes(scales, level)
        for row, column in itertools.product(range(size), repeat=2):
            centre = ((row + 0.5) * cell, (column + 0.5) * cell)
            boxes += [(*centre, *shape) for shape in shapes]
    array = np.array(boxes, np.float32)
    array.flags.writeable = False
    return array


@functools.cache
def _default_corners() -> NDArray[np.float32]:
    centres, sizes = np.split(default_boxes(), 2, axis=1)
    return np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)


def intersection_over_union(
    box: NDArray[np.floating[Any]], others: NDArray[np.floating[Any]], pixel: float = 0.0
) -> NDArray[np.floating[Any]]:
    """Return the overlap of one box (4,) with each of others (N, 4), from 0 to 1.

    With ``pixel=1`` corners are whole pixels that belong to the box.
    """
    top_left = np.maximum(box[:2], others[:, :2])
    bottom_right = np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.maximum(0, bottom_right - top_left + pixel), axis=1)
    area = np.prod(box[2:] - box[:2] + pixel)
    areas = np.prod(others[:, 2:] - others[:, :2] + pixel, axis=1)
    return np.asarray(shared / np.maximum(area + areas - shared, 1e-12))


def ssd_bboxes_encode(
    boxes: NDArray[np.floating[Any]],
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int32]]:
    """Match drawn boxes with default boxes and say how far each lies off.

    A default box goes to the drawn box it overlaps most with, if by more than half; and each drawn
    box has at least the default box that overlaps it most.

    Parameters
    ----------
    boxes : ndarray of shape (N, 5)
        Corners as fractions, and the class, counted from 0 without the background.

    Returns
    -------
    offsets : ndarray of float32, shape (1917, 4)
        Of centre (y, x) and size (height, width), in SSD's units; 0 where nothing matches.
    labels : ndarray of int32, shape (1917,)
        The class plus one; 0, the background, where nothing matches.
    matched : ndarray of int32, shape (1,)
        How many default boxes have a drawn one.

    Raises
    ------
    DatasetError
        If the boxes are of another shape, not finite, or have no height or width.
    """
    boxes = np.asarray(boxes, np.float32)
    if boxes.ndim != 2 or boxes.shape[1] != 5:
        raise DatasetError(
            f"boxes have the shape (N, 5), not {boxes.shape}",
            code="wrong-shape",
            name="boxes",
            value=boxes.shape,
        )
    if not np.isfinite(boxes).all() or (boxes[:, 2:4] <= boxes[:, :2]).any():
        raise DatasetError(
            "a box is (ymin, xmin, ymax, xmax, class) with ymin < ymax and xmin < xmax; "
            f"among these one is not: {boxes.tolist()!r:.200}",
            code="invalid-value",
            name="boxes",
            value=boxes.tolist(),
        )
    defaults = default_boxes()
    best = np.zeros(len(defaults), np.float32)
    owner = np.full(len(defaults), -1)
    for index, box in enumerate(boxes):
        overlap = intersection_over_union(box[:4], _default_corners())
        closest = overlap.argmax()
        overlap[closest] = 2.0  # more than any overlap: no other box takes it away
        better = (overlap > POSITIVE_OVERLAP) & (overlap > best)
        best[better], owner[better] = overlap[better], index
    matched = owner >= 0
    offsets = np.zeros((len(defaults), 4), np.float32)
    labels = np.zeros(len(defaults), np.int32)
    if matched.any():
        owned = boxes[owner[matched]]
        labels[matched] = owned[:, 4].astype(np.int32) + 1
        centres, sizes = (owned[:, :2] + owned[:, 2:4]) / 2, owned[:, 2:4] - owned[:, :2]
        anchors = defaults[matched]
        offsets[matched, :2] = (centres - anchors[:, :2]) / (anchors[:, 2:] * CENTRE_VARIANCE)
        offsets[matched, 2:] = np.log(np.maximum(sizes / anchors[:, 2:], 1e-6)) / SIZE_VARIANCE
    return offsets, labels, np.array([matched.sum()], np.int32)


def ssd_bboxes_filter(
    boxes: NDArray[np.floating[Any]],
    box_scores: NDArray[np.floating[Any]],
    image_shape: Sequence[float],
) -> tuple[list[list[float]], list[float], list[int]]:
    """Keep of each class the boxes that are likely and do not cover one another.

    Parameters
    ----------
    boxes : ndarray of shape (N, 4)
        Corners as fractions.
    box_scores : ndarray of shape (N, classes)
        From 0 to 1; the first column is the background.
    image_shape : (height, width)
        Of the picture, in pixels.

    Returns
    -------
    boxes : list of [ymin, xmin, ymax, xmax]
        In pixels.
    scores : list of float
        Above 0.7.
    classes : list of int
        At least 1.
    """
    pixels = np.asarray(boxes, np.float64) * np.tile(np.asarray(image_shape, np.float64), 2)
    kept_boxes: list[list[float]] = []
    kept_scores: list[float] = []
    kept_classes: list[int] = []
    for label in range(1, box_scores.shape[1]):
        scores = box_scores[:, label]
        likely = np.flatnonzero(scores > LEAST_SCORE)
        for index in likely[_separate(pixels[likely], scores[likely])]:
            kept_boxes.append(pixels[index].tolist())
            kept_scores.append(float(scores[index]))
            kept_classes.append(label)
    return kept_boxes, kept_scores, kept_classes


def _separate(boxes: NDArray[np.floating[Any]], scores: NDArray[np.floating[Any]]) -> list[int]:
    """Non-maximum suppression: indices, best score first, of boxes that overlap little."""
    waiting = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(waiting) and len(kept) < MOST_BOXES:
        kept.append(int(waiting[0]))
        rest = waiting[1:]
        overlap = intersection_over_union(boxes[kept[-1]], boxes[rest], pixel=1.0)
        waiting = rest[overlap <= NMS_OVERLAP]
    return kept
