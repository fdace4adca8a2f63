import signal

import pytest
from golden import raises, snapshot  # noqa: F401 - fixtures
from toy_job import ToyJob

pytest.register_assert_rewrite("sedna_tinyms.testing")


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_tests(tmp_path_factory):
    """Keep what is remembered between runs out of the user's own cache directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _a_terminal_that_closes_is_heard_of():
    """Let the processes of the tests have SIGHUP as usual, also where the tests run below nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def toy_job(tmp_path):
    """Return a whole job with workers that take milliseconds."""
    return ToyJob(tmp_path)
