"""What every Sedna worker library does: the conformance suite of incremental learning.

Each check states one fact about the library that worker scripts or controllers rely on, and
shows it with a real worker process and a real HTTP server. A check takes a `Library` and an empty
directory, and raises AssertionError if the fact is none. With pytest::

    from sedna_tinyms.testing import LIBRARY_CHECKS, Library

    @pytest.mark.parametrize("check", LIBRARY_CHECKS)
    def test_library(check, tmp_path):
        check(Library("kubeedge", "/src/sedna/lib"), tmp_path)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sedna_tinyms.testing.controller import Controller
from sedna_tinyms.testing.hot_update import play_hot_update
from sedna_tinyms.testing.library import JOB, Library, report, write_number
from sedna_tinyms.testing.parts_checks import PARTS_CHECKS

__all__ = ["LIBRARY_CHECKS"]


def check_imports(library: Library, directory: Path) -> None:
    """Worker scripts find everything at its import path."""
    facts = library.run(
        """
        from sedna.core.incremental_learning import IncrementalLearning
        from sedna.core.base import JobBase
        from sedna.common.config import BaseConfig, Context
        from sedna.common.class_factory import ClassFactory, ClassType
        from sedna.common.file_ops import FileOps
        from sedna.common.constant import K8sResourceKind, K8sResourceKindStatus
        from sedna.common.log import LOGGER
        from sedna.datasources import BaseDataSource, TxtDataParse, CSVDataParse, JSONDataParse
        from sedna.algorithms.hard_example_mining import hard_example_mining
        from sedna.service.client import LCClient, http_request
        from sedna.backend import set_backend
        from sedna.backend.base import BackendBase
        facts["kind"] = K8sResourceKind.INCREMENTAL_JOB.value
        facts["status"] = K8sResourceKindStatus.COMPLETED.value
        facts["job"] = issubclass(IncrementalLearning, JobBase)
        import sedna
        facts["place"] = list(sedna.__path__)
        """,
        directory,
        **JOB,
    )
    (place,) = facts.pop("place")
    assert place.startswith(library.path), f"not the library at {library.path}, but {place}"
    assert (Path(place).parent.name == "sedna_tinyms") == (library.name == "embedded")
    assert facts == {"kind": "incrementallearningjob", "status": "completed", "job": True}


def check_config(library: Library, directory: Path) -> None:
    """Settings come from the environment, with Sedna's defaults."""
    facts = library.run(
        """
        from sedna.common.config import BaseConfig, Context
        config = BaseConfig()
        for name in ("job_name", "model_url", "model_name", "data_path_prefix", "lc_server",
                     "train_dataset_url", "device_category"):
            facts[name] = getattr(config, name)
        facts["same"] = BaseConfig() is config
        facts["class"] = BaseConfig.train_dataset_url
        facts["item"] = [config["model_url"], config["nonsense"], config.get("model_name", "m")]
        facts["parameters"] = [Context.get_parameters(n, "default") for n in
                               ("epochs", "input_shape", "empty", "absent")]
        """,
        directory,
        **JOB,
        MODEL_URL="/out/train/1",
        TRAIN_DATASET_URL="/out/data.txt",
        EPOCHS=3,
        input_shape=224,
        EMPTY="",
    )
    assert facts == {
        "job_name": "parts",
        "model_url": "/out/train/1",
        "model_name": None,
        "data_path_prefix": "/home/data",
        "lc_server": "http://127.0.0.1:9100",
        "train_dataset_url": "/out/data.txt",
        "device_category": "CPU",
        "same": True,
        "class": "/out/data.txt",
        "item": ["/out/train/1", None, "m"],
        "parameters": ["3", "224", "default", "default"],
    }


def check_train(library: Library, directory: Path) -> None:
    """`train` calls train and save, reports once, and returns the backend."""
    with Controller() as controller:
        facts = library.run(
            """
            from sedna.core.incremental_learning import IncrementalLearning
            job = IncrementalLearning(estimator=OneNumber)
            backend = job.train(train_data=[1, 2], valid_data=[3], value=0.75, epochs=3)
            facts["calls"] = backend.estimator.calls
            facts["backend"] = backend is job.estimator
            """,
            directory,
            **JOB,
            LC_SERVER=controller.url,
            WORKER_NAME="train-worker-abc",
            MODEL_URL=directory / "out" / "train" / "1",
            MODEL_NAME="model.ckpt",
            DATA_PATH_PREFIX=directory,
        )
    model = directory / "out" / "train" / "1" / "model.ckpt"
    assert model.read_text(encoding="utf-8") == "0.75"
    assert facts == {
        "calls": [
            ["train", {"data": [1, 2], "valid": [3], "epochs": 3}],
            ["save", {"model_path": str(model)}],
        ],
        "backend": True,
    }
    results = [{"format": "ckpt", "url": "/out/train/1/model.ckpt", "metrics": {"loss": [0.25]}}]
    assert controller.reports == [report("train-worker-abc", "train", results)]


