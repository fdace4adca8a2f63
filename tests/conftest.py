import pytest
from toy_job import ToyJob


@pytest.fixture
def toy_job(tmp_path):
    """Return a whole job with workers that take milliseconds."""
    return ToyJob(tmp_path)
