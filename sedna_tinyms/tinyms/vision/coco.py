"""Mean average precision as the COCO challenge defines it, with its own library."""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sedna_tinyms.errors import DatasetError, extra
from sedna_tinyms.tinyms.ssd_boxes import ssd_bboxes_filter

__all__ = ["coco_eval"]

logger = logging.getLogger(__name__)


def coco_eval(pred_data: Sequence[Mapping[str, Any]], anno_file: str | os.PathLike[str]) -> float:
    """Compare what SSD300 found with what was drawn.

    Parameters
    ----------
    pred_data : list of dict
        For each picture `boxes` (1917, 4) and `box_scores` (1917, classes) from the network,
        `img_id` as in the annotations, and `image_shape` (height, width) in pixels.
    anno_file : path
        Annotations in COCO's format, whose category ids are the network's classes.

    Returns
    -------
    float
        Mean average precision over overlaps from 0.5 to 0.95; 0.0 if nothing was found.

    Raises
    ------
    MissingExtraError
        If pycocotools is not installed.
    DatasetError
        If the annotations are missing or in another format.
    """
    with extra("detection", "coco_eval"):
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    if not Path(anno_file).is_file():
        raise DatasetError(
            f"the annotations {os.fspath(anno_file)} do not exist",
            code="missing-file",
            path=os.fspath(anno_file),
        )
    found = [
        {
            "image_id": picture["img_id"],
            "category_id": label,
            "bbox": [left, top, right - left, bottom - top],
            "score": score,
        }
        for picture in pred_data
        for (top, left, bottom, right), score, label in zip(
            *ssd_bboxes_filter(picture["boxes"], picture["box_scores"], picture["image_shape"]),
            strict=True,
        )
    ]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):  # pycocotools prints
        try:
            drawn = COCO(os.fspath(anno_file))
        except (ValueError, KeyError, AssertionError) as error:
            raise DatasetError(
                f"the annotations {os.fspath(anno_file)} are not in COCO's format: {error}",
                code="damaged",
                path=os.fspath(anno_file),
            ) from error
        if not found:
            return 0.0
        evaluation = COCOeval(drawn, drawn.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    logger.info("%s", said.getvalue())
    return float(evaluation.stats[0])
