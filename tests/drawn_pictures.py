"""Pictures that tests can tell apart at a glance: one colour a class."""

import numpy as np
from PIL import Image

COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}


def picture(colour, rng, brightness=1.0, size=40):
    noise = rng.normal(0, 25, (size, size, 3))
    pixels = np.asarray(COLOURS[colour]) * brightness + noise
    return pixels.clip(0, 255).astype(np.uint8)


def samples(count, seed=0, colours=tuple(COLOURS), brightness=1.0):
    rng = np.random.default_rng(seed)
    chosen = [colours[i % len(colours)] for i in range(count)]
    return [(picture(colour, rng, brightness), colour) for colour in chosen]


def write_folder(directory, count, seed=0):
    for number, (pixels, colour) in enumerate(samples(count, seed)):
        path = directory / colour / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return directory
