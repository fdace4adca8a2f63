import pytest
from forking import Forking


@pytest.fixture(scope="session")
def forking():
    """Return what runs a program in a new process that has imported MindSpore, and nothing else."""
    with Forking() as forking:
        yield forking
