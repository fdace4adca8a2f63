"""A window with a picture and what was found in it."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sedna_tinyms.errors import extra

__all__ = ["ImageViewer"]


class ImageViewer:
    """Shows a picture with matplotlib.

    Parameters
    ----------
    image : PIL.Image or ndarray
        The picture.
    label : str, optional
        Its title.
    """

    def __init__(self, image: Image.Image | NDArray[Any], label: str | None = None) -> None:
        self._image = image
        self._label = label

    @property
    def image(self) -> Image.Image | NDArray[Any]:
        """The picture as given."""
        return self._image

    @property
    def label(self) -> str | None:
        """The title as given."""
        return self._label

    def show(self) -> None:
        """Open the window; returns when it is closed.

        Raises
        ------
        MissingExtraError
            If matplotlib is not installed.
        """
        plt = _pyplot()
        self._axes(plt)
        plt.show()

    def draw(self, pred_res: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> None:
        """Open the window, with a frame around each object found.

        Parameters
        ----------
        pred_res : list of dict
            As `VOCTransform.postprocess` gives them.
        labels : sequence of str
            The class names; each has a colour of its own.

        Raises
        ------
        MissingExtraError
            If matplotlib is not installed.
        """
        plt = _pyplot()
        axes = self._axes(plt)
        hues = {label: index / max(1, len(labels)) for index, label in enumerate(labels)}
        for found in pred_res:
            left, top, width, height = found["bbox"]
            colour = colorsys.hsv_to_rgb(hues.get(found["category_id"], 0.0), 1.0, 0.8)
            frame = plt.Rectangle((left, top), width, height, fill=False, color=colour, linewidth=2)
            axes.add_patch(frame)
            axes.text(
                left,
                top,
                f"{found['category_id']} {found['score']:.2f}",
                color="white",
                backgroundcolor=colour,
            )
        plt.show()

    def _axes(self, plt: Any) -> Any:
        axes = plt.figure().add_subplot()
        axes.imshow(np.asarray(self.image), cmap="gray")
        axes.set_axis_off()
        if self.label is not None:
            axes.set_title(self.label)
        return axes


def _pyplot() -> Any:
    with extra("report", "showing a picture"):
        import matplotlib.pyplot as plt
    return plt
