"""Shapes that are no parts: what the demo's backbone has seen before it sees the first part.

A shape class is a number; it fixes blobs with holes, bent sticks, or blocks on a bar, and each
picture of it draws them anew with a little play, in any pose, colour and light.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from parts import Pencil, Pose, around
from PIL import Image
from scenes import CANVAS, Colour, Condition, photograph

__all__ = ["ANY_LIGHT", "photograph_shape", "shape_field"]


def _palette(
    rng: np.random.Generator, count: int, darkest: float, lightest: float
) -> tuple[Colour, ...]:
    """Draw colours around greys between two limits."""
    return tuple(
        tuple(float(v) for v in np.clip(grey + rng.uniform(-0.12, 0.12, 3), 0.05, 0.95))  # type: ignore[misc]
        for grey in rng.uniform(darkest, lightest, count)
    )


_colours = np.random.default_rng(99)

ANY_LIGHT = Condition(
    name="any",
    benches=_palette(_colours, 40, 0.15, 0.9),
    metals=_palette(_colours, 40, 0.2, 0.8),
    light=((1, 1, 1), (1, 0.85, 0.65), (0.75, 0.88, 1)),
    exposure=(0.55, 1.3),
    ambient=(0.25, 0.65),
    lamp=(0, 0.7),
    stains=(0, 0.4),
    rust=(0, 0.6),
    blur=(0, 0.7),
    noise=(0, 0.05),
)


def photograph_shape(shape_class: int, index: int) -> Image.Image:
    """Draw the picture of a class that has this index."""
    rng = np.random.default_rng((shape_class, index))
    return photograph(shape_field(shape_class, rng), ANY_LIGHT, rng)


def shape_field(shape_class: int, rng: np.random.Generator) -> Image.Image:
    """Draw the heights of one shape, as `parts.height_field` does of a part."""
    plan = np.random.default_rng(shape_class)  # what all pictures of the class share
    pencil = Pencil(CANVAS, Pose.random(rng))
    flatness = plan.uniform(0.35, 1) * rng.uniform(0.94, 1.06)
    (_blob, _blob, _sticks, _blocks)[shape_class % 4](pencil, plan, rng, flatness)
    return pencil.heights()


def _blob(
    pencil: Pencil, plan: np.random.Generator, rng: np.random.Generator, flatness: float
) -> None:
    slow = (int(plan.integers(2, 6)), plan.uniform(0, 0.16), plan.uniform(0, 6.28))
    quick = (int(plan.integers(3, 16)), plan.uniform(0.03, 0.13), plan.uniform(0, 6.28))

    def outline(scale: float, height: int) -> None:
        points = []
        for angle in np.linspace(0, 2 * math.pi, 180, endpoint=False):
            waves = sum(a * math.cos(k * angle + phase) for k, a, phase in (slow, quick))
            radius = scale * (0.8 + waves)
            points.append((radius * math.cos(angle), radius * math.sin(angle) * flatness))
        pencil.polygon(points, height)

    outline(1, int(plan.integers(180, 240)))
    if plan.random() < 0.6:
        outline(plan.uniform(0.6, 0.85), int(plan.integers(120, 255)))
    holes = int(plan.integers(0, 6))
    radius = plan.uniform(0.1, 0.2) if holes > 1 else plan.uniform(0.2, 0.45)
    ring = plan.uniform(0.35, 0.5) if holes > 1 else 0
    if holes:
        for x, y in around(ring, holes, plan.uniform(0, 6)):
            pencil.disc(radius * flatness * rng.uniform(0.85, 1.15), 0, (x, y * flatness))


def _sticks(
    pencil: Pencil, plan: np.random.Generator, rng: np.random.Generator, _flatness: float
) -> None:
    count = int(plan.integers(3, 8))
    joints = [(plan.uniform(-0.9, 0.9), plan.uniform(-0.9, 0.9)) for _ in range(count)]
    thickness = plan.uniform(0.08, 0.22) * rng.uniform(0.85, 1.15)
    for start, end in pairwise(joints):
        pencil.rod(start, end, thickness, int(plan.integers(170, 255)))
    for joint in joints:
        if plan.random() < 0.4:
            pencil.disc(thickness * 1.3, 255, joint)
        if plan.random() < 0.3:
            pencil.disc(thickness * 0.5, 0, joint)


def _blocks(
    pencil: Pencil, plan: np.random.Generator, rng: np.random.Generator, _flatness: float
) -> None:
    width = plan.uniform(0.12, 0.35) * rng.uniform(0.9, 1.1)
    pencil.rod((-0.9, 0), (0.9, 0), width, int(plan.integers(170, 230)))
    for _ in range(int(plan.integers(1, 5))):
        x, half, reach = plan.uniform(-0.9, 0.9), plan.uniform(0.05, 0.3), plan.uniform(0.15, 0.6)
        kind = plan.random()
        if kind < 0.4:
            pencil.box(x - half, -reach, x + half, reach, int(plan.integers(180, 255)))
        elif kind < 0.7:
            pencil.disc(reach * 0.7, int(plan.integers(180, 255)), (x, 0))
        else:
            corners = around(reach * 0.8, int(plan.integers(3, 7)), plan.uniform(0, 6), (x, 0))
            pencil.polygon(corners, int(plan.integers(180, 255)))
        if plan.random() < 0.4:
            pencil.disc(reach * 0.35, 0, (x, 0))
    for x in np.linspace(-0.6, 0.6, int(plan.integers(0, 9))):
        pencil.rod((x - 0.04, -width * 0.45), (x + 0.04, width * 0.45), 0.03, 90)
