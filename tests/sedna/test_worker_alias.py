"""The import name `sedna` belongs to the whole process, so every test is one of its own."""

import json
import os
import subprocess
import sys
import textwrap

import pytest


@pytest.fixture
def python(tmp_path):
    """Run code in a new process, beside some files, and return what it assigned to `seen`."""

    def run(code, files=()):
        for name, text in dict(files).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        code = f"import json, sys\n{textwrap.dedent(code)}\nprint(json.dumps(seen))\n"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            cwd=tmp_path,
            env={k: v for k, v in os.environ.items() if k in ("PATH", "HOME")},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


STRANGER = {"sedna/__init__.py": "", "sedna/matrix.py": "", "sedna/backend/notes.txt": ""}
KUBEEDGE = {
    "sedna/__init__.py": "WHOSE = 'KubeEdge'",
    "sedna/backend/__init__.py": "",
    "sedna/core/__init__.py": "",
    "sedna/core/incremental_learning/__init__.py": "",
}


def test_there_is_one_module_under_both_names_whichever_came_first(python):
    code = """
        import sedna_tinyms.sedna.common.config as early
        from sedna_tinyms.sedna import install
        install(); install()
        import sedna.common.config, sedna.core.incremental_learning, sedna.backend.base
        import sedna_tinyms.sedna.core.incremental_learning as late
        import sedna_tinyms.sedna.backend.base as base
        from sedna.common.class_factory import ClassFactory
        import importlib
        seen = [
            sedna.common.config is early,
            sedna.common.config.BaseConfig() is early.BaseConfig(),
            sedna.core.incremental_learning is late,
            sedna.backend.base.BackendBase is base.BackendBase,
            ClassFactory.is_exists("hard_example_mining", "IBT"),
            late.__spec__.name,
            importlib.reload(sedna.backend) is sys.modules["sedna_tinyms.sedna.backend"],
            "mindspore" in sys.modules,
        ]
    """
    real = "sedna_tinyms.sedna.core.incremental_learning"
    assert python(code) == [True, True, True, True, True, real, True, False]


IMPORTS = """
    from sedna_tinyms.sedna import install
    assert install() == "embedded"
    from sedna.core.incremental_learning import IncrementalLearning
    from sedna.core.base import JobBase
    from sedna.common.config import BaseConfig, Context
    from sedna.common.class_factory import ClassFactory, ClassType
    from sedna.common.file_ops import FileOps
    from sedna.common.constant import K8sResourceKind, K8sResourceKindStatus
    from sedna.common.log import LOGGER
    from sedna.datasources import BaseDataSource, TxtDataParse, CSVDataParse, JSONDataParse
    from sedna.algorithms.hard_example_mining import (
        ThresholdFilter, CrossEntropyFilter, IBTFilter, RandomFilter, CloudOnlyFilter,
        EdgeOnlyFilter,
    )
    from sedna.service.client import LCClient, http_request
    from sedna.backend import set_backend
    seen = [name for name in ("mindspore", "pandas", "fsspec") if name in sys.modules]
"""


def test_every_import_line_of_a_worker_script_works_without_mindspore(python):
    assert python(IMPORTS) == []


def test_a_directory_called_sedna_is_in_nobody_s_way(python, tmp_path):
    (tmp_path / "sedna").mkdir()
    assert python("import sedna\n" + textwrap.dedent(IMPORTS)) == []


def test_what_is_not_there_is_not_found(python):
    code = """
        from sedna_tinyms.sedna import install
        install()
        from importlib.util import find_spec
        import sedna
        seen = [find_spec("sedna.nonsense"), find_spec("sednax")]
    """
    assert python(code) == [None, None]


def test_uninstall_gives_the_name_back(python):
    code = """
        from importlib.util import find_spec
        from sedna_tinyms.sedna import install, uninstall
        hooks = list(sys.meta_path)
        install()
        import sedna.common.config
        uninstall(); uninstall()
        seen = [find_spec("sedna"), sys.meta_path == hooks, "sedna.common" in sys.modules]
    """
    assert python(code) == [None, True, False]


def test_the_tinyms_backend_is_found_at_sedna_s_path_too(python):
    code = """
        import sedna_tinyms.plugin as plugin
        from sedna_tinyms.sedna import install
        install()
        plugin.BACKENDS["TINYMS"] = "fractions:Fraction"
        from sedna.backend.tinyms import TinyMSBackend
        seen = TinyMSBackend.__name__
    """
    assert python(code) == "Fraction"


def test_kubeedge_s_library_is_left_in_its_place(python):
    code = """
        from sedna_tinyms.sedna import install
        seen = [install(), install("kubeedge")]
        import sedna
        seen.append(sedna.WHOSE)
    """
    assert python(code, KUBEEDGE) == ["kubeedge", "kubeedge", "KubeEdge"]


def test_the_embedded_library_may_be_insisted_on(python):
    code = """
        from sedna_tinyms.sedna import install
        seen = install("embedded")
        import sedna
        assert not hasattr(sedna, "WHOSE")
    """
    assert python(code, KUBEEDGE) == "embedded"


FAILING = """
    from sedna_tinyms.sedna import install
    from sedna_tinyms.errors import SednaTinyMSError
    import_first = {first}
    if import_first:
        import sedna
    try:
        seen = install({library!r})
    except SednaTinyMSError as error:
        seen = [type(error).__name__, str(error)]
"""


@pytest.mark.parametrize(
    ("files", "library", "first", "kind", "words"),
    [
        (STRANGER, "any", False, "WorkerLibraryError", "pip uninstall sedna"),
        (STRANGER, "embedded", True, "WorkerLibraryError", "pip uninstall sedna"),
        ({}, "kubeedge", False, "WorkerLibraryError", "PYTHONPATH"),
        (KUBEEDGE, "embedded", True, "WorkerLibraryError", "imported already"),
        ({}, "embeded", False, "ConfigurationError", "did you mean 'embedded'"),
    ],
)
def test_what_cannot_be_had_is_said_with_the_way_out(python, files, library, first, kind, words):
    seen_kind, message = python(FAILING.format(first=first, library=library), files)
    assert seen_kind == kind
    assert words in message
