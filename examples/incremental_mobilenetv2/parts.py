"""Six parts from a workshop, as height fields.

Each part is drawn into a square picture of heights: 0 is the bench, 255 the highest face, values
between are chamfers, threads and recesses. `scenes` lights such a field and photographs it.
Coordinates are in units of the part's half length, y pointing down; a `Pencil` maps them to
pixels with the part's pose.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

__all__ = ["CLASS_NAMES", "Pencil", "Point", "Pose", "around", "height_field"]

Point = tuple[float, float]

OVERSAMPLING = 3
"""Lines are drawn this much larger, then averaged: ImageDraw itself does not antialias."""


@dataclass(frozen=True)
class Pose:
    """Where the part lies and how it is seen."""

    angle: float  # radians
    scale: float  # half length, as a share of half the picture
    squash: float  # height of a seen square; 1 is straight from above
    shift: Point  # of the centre, as a share of half the picture

    @classmethod
    def random(cls, rng: np.random.Generator) -> Pose:
        """Any direction, within the middle that a centre crop leaves."""
        return cls(
            angle=rng.uniform(0, 2 * math.pi),
            scale=rng.uniform(0.52, 0.74),
            squash=rng.uniform(0.86, 1.0),
            shift=(rng.uniform(-0.1, 0.1), rng.uniform(-0.1, 0.1)),
        )


class Pencil:
    """Draws in the part's own coordinates."""

    def __init__(self, size: int, pose: Pose) -> None:
        self.pose = pose
        self.half = size * OVERSAMPLING / 2
        self.image = Image.new("L", (size * OVERSAMPLING,) * 2)
        self.draw = ImageDraw.Draw(self.image)

    def heights(self) -> Image.Image:
        """Return what was drawn, antialiased."""
        return self.image.reduce(OVERSAMPLING)

    def _pixel(self, point: Point) -> Point:
        cos, sin = math.cos(self.pose.angle), math.sin(self.pose.angle)
        x = self.pose.scale * (point[0] * cos - point[1] * sin)
        y = self.pose.scale * (point[0] * sin + point[1] * cos) * self.pose.squash
        return self.half * (1 + x + self.pose.shift[0]), self.half * (1 + y + self.pose.shift[1])

    def polygon(self, points: Iterable[Point], height: int) -> None:
        """Fill a polygon."""
        self.draw.polygon([self._pixel(point) for point in points], fill=height)

    def box(self, left: float, top: float, right: float, bottom: float, height: int) -> None:
        """Fill a rectangle."""
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], height)

    def disc(self, radius: float, height: int, centre: Point = (0, 0)) -> None:
        """Fill a circle."""
        self.polygon(around(radius, 48, centre=centre), height)

    def rod(self, start: Point, end: Point, thickness: float, height: int) -> None:
        """Fill a line with round ends."""
        length = math.hypot(end[0] - start[0], end[1] - start[1])
        across = (
            (start[1] - end[1]) * thickness / 2 / length,
            (end[0] - start[0]) * thickness / 2 / length,
        )
        self.polygon(
            [
                (start[0] + across[0], start[1] + across[1]),
                (end[0] + across[0], end[1] + across[1]),
                (end[0] - across[0], end[1] - across[1]),
                (start[0] - across[0], start[1] - across[1]),
            ],
            height,
        )
        for point in (start, end):
            self.disc(thickness / 2, height, point)


def around(radius: float, corners: int, turn: float = 0.0, centre: Point = (0, 0)) -> list[Point]:
    """Return the corners of a regular polygon."""
    angles = (turn + 2 * math.pi * corner / corners for corner in range(corners))
    return [(centre[0] + radius * math.cos(a), centre[1] + radius * math.sin(a)) for a in angles]


def _bolt(pencil: Pencil, rng: np.random.Generator) -> None:
    head, width, shank = rng.uniform(0.3, 0.4), rng.uniform(0.42, 0.56), rng.uniform(0.2, 0.27)
    pencil.box(-1 + head - 0.02, -shank, 0.94, shank, 205)
    pencil.polygon([(0.93, -shank), (1, -shank * 0.7), (1, shank * 0.7), (0.93, shank)], 170)
    slope = 0.06
    for x in np.arange(rng.uniform(-0.5, -0.1), 0.92, rng.uniform(0.11, 0.15)):
        pencil.rod((x - slope, -shank * 0.97), (x + slope, shank * 0.97), 0.035, 95)
    pencil.polygon(
        [
            *((-1, -width * 0.8), (-0.93, -width), (-1 + head, -width)),
            *((-1 + head, width), (-0.93, width), (-1, width * 0.8)),
        ],
        255,
    )
    for y in (-width * 0.45, width * 0.45):
        pencil.rod((-0.98, y), (-1 + head - 0.02, y), 0.03, 190)


