"""Whose library `import sedna` gives; `test_aliasing.py` has what is so for `tinyms` too."""

import textwrap

import pytest

STRANGER = {"sedna/__init__.py": "", "sedna/matrix.py": "", "sedna/backend/notes.txt": ""}
KUBEEDGE = {
    "sedna/__init__.py": "WHOSE = 'KubeEdge'",
    "sedna/backend/__init__.py": "",
    "sedna/core/__init__.py": "",
    "sedna/core/incremental_learning/__init__.py": "",
}


def test_settings_and_registries_exist_once(python):
    code = """
        import sedna_tinyms.sedna.common.config as early
        from sedna_tinyms.sedna import install
        install()
        import sedna.common.config, sedna.core.incremental_learning, sedna.backend.base
        import sedna_tinyms.sedna.backend.base as base
        from sedna.common.class_factory import ClassFactory
        import importlib
        seen = [
            sedna.common.config.BaseConfig() is early.BaseConfig(),
            sedna.backend.base.BackendBase is base.BackendBase,
            ClassFactory.is_exists("hard_example_mining", "IBT"),
            importlib.reload(sedna.backend) is sys.modules["sedna_tinyms.sedna.backend"],
            "mindspore" in sys.modules,
        ]
    """
    assert python(code) == [True, True, True, True, False]


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
        seen = [type(error).__name__, error.code, str(error)]
"""


@pytest.mark.parametrize(
    ("files", "library", "first", "kind", "code"),
    [
        (STRANGER, "embedded", True, "WorkerLibraryError", "wrong-library"),
        ({}, "kubeedge", False, "WorkerLibraryError", "missing-library"),
        (KUBEEDGE, "embedded", True, "WorkerLibraryError", "conflict"),
        ({}, "embeded", False, "ConfigurationError", "unknown-name"),
    ],
    ids=["another package", "none", "imported already", "misspelt"],
)
def test_what_cannot_be_had_is_said_with_the_way_out(
    python, snapshot, files, library, first, kind, code
):
    *found, message = python(FAILING.format(first=first, library=library), files)
    assert found == [kind, code]
    assert message == snapshot
