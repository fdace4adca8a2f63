import gc
import signal
from pathlib import Path

import pytest
from golden import raises, snapshot  # noqa: F401 - fixtures
from hypothesis import HealthCheck, settings
from new_process import python  # noqa: F401 - a fixture
from toy_job import ToyJob

pytest.register_assert_rewrite("sedna_tinyms.testing")

# How long an example takes depends on what else the machine does.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

MINDSPORE_ROOMS = ("estimators", "tinyms")
"""Folders whose tests compute with MindSpore in the test process. It takes both cores, so that two
of them at once are slower than one after the other."""


def pytest_collection_modifyitems(items):
    """Let pytest-xdist run each module as a whole, and all that compute with MindSpore in turn.

    Those come first, since they are the longest of the groups.
    """
    tests = Path(__file__).parent

    def group(item):
        parts = item.path.relative_to(tests).parts
        computes = parts[0] in MINDSPORE_ROOMS and len(parts) == 2
        return "mindspore" if computes else "/".join(parts)

    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item)))
    items.sort(key=lambda item: group(item) != "mindspore")


@pytest.fixture(scope="session", autouse=True)
def _quick_garbage_collection():
    """Leave out what the imports made: MindSpore collects garbage before each compilation."""
    gc.freeze()
    yield
    gc.unfreeze()


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
