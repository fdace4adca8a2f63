import gc

import pytest
from forking import Forking


@pytest.fixture(scope="session", autouse=True)
def _quick_garbage_collection():
    """Leave out what the imports made: MindSpore collects garbage before each compilation."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def forking():
    """Return what runs a program in a new process that has imported MindSpore, and nothing else."""
    with Forking() as forking:
        yield forking
