"""Pictures of digits: MNIST from a folder, or drawn where there is none."""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pictures = NDArray[np.float32]
Labels = NDArray[np.int32]

SIZE = 28


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Let the command line choose the pictures."""
    parser.add_argument("--data", type=Path, help="folder of MNIST; without, digits are drawn")
    parser.add_argument("--count", type=int, default=4000, help="pictures to train on, at most")


def load_digits(folder: Path | None, count: int, part: str = "train") -> tuple[Pictures, Labels]:
    """Return up to `count` pictures (n, 1, 28, 28) of `part`, ``train`` or ``t10k``."""
    if folder is None:
        return draw_digits(count, seed=len(part))
    pictures = read_idx(find(folder, f"{part}-images-idx3-ubyte"))[:count, None]
    labels = read_idx(find(folder, f"{part}-labels-idx1-ubyte"))[:count]
    return (pictures / 255).astype(np.float32), labels.astype(np.int32)


def draw_digits(count: int, seed: int) -> tuple[Pictures, Labels]:
    """Draw digits that are turned, moved, scaled and noisy."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 10, count).astype(np.int32)
    glyphs = [draw_glyph(digit) for digit in range(10)]
    pictures = draw.normal(0.1, 0.1, (count, 1, SIZE, SIZE))
    for picture, label in zip(pictures, labels, strict=True):
        height = int(draw.integers(17, 22))
        glyph = glyphs[label].resize((height * 2 // 3, height)).rotate(draw.normal(0, 8))
        canvas = Image.new("L", (SIZE, SIZE))
        canvas.paste(glyph, (int(draw.integers(5, 10)), int(draw.integers(3, 7))))
        picture += np.asarray(canvas) / 255
    return pictures.clip(0, 1).astype(np.float32), labels


def draw_glyph(digit: int) -> Image.Image:
    """Return the digit in Pillow's own font, cut out."""
    canvas = Image.new("L", (16, 16))
    ImageDraw.Draw(canvas).text((4, 2), str(digit), fill=255, font=ImageFont.load_default())
    return canvas.crop(canvas.getbbox())


def find(folder: Path, name: str) -> Path:
    """Return the file of that name in `folder` or below, packed or not."""
    for candidate in (*folder.rglob(name), *folder.rglob(f"{name}.gz")):
        return candidate
    raise SystemExit(f"{folder} holds no {name} and no {name}.gz")


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read MNIST's format: two zeros, a type, the number of axes, their sizes, the values."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    axes = content[3]
    sizes = np.frombuffer(content, ">u4", axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(sizes)
