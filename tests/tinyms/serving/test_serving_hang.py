"""A network that never comes back is found by the probes, and holds no memory of who gave up."""

from threading import Event
from types import SimpleNamespace

import numpy as np
import pytest

from sedna_tinyms.tinyms.serving import predicting
from sedna_tinyms.tinyms.serving.app import create_app
from sedna_tinyms.tinyms.serving.metrics import Metrics
from sedna_tinyms.tinyms.serving.predicting import Predictor
from sedna_tinyms.tinyms.serving.refusal import Refusal
from sedna_tinyms.tinyms.serving.repository import Repository
from sedna_tinyms.tinyms.serving.runner import ReplacedError, Runner
from sedna_tinyms.tinyms.serving.settings import Settings

SECONDS = 30.0


@pytest.fixture
def served(tmp_path):
    """Return a runner that does nothing yet, a predictor on it, and a client."""
    (tmp_path / "servable.json").write_text("[]")
    metrics = Metrics()
    runner = Runner(4, metrics.observe_batch)
    repository = Repository(tmp_path, runner, metrics.observe_load)
    predictor = Predictor(repository, runner, 4, metrics)
    app = create_app(Settings(serving_path=tmp_path), predictor, metrics)
    yield SimpleNamespace(runner=runner, predictor=predictor, client=app.test_client())
    if runner.busy_seconds < float("inf"):
        runner.stop()


def probes(served):
    return [served.client.get(f"/v2/health/{name}").status_code for name in ("live", "ready")]


def test_the_probes_fail_while_the_runner_hangs(served, monkeypatch):
    served.runner.start()
    hanging, release = Event(), Event()

    def hang():
        hanging.set()
        release.wait(SECONDS)

    done = served.runner.call(hang)
    assert hanging.wait(SECONDS)
    assert probes(served) == [200, 200]  # it may be a network that is being compiled
    monkeypatch.setattr(predicting, "HUNG_SECONDS", 0.0)
    assert probes(served) == [503, 503]
    assert served.client.get("/v2/health/live").json == {"live": False}
    release.set()
    done.result(SECONDS)
    monkeypatch.undo()
    assert probes(served) == [200, 200]


def test_the_probes_fail_where_the_runner_is_gone(served):
    served.runner.start()
    assert probes(served) == [200, 200]
    served.runner.stop()
    assert probes(served) == [503, 503]


def test_who_gave_up_is_not_computed_for(served, monkeypatch):
    served.runner.start()
    hanging, release = Event(), Event()
    served.runner.call(lambda: (hanging.set(), release.wait(SECONDS)))
    assert hanging.wait(SECONDS)
    monkeypatch.setattr(predicting, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(
        Predictor, "find", lambda *_: SimpleNamespace(entry=SimpleNamespace(name="parts"))
    )
    for _ in range(9):
        with pytest.raises(Refusal) as raised:
            served.predictor.predict("parts", lambda _: np.zeros((1, 3, 2, 2), np.float32))
        assert (raised.value.status, raised.value.code) == (503, "timeout")
    kept = served.runner.predict("parts", np.zeros((1, 3, 2, 2), np.float32))
    assert len(served.runner._tasks) == 1
    release.set()
    with pytest.raises(ReplacedError):  # there is no such network, which was found out for it alone
        kept.result(SECONDS)
