"""Photographs of workshop parts by day and by night.

A `Condition` says how the bench, the light and the wear of the parts vary; `photograph` draws one
picture under it. Nothing but the generator that is passed in decides what comes out: the same
seed gives the same pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

__all__ = ["CANVAS", "CONDITIONS", "DAY", "NIGHT", "SIZE", "Condition", "photograph"]

Field = npt.NDArray[np.float32]
Colour = tuple[float, float, float]
Range = tuple[float, float]

SIZE = 128
"""Side of a picture in pixels."""

CANVAS = 2 * SIZE
"""Side of the height fields that `photograph` takes."""

_RUST = np.array([0.46, 0.2, 0.09], np.float32)


@dataclass(frozen=True)
class Condition:
    """How pictures vary at one time in the workshop's life."""

    name: str
    benches: tuple[Colour, ...]
    metals: tuple[Colour, ...]
    light: tuple[Colour, ...]
    exposure: Range
    ambient: Range  # share of the light that comes from everywhere
    lamp: Range  # how much darker the corners are than the spot under the lamp
    stains: Range
    rust: Range  # share of the part that is covered
    blur: Range  # pixels
    noise: Range  # standard deviation, full scale 1


DAY = Condition(
    name="day",
    benches=((0.86, 0.85, 0.81), (0.78, 0.83, 0.87), (0.87, 0.8, 0.68), (0.72, 0.8, 0.74)),
    metals=((0.52, 0.55, 0.59), (0.4, 0.42, 0.46), (0.66, 0.53, 0.28), (0.3, 0.32, 0.36)),
    light=((1.0, 0.99, 0.96), (0.97, 0.99, 1.0)),
    exposure=(0.9, 1.08),
    ambient=(0.5, 0.65),
    lamp=(0.0, 0.2),
    stains=(0.0, 0.05),
    rust=(0.0, 0.15),
    blur=(0.0, 0.4),
    noise=(0.005, 0.015),
)

NIGHT = Condition(
    name="night",
    benches=((0.2, 0.17, 0.15), (0.14, 0.19, 0.21), (0.24, 0.19, 0.13), (0.17, 0.17, 0.19)),
    metals=((0.62, 0.61, 0.6), (0.5, 0.48, 0.47), (0.66, 0.55, 0.36)),
    light=((1.0, 0.72, 0.4), (1.0, 0.8, 0.55), (0.62, 0.78, 1.0)),
    exposure=(0.85, 1.3),
    ambient=(0.12, 0.25),
    lamp=(0.4, 0.75),
    stains=(0.3, 0.7),
    rust=(0.3, 0.75),
    blur=(0.3, 0.9),
    noise=(0.05, 0.085),
)

CONDITIONS = {condition.name: condition for condition in (DAY, NIGHT)}


def _cloud(rng: np.random.Generator, *cells: int) -> Field:
    """Smooth noise of roughly unit size, a sum of layers with the given numbers of cells."""
    total = np.zeros((CANVAS, CANVAS), np.float32)
    for cell in cells:
        layer = Image.fromarray(rng.standard_normal((cell, cell), np.float32))
        total += np.asarray(layer.resize((CANVAS, CANVAS), Image.Resampling.BICUBIC))
    return total / np.float32(len(cells) ** 0.5)


def _pick(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Field:
    """Choose a colour and vary it a little."""
    colour = np.asarray(colours[rng.integers(len(colours))], np.float32)
    varied: Field = colour * rng.uniform(0.96, 1.04, 3).astype(np.float32)
    return varied


def _blurred(image: Image.Image, radius: float) -> Field:
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32) / 255


def _bench(condition: Condition, rng: np.random.Generator) -> Field:
    """The bench with its grain and its stains: an RGB field."""
    colour = _pick(rng, condition.benches)
    grain = 1 + 0.02 * _cloud(rng, 8, 96)
    stains = rng.uniform(*condition.stains) * np.clip(_cloud(rng, 5, 11) - 0.2, 0, 1)
    bench: Field = colour * (grain * (1 - stains))[..., None]
    return bench


