import importlib.util
import itertools
import time
from pathlib import Path

import numpy as np
import pytest

from sedna_tinyms.errors import MetricsError
from sedna_tinyms.sedna.backend.base import BackendBase
from sedna_tinyms.testing import BACKEND_CHECKS, BackendCase, OneNumber, backend_checks
from sedna_tinyms.testing import check_backend as run_all


@pytest.fixture
def plain():
    return BackendCase(BackendBase, OneNumber, [1], [1], trainings=({"value": 0.3}, {"value": 0.8}))


@pytest.fixture
def mindspore(backend, mode):
    """Return a case for a backend of MindSpore, in one of its modes."""
    if importlib.util.find_spec("mindspore") is None:
        pytest.skip("MindSpore is not installed")
    from mindspore import nn

    import sedna_tinyms.backend  # limits oneDNN before MindSpore's first operator
    from sedna_tinyms.tinyms import context

    rng = np.random.default_rng(1)
    x = rng.normal(size=(16, 2)).astype(np.float32)
    data = (x, (x[:, 0] > 0).astype(np.int32))
    trainings = ({"learning_rate": 0.01}, {"learning_rate": 0.5})
    made = getattr(sedna_tinyms.backend, backend)
    with context.temporary_mode(getattr(context, mode)):
        yield BackendCase(made, lambda: nn.Dense(2, 2), data, x[:2], trainings)


@pytest.mark.parametrize("check", BACKEND_CHECKS, ids=lambda check: check.__name__)
def test_the_plain_backend_keeps_the_contract(check, plain, tmp_path):
    check(plain, tmp_path)


def in_every_mode():
    """Yield the checks with a backend and a mode; to compile takes most of the time."""
    for backend, mode in itertools.product(
        ("MSBackend", "TinyMSBackend"), ("PYNATIVE_MODE", "GRAPH_MODE")
    ):
        for check in BACKEND_CHECKS:
            racing = check is backend_checks.check_swap_between_predictions
            quick = mode == "PYNATIVE_MODE" or (backend == "TinyMSBackend" and racing)
            marks = () if quick else pytest.mark.slow
            name = f"{backend}-{mode}-{check.__name__}"
            yield pytest.param(check, backend, mode, id=name, marks=marks)


@pytest.mark.parametrize(("check", "backend", "mode"), [*in_every_mode()])
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


class NeverEmpty(BackendBase):
    """Claims to have a model before any was loaded."""

    def __init__(self, estimator, **kwargs):
        super().__init__(estimator, **kwargs)
        self.has_load = True


class Secretive(BackendBase):
    """Saves what only its owner may read."""

    def save(self, model_url="", model_name=None):
        path = super().save(model_url, model_name)
        Path(path).chmod(0o600)
        return path


class Absolute(BackendBase):
    """Reports paths of the container, which the host does not have."""

    def model_info(self, model, relpath=None, result=None):
        return super().model_info(model, result=result)


class Diverged(OneNumber):
    """Gives metrics that nothing can be compared with."""

    def evaluate(self, data, model_path="", **kwargs):
        return {"accuracy": [float("nan")]}


class Choosy(BackendBase):
    """Takes a file by its suffix."""

    def load(self, model_url="", model_name=None, **kwargs):
        if model_url and not model_url.endswith(self.model_name[-4:]):
            raise ValueError(model_url)
        return super().load(model_url, model_name, **kwargs)


class Torn(BackendBase):
    """Predicts with half of the next model while it is loaded."""

    def load(self, model_url="", model_name=None, **kwargs):
        if self.has_load:
            before, self.estimator.value = self.estimator.value, -1.0
            time.sleep(0.1)
            self.estimator.value = before
        return super().load(model_url, model_name, **kwargs)


@pytest.mark.parametrize(
    ("backend", "estimator", "check"),
    [
        (NeverReloads, OneNumber, backend_checks.check_evaluates_each_model),
        (NeverChecks, OneNumber, backend_checks.check_missing_model),
        (NeverChecks, OneNumber, backend_checks.check_broken_model),
        (BackendBase, Careless, backend_checks.check_broken_model),
        (NeverEmpty, OneNumber, backend_checks.check_construction),
        (Secretive, OneNumber, backend_checks.check_save_and_load),
        (Absolute, OneNumber, backend_checks.check_model_info),
        (BackendBase, Diverged, backend_checks.check_metrics),
        (Choosy, OneNumber, backend_checks.check_hot_update_name),
        (Torn, OneNumber, backend_checks.check_swap_between_predictions),
    ],
)
def test_a_backend_with_a_fault_is_caught(backend, estimator, check, plain, tmp_path):
    case = BackendCase(backend, estimator, plain.data, plain.query, plain.trainings)
    with pytest.raises((AssertionError, MetricsError, ValueError)):
        check(case, tmp_path)