def check_default_model_name(library: Library, directory: Path) -> None:
    """Without MODEL_NAME and a known framework the model is called model_finetune_.pkl."""
    with Controller() as controller:
        library.run(
            """
            from sedna.core.incremental_learning import IncrementalLearning
            IncrementalLearning(estimator=OneNumber).train(train_data=[])
            """,
            directory,
            **JOB,
            LC_SERVER=controller.url,
            MODEL_URL=directory / "out",
            DATA_PATH_PREFIX=directory,
        )
    (entry,) = controller.reports[0].body["results"]
    assert (entry["format"], entry["url"]) == ("pkl", "/out/model_finetune_.pkl")


def check_evaluate(library: Library, directory: Path) -> None:
    """`evaluate` takes the models of MODEL_URLS in order, and reports them in that order."""
    new, old = write_number(directory / "new.ckpt", 0.9), write_number(directory / "old.ckpt", 0.6)
    with Controller() as controller:
        facts = library.run(
            """
            from sedna.core.incremental_learning import IncrementalLearning
            OneNumber.reads_model_path = True
            estimator = OneNumber()
            infos = IncrementalLearning(estimator=estimator).evaluate(
                [1, 2], post_process=lambda metrics: {**metrics, "extra": [1.0]}, batch_size=2)
            facts["infos"] = infos
            facts["calls"] = [call for call in estimator.calls if call[0] == "evaluate"]
            """,
            directory,
            **JOB,
            LC_SERVER=controller.url,
            WORKER_NAME="eval-worker-abc",
            MODEL_URLS=f"{new};{old}",
            DATA_PATH_PREFIX=directory,
        )
    results = [
        {"format": "ckpt", "url": "/new.ckpt", "metrics": {"accuracy": [0.9], "extra": [1.0]}},
        {"format": "ckpt", "url": "/old.ckpt", "metrics": {"accuracy": [0.6], "extra": [1.0]}},
    ]
    assert facts["infos"] == results
    assert facts["calls"] == [
        ["evaluate", {"data": [1, 2], "model_path": url, "batch_size": 2}] for url in (new, old)
    ]
    assert controller.reports == [report("eval-worker-abc", "eval", results)]


def check_evaluate_single_model(library: Library, directory: Path) -> None:
    """Without MODEL_URLS, `evaluate` takes the one model of MODEL_URL."""
    with Controller() as controller:
        library.run(
            """
            from sedna.core.incremental_learning import IncrementalLearning
            OneNumber.reads_model_path = True
            IncrementalLearning(estimator=OneNumber()).evaluate([])
            """,
            directory,
            **JOB,
            LC_SERVER=controller.url,
            MODEL_URL=write_number(directory / "m.ckpt", 0.5),
            DATA_PATH_PREFIX=directory,
        )
    (posted,) = controller.reports
    assert [entry["url"] for entry in posted.body["results"]] == ["/m.ckpt"]


def check_inference(library: Library, directory: Path) -> None:
    """`inference` loads MODEL_URL once, asks the filter of the job, and reports nothing."""
    with Controller() as controller:
        facts = library.run(
            """
            from sedna.core.incremental_learning import IncrementalLearning
            job = IncrementalLearning(
                OneNumber, hard_example_mining=IncrementalLearning.get_hem_algorithm_from_config())
            facts["unsure"] = job.inference([1], batch=1)
            facts["sure"] = job.inference([2], post_process=lambda p: p.clear() or [0.99, 0.01])
            facts["calls"] = job.estimator.estimator.calls
            """,
            directory,
            **JOB,
            LC_SERVER=controller.url,
            MODEL_URL=(model := write_number(directory / "deploy.ckpt", 0.5)),
            HEM_NAME="CrossEntropy",
            HEM_PARAMETERS='[{"key": "threshold_cross_entropy", "value": "0.5"}]',
        )
    assert facts["unsure"] == [[0.5, 0.5], [0.5, 0.5], True]
    assert facts["sure"] == [[0.5, 0.5], [0.99, 0.01], False]
    assert facts["calls"] == [
        ["load", {"model_url": model}],
        ["predict", {"data": [1], "batch": 1}],
        ["predict", {"data": [2]}],
    ]
    assert controller.reports == []


def check_hot_update(library: Library, directory: Path) -> None:
    """A newly announced model takes over, a broken one does not, and both are reported."""
    with Controller() as controller:
        play_hot_update(
            library,
            directory,
            controller,
            """
            from sedna.core.incremental_learning import IncrementalLearning
            import json, os, pathlib, time
            job = IncrementalLearning(OneNumber)
            while not os.path.exists("stop"):
                number = job.inference([1])[0][0]
                pathlib.Path("seen").write_text(str(number))
                time.sleep(0.02)
            os._exit(0)
            """,
            models={"deployed": "0.2", "better": "0.9", "broken": "half a mod"},
            seen={"deployed": "0.2", "better": "0.9"},
            BACKEND_TYPE="GENERIC",
        )


LIBRARY_CHECKS: tuple[Callable[[Library, Path], None], ...] = (
    check_imports,
    check_config,
    check_train,
    check_default_model_name,
    check_evaluate,
    check_evaluate_single_model,
    check_inference,
    check_hot_update,
    *PARTS_CHECKS,
)
"""For any worker library; no MindSpore is needed."""
