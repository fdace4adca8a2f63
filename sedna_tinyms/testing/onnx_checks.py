"""That a Sedna worker library and the ONNX backend work together, without MindSpore."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sedna_tinyms.testing.controller import Controller
from sedna_tinyms.testing.hot_update import play_hot_update
from sedna_tinyms.testing.library import JOB, Library

__all__ = ["ONNX_CHECKS"]

JOB_ON_ONNX = {**JOB, "BACKEND_TYPE": "ONNX"}


def check_onnx_backend(library: Library, directory: Path) -> None:
    """BACKEND_TYPE=ONNX, in any case, gives `ONNXBackend`; nothing of MindSpore is imported."""
    facts = library.run(
        """
        import sys
        import sedna.core.base
        from sedna.backend import set_backend
        import sedna_tinyms.backend
        for select in (set_backend, sedna.core.base.set_backend):
            backend = select(estimator=OneNumber)
            facts[select.__module__ + str(len(facts))] = [
                type(backend) is sedna_tinyms.backend.ONNXBackend, backend.model_name]
        facts["mindspore"] = "mindspore" in sys.modules
        """,
        directory,
        **{**JOB, "BACKEND_TYPE": "onnx"},
        MODEL_URL=directory / "out",
        MODEL_NAME="m.onnx",
    )
    assert facts.pop("mindspore") is False
    assert list(facts.values()) == [[True, "m.onnx"]] * 2


def check_onnx_evaluation(library: Library, directory: Path) -> None:
    """New and old model are evaluated each for itself, and reported in that order."""
    for name, value in (("new", "0.75"), ("old", "0.25")):
        (directory / f"{name}.onnx").write_text(value, encoding="utf-8")
    with Controller() as controller:
        library.run(
            "from sedna.core.incremental_learning import IncrementalLearning\n"
            "IncrementalLearning(OneNumber).evaluate([1])",
            directory,
            **JOB_ON_ONNX,
            LC_SERVER=controller.url,
            DATA_PATH_PREFIX=directory,
            MODEL_URLS=f"{directory}/new.onnx;{directory}/old.onnx",
        )
    results = [_summary(result) for result in controller.reports[0].body["results"]]
    assert results == [("onnx", "/new.onnx", [0.75]), ("onnx", "/old.onnx", [0.25])]


def _summary(result: dict[str, Any]) -> tuple[str, str, list[float]]:
    return result["format"], result["url"], result["metrics"]["accuracy"]


def check_onnx_hot_update(library: Library, directory: Path) -> None:
    """`ONNXBackend` takes a hot update over, under whatever name the library gives the file."""
    with Controller() as controller:
        play_hot_update(
            library,
            directory,
            controller,
            """
            import os, pathlib
            from sedna.core.incremental_learning import IncrementalLearning
            job = IncrementalLearning(OneNumber)
            while not os.path.exists("stop"):
                pathlib.Path("seen").write_text(str(job.inference([1])[0][0]))
            os._exit(0)
            """,
            models={"deployed": "0.25", "better": "0.75", "broken": "half a mod"},
            seen={"deployed": "0.25", "better": "0.75"},
            suffix=".onnx",
            BACKEND_TYPE="ONNX",
        )


ONNX_CHECKS: tuple[Callable[[Library, Path], None], ...] = (
    check_onnx_backend,
    check_onnx_evaluation,
    check_onnx_hot_update,
)
"""That the library and the ONNX backend work together."""