def _metal(condition: Condition, rng: np.random.Generator) -> tuple[Field, Field]:
    """The part's own colour, and how rusty each point is."""
    rust_share = rng.uniform(*condition.rust)
    threshold = 2 - 3.4 * rust_share
    rust = np.clip((_cloud(rng, 7, 18, 60) - threshold) * 2.5, 0, 1)[..., None]
    brushed = 1 + 0.04 * _cloud(rng, 24, 120)[..., None]
    return _pick(rng, condition.metals) * brushed * (1 - rust) + _RUST * rust, rust


def _lit(heights: Field, ambient: float, rng: np.random.Generator) -> tuple[Field, Field]:
    """Diffuse and mirrored light on the slopes of a height field."""
    slope_y, slope_x = np.gradient(heights * 26)
    length = np.sqrt(slope_x**2 + slope_y**2 + 1)
    direction, elevation = rng.uniform(-2.6, -0.5), rng.uniform(0.75, 1.05)
    to_light = (
        np.cos(direction) * np.cos(elevation),
        np.sin(direction) * np.cos(elevation),
        np.sin(elevation),
    )
    facing = (-slope_x * to_light[0] - slope_y * to_light[1] + to_light[2]) / length
    diffuse = np.clip(facing, 0, None) / to_light[2]
    halfway_z = np.sqrt((1 + to_light[2]) / 2)
    mirrored = (
        (-slope_x * to_light[0] - slope_y * to_light[1] + to_light[2] + 1)
        / length
        / (2 * halfway_z)
    )
    shine = np.clip(mirrored, 0, 1) ** 40
    return ambient + (1 - ambient) * diffuse, shine


def _lamp(darkening: float, rng: np.random.Generator) -> Field:
    """Brightness of one lamp over the bench, falling off from a spot near the middle."""
    axis = np.linspace(-1, 1, CANVAS, dtype=np.float32)
    x, y = rng.uniform(-0.5, 0.5, 2)
    distance = (axis[None, :] - x) ** 2 + (axis[:, None] - y) ** 2
    brightness: Field = 1 - darkening * (1 - np.exp(-distance / 0.9))
    return brightness


def photograph(part: Image.Image, condition: Condition, rng: np.random.Generator) -> Image.Image:
    """Draw one part under one condition.

    Parameters
    ----------
    part : PIL.Image.Image
        Its heights, `CANVAS` x `CANVAS`, as `parts.height_field` draws them.
    condition : Condition
        `DAY`, `NIGHT` or one of your own.
    rng : numpy.random.Generator
        Decides everything else.

    Returns
    -------
    PIL.Image.Image
        RGB, `SIZE` x `SIZE`.
    """
    covers = np.minimum(np.asarray(part, np.float32) / 60, 1)[..., None]
    scene = _bench(condition, rng)

    reach = rng.uniform(0.015, 0.03) * CANVAS
    shadow = _blurred(Image.fromarray((covers[..., 0] * 255).astype(np.uint8)), reach)
    shadow = np.roll(shadow, (int(reach), int(reach * rng.uniform(-1, 1))), (0, 1))
    scene = scene * (1 - 0.55 * shadow[..., None])

    metal, rust = _metal(condition, rng)
    diffuse, shine = _lit(_blurred(part, 2.2), rng.uniform(*condition.ambient), rng)
    surface = metal * diffuse[..., None] + 0.45 * shine[..., None] * (1 - rust) ** 2
    scene = scene * (1 - covers) + surface * covers

    light = _pick(rng, condition.light) * rng.uniform(*condition.exposure)
    scene = scene * light * _lamp(rng.uniform(*condition.lamp), rng)[..., None]

    picture = Image.fromarray((np.clip(scene, 0, 1) * 255).astype(np.uint8)).reduce(2)
    picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(*condition.blur)))
    grain = rng.normal(0, rng.uniform(*condition.noise), (SIZE, SIZE, 3))
    return Image.fromarray(
        (np.clip(np.asarray(picture) / 255 + grain, 0, 1) * 255).astype(np.uint8)
    )
