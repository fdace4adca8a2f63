"""What the parts of a Sedna worker library do by themselves: filters, datasources, registry, files.

See `sedna_tinyms.testing.library_checks`, which runs these checks too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from sedna_tinyms.testing.library import JOB, Library, write_number

__all__ = ["PARTS_CHECKS"]


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
        MODEL_URL=write_number(directory / "m", 0.25),
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


PARTS_CHECKS: tuple[Callable[[Library, Path], None], ...] = (
    check_filter_configuration,
    check_filters,
    check_text_datasource,
    check_registry,
    check_files,
)
