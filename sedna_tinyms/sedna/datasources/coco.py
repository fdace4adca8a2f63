"""Annotations in COCO's JSON form."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from sedna_tinyms.artifact.json_text import parse_json
from sedna_tinyms.errors import DatasetError
from sedna_tinyms.sedna.datasources.base import BaseDataSource, as_objects, read_texts

__all__ = ["JSONDataParse"]


class JSONDataParse(BaseDataSource):
    """Reads COCO annotations: `x` are the file names of the pictures, `y` their boxes.

    A picture's boxes are an array of shape (n, 5): left, top, right and bottom in pixels, and the
    position of the class in `class_names`.
    """

    class_names: tuple[str, ...] = ()

    def parse(self, *files: str | os.PathLike[str] | None, **_kwargs: Any) -> None:
        """Read the pictures of all files together; crowds and boxes without an area are left out.

        Raises
        ------
        DatasetError
            If a file is no COCO annotation file.
        """
        names: list[str] = []
        boxes: list[Any] = []
        for name, text in read_texts(files):
            try:
                self._read(parse_json(text), names, boxes)
            except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
                raise DatasetError(
                    f"{name} is no COCO annotation file: {error!r}",
                    code="unknown-format",
                    path=name,
                ) from error
        self.x = np.array(names)
        self.y = None if self.is_test_data else as_objects(boxes)

    def _read(self, coco: dict[str, Any], names: list[str], boxes: list[Any]) -> None:
        categories = sorted(coco.get("categories", ()), key=lambda category: category["id"])
        position = {category["id"]: i for i, category in enumerate(categories)}
        self.class_names = tuple(str(category["name"]) for category in categories)
        of_image: dict[Any, list[list[float]]] = {image["id"]: [] for image in coco["images"]}
        for note in coco.get("annotations", ()):
            left, top, width, height = note["bbox"]
            if note.get("iscrowd") or width <= 0 or height <= 0:
                continue
            corner = [left, top, left + width, top + height]
            of_image[note["image_id"]].append([*corner, position[note["category_id"]]])
        for image in coco["images"]:
            names.append(str(image["file_name"]))
            boxes.append(np.array(of_image[image["id"]], dtype=float).reshape(-1, 5))
