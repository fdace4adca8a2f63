import json
import logging

import pytest

from sedna_tinyms.errors import ConfigurationError, MetricsError, ModelFileError
from sedna_tinyms.sedna.common.class_factory import ClassFactory, ClassType
from sedna_tinyms.sedna.common.log import LOGGER
from sedna_tinyms.sedna.core.base import JobBase
from sedna_tinyms.sedna.core.incremental_learning import IncrementalLearning
from sedna_tinyms.testing import Controller, OneNumber


@pytest.fixture
def worker(monkeypatch, tmp_path):
    """Set what a controller would, and say more with `worker(NAME=value)`."""
    for variable in (
        "HEM_NAME",
        "HEM_PARAMETERS",
        "MODEL_HOT_UPDATE",
        "MODEL_LOAD_MODE",
        "MODEL_NAME",
        "MODEL_PATH",
        "MODEL_URL",
        "MODEL_URLS",
    ):
        monkeypatch.delenv(variable, raising=False)

    def environment(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))

    with Controller() as controller:
        environment(
            BACKEND_TYPE="GENERIC",
            LC_SERVER=controller.url,
            NAMESPACE="default",
            WORKER_NAME="worker-1",
            JOB_NAME="parts",
            DATA_PATH_PREFIX=tmp_path,
        )
        environment.controller = controller
        yield environment


pytestmark = pytest.mark.filterwarnings("ignore:BACKEND_TYPE is 'GENERIC'")


def model(path, value):
    path.write_text(json.dumps(value))
    return str(path)


def test_training_saves_and_reports(worker, tmp_path):
    worker(MODEL_URL=tmp_path / "out" / "train" / "1", MODEL_NAME="m.ckpt")
    backend = IncrementalLearning(OneNumber).train(train_data=[1], valid_data=[2], value=0.75)
    assert (tmp_path / "out" / "train" / "1" / "m.ckpt").read_text() == "0.75"
    assert backend.estimator.calls[0] == ("train", {"data": [1], "valid": [2]})
    assert worker.controller.reports == [
        (
            "/sedna/workers/worker-1/info",
            {
                "name": "worker-1",
                "namespace": "default",
                "ownerName": "parts",
                "ownerKind": "incrementallearningjob",
                "kind": "train",
                "status": "completed",
                "results": [
                    {"format": "ckpt", "url": "/out/train/1/m.ckpt", "metrics": {"loss": [0.25]}}
                ],
            },
        )
    ]


def test_training_may_return_nothing_and_end_in_a_callable(worker, tmp_path):
    class Silent(OneNumber):
        def train(self, train_data, valid_data=None):
            """Return no metrics."""

    worker(MODEL_URL=tmp_path)
    assert IncrementalLearning(Silent).train([], post_process=lambda backend: "seen") == "seen"
    assert worker.controller.reports[0].body["results"][0]["metrics"] == {}


def test_a_diverged_training_is_an_error_and_neither_saved_nor_reported(raises, worker, tmp_path):
    worker(MODEL_URL=tmp_path / "out")
    with raises(MetricsError, "not-finite"):
        IncrementalLearning(OneNumber).train([], value=float("nan"))
    assert not any((tmp_path / "out").iterdir())
    assert worker.controller.reports == []


def test_training_without_a_place_for_the_model_fails_before_it_starts(raises, worker):
    estimator = OneNumber()
    with raises(ConfigurationError, "missing-value", name="MODEL_URL"):
        IncrementalLearning(estimator).train([])
    assert estimator.calls == []


def test_both_models_are_evaluated_each_with_its_own_weights(worker, tmp_path):
    new, old = model(tmp_path / "new.ckpt", 0.9), model(tmp_path / "old.ckpt", 0.6)
    worker(MODEL_URLS=f"{new};{old};")
    infos = IncrementalLearning(OneNumber).evaluate([1], batch=2)
    assert [info["metrics"] for info in infos] == [{"accuracy": [0.9]}, {"accuracy": [0.6]}]
    (posted,) = worker.controller.reports
    assert posted.body["kind"] == "eval"
    assert posted.body["results"] == infos
    assert [info["url"] for info in infos] == ["/new.ckpt", "/old.ckpt"]


