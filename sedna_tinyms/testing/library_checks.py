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

import json
from collections.abc import Callable
from pathlib import Path

from sedna_tinyms.testing.controller import Controller
from sedna_tinyms.testing.hot_update import play_hot_update
from sedna_tinyms.testing.library import JOB, Library, report

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
    new, old = _model(directory / "new.ckpt", 0.9), _model(directory / "old.ckpt", 0.6)
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
            MODEL_URL=_model(directory / "m.ckpt", 0.5),
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
            MODEL_URL=(model := _model(directory / "deploy.ckpt", 0.5)),
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


def check_filter_configuration(library: Library, directory: Path) -> None:
    """The job's YAML names the filter; a call overrides its parameters, which stay strings."""
    facts = library.run(
        """
        from sedna.core.incremental_learning import IncrementalLearning
        facts["spec"] = IncrementalLearning.get_hem_algorithm_from_config(threshold_img=0.9)
        try:
            IncrementalLearning(OneNumber, hard_example_mining={"method": "Nonsense"})
        except ValueError:
            facts["unknown"] = "ValueError"
        """,
        directory,
        **JOB,
        MODEL_URL=directory,
        HEM_NAME="IBT",
        HEM_PARAMETERS=json.dumps(
            [{"key": k, "value": "0.7"} for k in ("threshold_img", "threshold_box")]
        ),
    )
    assert facts["spec"] == {
        "method": "IBT",
        "param": {"threshold_img": 0.9, "threshold_box": "0.7"},
    }
    assert facts["unknown"] == "ValueError"


def check_filters(library: Library, directory: Path) -> None:
    """The filters decide by their formulas."""
    facts = library.run(
        """
        from sedna.common.class_factory import ClassFactory, ClassType
        import sedna.algorithms.hard_example_mining
        def ask(name, result, **parameters):
            return bool(ClassFactory.get_cls(ClassType.HEM, name)(**parameters)(result))
        def boxes(*scores):
            return [[0, 0, 9, 9, score, 1] for score in scores]
        facts["Threshold"] = [
            ask("Threshold", boxes(0.2, 0.7), threshold="0.5"),
            ask("Threshold", boxes(0.4, 0.6), threshold=0.5),
            ask("Threshold", []), ask("Threshold", [[0, 0, 9, 9]])]
        facts["IBT"] = [
            ask("IBT", boxes(0.2, 0.9)), ask("IBT", boxes(0.2, 0.9, 0.9)),
            ask("IBT", boxes(0.85, 0.95), threshold_img="0.9", threshold_box="0.9"),
            ask("IBT", boxes(1.5)), ask("IBT", []), ask("IBT", [[0, 0, 9, 9]])]
        facts["CrossEntropy"] = [
            ask("CrossEntropy", [0.5, 0.5]), ask("CrossEntropy", [0.97, 0.03]),
            ask("CrossEntropy", [0.8, 0.1, 0.1], threshold_cross_entropy="0.5"),
            ask("CrossEntropy", [0.8, 0.1, 0.1], threshold_cross_entropy="0.4"),
            ask("CrossEntropy", []), ask("CrossEntropy", [1.2, 0.1])]
        facts["lot"] = [
            ask("Random", [], random_ratio=1.1), ask("Random", [], random_ratio=-0.1),
            ask("CloudOnly", []), ask("EdgeOnly", [])]
        """,
        directory,
        **JOB,
    )
    assert facts == {
        "Threshold": [True, False, False, False],
        "IBT": [True, False, True, False, False, False],
        "CrossEntropy": [True, False, True, False, False, False],
        "lot": [True, False, True, False],
    }


