import pytest
from toy_job import ToyJob

pytest.register_assert_rewrite("sedna_tinyms.testing")


@pytest.fixture
def toy_job(tmp_path):
    """Return a whole job with workers that take milliseconds."""
    return ToyJob(tmp_path)