def _gear(pencil: Pencil, rng: np.random.Generator) -> None:
    teeth, root = int(rng.integers(9, 15)), rng.uniform(0.74, 0.8)
    pitch = 2 * math.pi / teeth
    for tooth in range(teeth):
        middle = tooth * pitch
        flanks = ((root * 0.95, -0.32), (1.0, -0.2), (1.0, 0.2), (root * 0.95, 0.32))
        pencil.polygon(
            [
                (r * math.cos(middle + a * pitch), r * math.sin(middle + a * pitch))
                for r, a in flanks
            ],
            225,
        )
    pencil.disc(root, 225)
    pencil.disc(root * 0.8, 165)
    if rng.random() < 0.5:
        for hole in around(root * 0.56, int(rng.integers(4, 7))):
            pencil.disc(0.13, 0, hole)
    pencil.disc(0.33, 255)
    pencil.disc(rng.uniform(0.15, 0.2), 0)


def _nut(pencil: Pencil, rng: np.random.Generator) -> None:
    hole = rng.uniform(0.4, 0.5)
    pencil.polygon(around(1.0, 6), 205)
    pencil.disc(0.84, 255)
    pencil.disc(hole + 0.07, 130)
    pencil.disc(hole, 0)


def _spring(pencil: Pencil, rng: np.random.Generator) -> None:
    coils, radius, wire = int(rng.integers(5, 9)), rng.uniform(0.3, 0.42), rng.uniform(0.09, 0.12)
    step = 2 * (1 - wire) / coils
    lefts = [-1 + wire + step * coil for coil in range(coils + 1)]
    for left in lefts[:-1]:
        pencil.rod((left + step / 2, radius), (left + step, -radius), wire * 0.85, 140)
    for left in lefts[:-1]:
        pencil.rod((left, -radius), (left + step / 2, radius), wire, 255)
    pencil.rod((lefts[-1], -radius), (lefts[-1], radius * 0.6), wire, 255)


def _washer(pencil: Pencil, rng: np.random.Generator) -> None:
    pencil.disc(0.96, 190)
    pencil.disc(0.9, 225)
    pencil.disc(rng.uniform(0.4, 0.58), 0)


def _wrench(pencil: Pencil, rng: np.random.Generator) -> None:
    handle, jaw, tilt = rng.uniform(0.11, 0.15), rng.uniform(0.34, 0.4), rng.uniform(0.15, 0.35)
    pencil.rod((-0.72, 0), (0.6, 0), 2 * handle, 215)
    pencil.rod((-0.5, 0), (0.35, 0), handle * 0.9, 150)
    pencil.disc(0.28, 235, (-0.72, 0))
    pencil.polygon(around(0.16, 6, centre=(-0.72, 0)), 0)
    centre = (1 - jaw, 0.0)
    pencil.disc(jaw, 235, centre)
    mouth = jaw * 0.46
    along, across = (math.cos(tilt), math.sin(tilt)), (-math.sin(tilt), math.cos(tilt))
    corners = ((-0.15, -mouth), (jaw * 1.3, -mouth), (jaw * 1.3, mouth), (-0.15, mouth))
    pencil.polygon(
        [
            (centre[0] + a * along[0] + b * across[0], centre[1] + a * along[1] + b * across[1])
            for a, b in corners
        ],
        0,
    )


_PARTS: dict[str, Callable[[Pencil, np.random.Generator], None]] = {
    "bolt": _bolt,
    "gear": _gear,
    "nut": _nut,
    "spring": _spring,
    "washer": _washer,
    "wrench": _wrench,
}

CLASS_NAMES = tuple(_PARTS)


def height_field(class_name: str, size: int, rng: np.random.Generator) -> Image.Image:
    """Draw one part in a random pose.

    Parameters
    ----------
    class_name : str
        One of `CLASS_NAMES`.
    size : int
        Side of the picture in pixels.
    rng : numpy.random.Generator
        Chooses the pose and the part's own proportions.

    Returns
    -------
    PIL.Image.Image
        Mode ``L``: heights from 0 (bench) to 255.
    """
    pencil = Pencil(size, Pose.random(rng))
    _PARTS[class_name](pencil, rng)
    return pencil.heights()