def check_text_datasource(library: Library, directory: Path) -> None:
    """`TxtDataParse` splits lines into samples and labels, or leaves that to a function."""
    (directory / "data.txt").write_text("a.jpg 3\nb.jpg 0\n\n", encoding="utf-8")
    (directory / "bare.txt").write_text("a.jpg\nb.jpg\n", encoding="utf-8")
    facts = library.run(
        """
        from sedna.datasources import TxtDataParse
        def parse(*files, data_type="train", func=None, **keywords):
            data = TxtDataParse(data_type=data_type, func=func)
            data.parse(*files, **keywords)
            return [data.x.tolist(), data.y.tolist(), len(data), data.is_test_data]
        facts["plain"] = parse("data.txt")
        facts["test"] = parse("data.txt", data_type="test")
        facts["bare"] = parse("bare.txt")
        facts["raw"] = parse("bare.txt", func=lambda line: f"/data/{line}", use_raw=True)
        facts["function"] = parse("bare.txt", func=lambda line: (line.upper(), 7))
        facts["several"] = parse("bare.txt", None, "absent.txt", "bare.txt")
        """,
        directory,
        **JOB,
    )
    names = ["a.jpg", "b.jpg"]
    assert facts == {
        "plain": [names, ["3", "0"], 2, False],
        "test": [names, [], 2, True],
        "bare": [names, [0, 0], 2, False],
        "raw": [["/data/a.jpg", "/data/b.jpg"], [], 2, False],
        "function": [["A.JPG", "B.JPG"], [7, 7], 2, False],
        "several": [names * 2, [0] * 4, 4, False],
    }


def check_registry(library: Library, directory: Path) -> None:
    """Classes and functions are registered and found by name; callbacks serve as post_process."""
    facts = library.run(
        """
        from sedna.common.class_factory import ClassFactory, ClassType
        from sedna.core.incremental_learning import IncrementalLearning
        @ClassFactory.register(ClassType.CALLBACK, alias="double")
        def double(result):
            return result * 2
        @ClassFactory.register(ClassType.HEM)
        class Always:
            def __init__(self, **parameters):
                self.parameters = parameters
            def __call__(self, result=None):
                return bool(self.parameters)
        facts["found"] = ClassFactory.get_cls(ClassType.CALLBACK, "double") is double
        facts["exists"] = [ClassFactory.is_exists(ClassType.CALLBACK, n) for n in ("double", "x")]
        try:
            ClassFactory.get_cls(ClassType.CALLBACK, "x")
        except ValueError:
            facts["unknown"] = "ValueError"
        job = IncrementalLearning(
            OneNumber, hard_example_mining={"method": "Always", "param": {"given": 1}})
        facts["inference"] = job.inference([], post_process="double")
        """,
        directory,
        **JOB,
        MODEL_URL=_model(directory / "m", 0.25),
    )
    assert facts == {
        "found": True,
        "exists": [True, False],
        "unknown": "ValueError",
        "inference": [[0.25, 0.75], [0.25, 0.75, 0.25, 0.75], True],
    }


def check_files(library: Library, directory: Path) -> None:
    """`FileOps` joins, copies and moves local files."""
    (directory / "m.ckpt").write_text("model", encoding="utf-8")
    facts = library.run(
        """
        from sedna.common.file_ops import FileOps
        import os
        facts["join"] = [FileOps.join_path("/a", "/b", "c"), FileOps.join_path("s3://a/", "/b")]
        facts["remote"] = [FileOps.is_remote(u) for u in ("s3://a/b", "http://h/x", "/a")]
        facts["local"] = [FileOps.is_local(u) for u in ("m.ckpt", "file:///a", "/absent")]
        facts["prefix"] = [FileOps.remove_path_prefix("/home/data/m", p) for p in
                           ("/home/data", "")]
        FileOps.clean_folder(["out/train/1"], clean=False)
        FileOps.upload("m.ckpt", os.path.abspath("m.ckpt"))
        facts["download"] = FileOps.download("m.ckpt", "out/train/1/copy.ckpt")
        facts["upload"] = FileOps.upload("m.ckpt", "out/moved.ckpt")
        facts["exists"] = [FileOps.exists(p) for p in
                           ("m.ckpt", "out/train/1/copy.ckpt", "out/moved.ckpt", "out")]
        """,
        directory,
        **JOB,
    )
    assert facts == {
        "join": ["/a/b/c", "s3://a/b"],
        "remote": [True, True, False],
        "local": [True, True, False],
        "prefix": ["/m", "/home/data/m"],
        "download": "out/train/1/copy.ckpt",
        "upload": "out/moved.ckpt",
        "exists": [False, True, True, True],
    }


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
    check_filter_configuration,
    check_filters,
    check_text_datasource,
    check_registry,
    check_files,
    check_hot_update,
)
"""For any worker library; no MindSpore is needed."""


def _model(path: Path, value: float) -> str:
    path.write_text(json.dumps(value), encoding="utf-8")
    return str(path)
