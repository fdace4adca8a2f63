import importlib.util

import numpy as np
import pytest

from sedna_tinyms.sedna.backend.base import BackendBase
from sedna_tinyms.testing import BACKEND_CHECKS, BackendCase, OneNumber, backend_checks
from sedna_tinyms.testing import check_backend as run_all


@pytest.fixture
def plain():
    return BackendCase(BackendBase, OneNumber, [1], [1], trainings=({"value": 0.3}, {"value": 0.8}))


@pytest.fixture(scope="module", params=["MSBackend", "TinyMSBackend"])
def mindspore(request):
    if importlib.util.find_spec("mindspore") is None:
        pytest.skip("MindSpore is not installed")
    from mindspore import nn

    import sedna_tinyms.backend  # limits oneDNN before MindSpore's first operator

    rng = np.random.default_rng(1)
    x = rng.normal(size=(16, 2)).astype(np.float32)
    data = (x, (x[:, 0] > 0).astype(np.int32))
    trainings = ({"learning_rate": 0.01}, {"learning_rate": 0.5})
    backend = getattr(sedna_tinyms.backend, request.param)
    return BackendCase(backend, lambda: nn.Dense(2, 2), data, x[:2], trainings)


@pytest.mark.parametrize("check", BACKEND_CHECKS, ids=lambda check: check.__name__)
def test_the_plain_backend_keeps_the_contract(check, plain, tmp_path):
    check(plain, tmp_path)


@pytest.mark.parametrize("check", BACKEND_CHECKS, ids=lambda check: check.__name__)
def test_the_mindspore_backends_keep_the_contract(check, mindspore, tmp_path):
    check(mindspore, tmp_path)


def test_all_checks_run_at_once(plain, tmp_path):
    run_all(plain, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(c.__name__ for c in BACKEND_CHECKS)


def test_the_checks_are_all_listed():
    named = {v for name, v in vars(backend_checks).items() if name.startswith("check_")}
    assert named == {*BACKEND_CHECKS, backend_checks.check_backend}


class NeverReloads(BackendBase):
    """KubeEdge's rule: once a model is loaded, it is taken for every other."""

    def _ensure_loaded(self):
        if not self.has_load:
            self.load()


class NeverChecks(BackendBase):
    """What is missing counts as loaded."""

    def load(self, model_url="", model_name=None, **kwargs):
        self.has_load = True
        try:
            return super().load(model_url, model_name, **kwargs)
        except Exception:
            return None


class Careless(OneNumber):
    """Lets go of its model before it has the next one."""

    def load(self, model_url):
        self.value = float("nan")
        super().load(model_url)


@pytest.mark.parametrize(
    ("backend", "estimator", "check"),
    [
        (NeverReloads, OneNumber, backend_checks.check_evaluates_each_model),
        (NeverChecks, OneNumber, backend_checks.check_missing_model),
        (NeverChecks, OneNumber, backend_checks.check_broken_model),
        (BackendBase, Careless, backend_checks.check_broken_model),
    ],
)
def test_a_backend_with_a_fault_is_caught(backend, estimator, check, plain, tmp_path):
    case = BackendCase(backend, estimator, plain.data, plain.query, plain.trainings)
    with pytest.raises(AssertionError):
        check(case, tmp_path)
