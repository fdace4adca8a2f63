from contextlib import ExitStack

import numpy as np
import pytest
from PIL import Image
from servables import Servables
from serving_http import start


@pytest.fixture(scope="session")
def parts(tmp_path_factory):
    """Return the directory of one small servable, `parts`."""
    servables = Servables(tmp_path_factory.mktemp("serving"))
    servables.add_small("parts", seed=1)
    return servables


@pytest.fixture(scope="session")
def http(parts):
    """Return a client of a server of `parts` that no test changes."""
    with start(parts, "--body-limit", str(1 << 20), "--pixel-limit", "1000000") as client:
        yield client


@pytest.fixture
def served():
    """Return a function that starts a server of its own on a directory of servables."""
    with ExitStack() as stack:
        yield lambda *arguments, **keywords: stack.enter_context(start(*arguments, **keywords))


@pytest.fixture
def own_servables(tmp_path):
    """Return an empty directory of servables that the test may change."""
    return Servables(tmp_path / "serving")


@pytest.fixture
def picture(tmp_path):
    """Return a picture file."""
    pixels = np.random.RandomState(3).randint(0, 256, (60, 80, 3), dtype=np.uint8)
    path = tmp_path / "picture.png"
    Image.fromarray(pixels).save(path)
    return path