@pytest.mark.parametrize(
    ("found", "code"), [(float("nan"), "not-finite"), ("high", "not-a-number")]
)
def test_metrics_that_cannot_be_compared_end_the_evaluation(raises, worker, tmp_path, found, code):
    worker(MODEL_URL=model(tmp_path / "m.ckpt", 0.5))
    job = IncrementalLearning(OneNumber)
    with raises(MetricsError, code):
        job.evaluate([], post_process=lambda metrics: {"accuracy": found})
    assert worker.controller.reports == []


def test_a_missing_model_is_never_evaluated(raises, worker, tmp_path):
    worker(MODEL_URLS=f"{model(tmp_path / 'new', 0.9)};{tmp_path / 'absent'}")
    with raises(ModelFileError, "missing-file", path=tmp_path / "absent"):
        IncrementalLearning(OneNumber).evaluate([])
    assert worker.controller.reports == []


def test_without_models_the_report_has_no_results(worker):
    assert IncrementalLearning(OneNumber).evaluate([]) == []
    assert "results" not in worker.controller.reports[0].body


def test_inference_loads_the_deployed_model_and_finds_hard_examples(worker, tmp_path):
    worker(
        MODEL_URL=model(tmp_path / "deploy.ckpt", 0.5),
        HEM_NAME="CrossEntropy",
        HEM_PARAMETERS='[{"key": "threshold_cross_entropy", "value": "0.5"}]',
    )
    job = IncrementalLearning(OneNumber)
    assert job.inference([1]) == ([0.5, 0.5], [0.5, 0.5], True)
    sure = job.inference([1], post_process=lambda probabilities: [1.0, 0.0])
    assert sure == ([0.5, 0.5], [1.0, 0.0], False)
    assert worker.controller.reports == []


def test_post_processing_gets_a_copy(worker, tmp_path):
    worker(MODEL_URL=model(tmp_path / "deploy.ckpt", 0.5))
    ClassFactory.register_cls(list.clear, ClassType.CALLBACK, alias="clear")
    result, _, hard = IncrementalLearning(OneNumber).inference([1], post_process="clear")
    assert result == [0.5, 0.5]
    assert hard is False


def test_inference_before_the_first_deployment_is_an_error_and_creates_nothing(
    raises, worker, tmp_path
):
    worker(MODEL_URL=tmp_path / "deploy.ckpt")
    job = IncrementalLearning(OneNumber)
    with raises(ModelFileError, "missing-file", path=tmp_path / "deploy.ckpt"):
        job.inference([1])
    assert not any(tmp_path.iterdir())


def test_the_argument_names_the_filter_before_the_environment(worker, tmp_path):
    worker(MODEL_URL=model(tmp_path / "m", 0.5), HEM_NAME="CloudOnly")
    spec = {"method": "Random", "param": {"random_ratio": "0"}}
    assert IncrementalLearning(OneNumber, hard_example_mining=spec).inference([])[2] is False


@pytest.mark.parametrize("method", ["Treshold", "ibt"])
def test_an_unknown_filter_is_a_value_error_with_a_suggestion(raises, worker, method):
    with raises(ConfigurationError, "unknown-name", name=method, golden=False) as raised:
        IncrementalLearning(OneNumber, hard_example_mining={"method": method})
    assert isinstance(raised.value, ValueError)
    assert {"IBT", "Threshold"} <= set(raised.value.fields["valid"])


def test_a_report_that_cannot_be_sent_is_logged_with_its_address(worker, monkeypatch, tmp_path):
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    LOGGER.addHandler(handler)
    monkeypatch.delenv("LC_SERVER")
    worker(MODEL_URL=tmp_path)
    job = IncrementalLearning(OneNumber)
    job.lc_server = "http://127.0.0.1:9"
    job.train([])
    LOGGER.removeHandler(handler)
    assert "http://127.0.0.1:9/sedna/workers/worker-1/info" in records[-1].getMessage()
    assert records[-1].levelname == "ERROR"


def test_settings_may_be_given_and_a_plain_job_cannot_train(worker):
    job = JobBase(OneNumber, config={"job_name": "given"})
    try:
        assert job.job_name == "given"
        assert job.get_parameters("no_such", 3) == 3
        with pytest.raises(NotImplementedError):
            job.train()
    finally:
        del job.config.job_name
