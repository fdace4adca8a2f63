import importlib.util

import pytest

from sedna_tinyms.errors import WorkerLibraryError
from sedna_tinyms.testing import (
    LIBRARY_CHECKS,
    ONNX_CHECKS,
    TINYMS_CHECKS,
    libraries,
    library_checks,
    onnx_checks,
    parts_checks,
    tinyms_checks,
)

HAS_MINDSPORE = importlib.util.find_spec("mindspore") is not None


@pytest.mark.parametrize("check", LIBRARY_CHECKS, ids=lambda check: check.__name__)
def test_the_worker_library_keeps_the_contract(library, check, tmp_path):
    check(library, tmp_path)


@pytest.mark.parametrize("check", ONNX_CHECKS, ids=lambda check: check.__name__)
def test_the_onnx_backend_works_in_it(library, check, tmp_path):
    check(library, tmp_path)


@pytest.mark.skipif(not HAS_MINDSPORE, reason="MindSpore is not installed")
@pytest.mark.parametrize("check", TINYMS_CHECKS, ids=lambda check: check.__name__)
def test_the_tinyms_backend_works_in_it(library, check, tmp_path):
    check(library, tmp_path)


def test_a_directory_without_the_library_is_refused(tmp_path, raises):
    (tmp_path / "sedna").mkdir()
    with raises(WorkerLibraryError, "wrong-library", path=tmp_path):
        libraries({"SEDNA_LIB": str(tmp_path)})


def test_the_checks_are_all_listed():
    modules = (library_checks, parts_checks, onnx_checks, tinyms_checks)
    named = {v for m in modules for name, v in vars(m).items() if name.startswith("check_")}
    assert named == {*LIBRARY_CHECKS, *ONNX_CHECKS, *TINYMS_CHECKS}
