"""The import names `sedna` and `tinyms`, lent to packages of ours."""

import pytest
from new_process import LENIENT

SEDNA = """
    from sedna_tinyms.sedna import install
    NAME, PACKAGE = "sedna", "sedna_tinyms.sedna"
    EARLY, LATE = "common.config", "core.incremental_learning"
"""
TINYMS = """
    from sedna_tinyms.tinyms import install_as_tinyms as install
    NAME, PACKAGE = "tinyms", "sedna_tinyms.tinyms"
    EARLY, LATE = "callbacks", "data.download"
"""
both = pytest.mark.parametrize("names", [SEDNA, TINYMS], ids=["sedna", "tinyms"])


@both
def test_there_is_one_module_under_both_names_whichever_came_first(python, names):
    code = """
    from importlib import import_module
    early = import_module(f"{PACKAGE}.{EARLY}")
    install(); install()
    lent = [import_module(each) for each in (NAME, f"{NAME}.{EARLY}", f"{NAME}.{LATE}")]
    ours = [sys.modules[PACKAGE], early, import_module(f"{PACKAGE}.{LATE}")]
    seen = [one is other for one, other in zip(lent, ours, strict=True)]
    seen += [module.__spec__.name == module.__name__ for module in ours]
    seen += [module.__name__.startswith(PACKAGE) for module in ours]
    """
    assert python(names + code, command=LENIENT) == [True] * 9


@both
def test_what_is_not_there_is_not_found_and_a_mere_directory_is_in_nobody_s_way(python, names):
    code = """
    from importlib import import_module
    from importlib.util import find_spec
    import_module(NAME)  # the directory
    install()
    seen = [import_module(NAME).__name__ == PACKAGE]
    seen += [find_spec(f"{NAME}.nonsense"), find_spec(f"{NAME}x")]
    """
    files = {"sedna/notes.txt": "", "tinyms/notes.txt": ""}
    assert python(names + code, files) == [True, None, None]


@both
def test_another_package_of_that_name_is_left_alone(python, names, snapshot):
    code = """
    from sedna_tinyms.errors import SednaTinyMSError
    try:
        install()
    except SednaTinyMSError as error:
        seen = [error.code, str(error)]
    assert __import__(NAME).WHOSE == "theirs"
    """
    theirs = {f"{name}/__init__.py": "WHOSE = 'theirs'" for name in ("sedna", "tinyms")}
    kind, said = python(names + code, theirs)
    assert kind == "wrong-library"
    assert said == snapshot
