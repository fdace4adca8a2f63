"""The plugin against a stand-in with KubeEdge's layout; `tests/testing` has the real library.

Imports are process-wide, so every test is a process of its own.
"""

import textwrap

import pytest

from sedna_tinyms import plugin

LIBRARY = {
    "sedna/__init__.py": "",
    "sedna/backend/__init__.py": """
        from sedna.common.config import BaseConfig
        def set_backend(estimator=None, config=None):
            "Upstream's docstring."
            return None if estimator is None else ("upstream", estimator, config)
    """,
    "sedna/common/__init__.py": "",
    "sedna/common/config.py": """
        import os
        class BaseConfig:
            backend_type = "TENSORFLOW"
            device_category = "CPU"
            model_url = "/out/train/1"
            model_name = "net.ckpt"
    """,
    "sedna/core/__init__.py": "",
    "sedna/core/base.py": "from sedna.backend import set_backend",
    "sedna/core/incremental_learning/__init__.py": "",
    "copier.py": "from sedna.backend import set_backend",
    "recorder.py": """
        class TinyMSBackend:
            def __init__(self, **kwargs):
                self.kwargs = kwargs
    """,
}
STRANGER = {"sedna/__init__.py": "def sum_of_squares(values): ...", "sedna/matrix.py": ""}


@pytest.fixture
def python(python):
    """Run code beside a library; REDIRECT in it puts the recorder in the backend's place."""

    def run(code, *, files=LIBRARY, **environment):
        redirect = (
            "import sedna_tinyms.plugin as p; p.BACKENDS['TINYMS'] = 'recorder:TinyMSBackend'"
        )
        return python(textwrap.dedent(code).replace("REDIRECT", redirect), files, **environment)

    return run


PLUGIN_FIRST = """
    import sedna_tinyms
    REDIRECT
    import sedna.core.base, copier
"""
PLUGIN_LAST = """
    import sedna.core.base, copier
    import sedna_tinyms
    REDIRECT
"""
PLUGIN_BETWEEN = """
    import sedna.backend
    import sedna_tinyms
    REDIRECT
    import copier, sedna.core.base
"""
CHOOSE = """
    import sedna.backend, sedna.core.base, copier
    modules = (sedna.backend, sedna.core.base, copier)
    seen = [type(m.set_backend(object())).__name__ for m in modules]
"""


def join(*parts):
    return "\n".join(textwrap.dedent(part) for part in parts)


@pytest.mark.parametrize("order", [PLUGIN_FIRST, PLUGIN_LAST, PLUGIN_BETWEEN])
@pytest.mark.parametrize("name", ["TINYMS", "tinyms", "TinyMS"])
def test_tinyms_is_chosen_everywhere_whatever_the_import_order(python, order, name):
    assert python(join(order, CHOOSE), BACKEND_TYPE=name) == ["TinyMSBackend"] * 3


def test_onnx_is_chosen_too(python):
    onnx = "p.BACKENDS['ONNX'] = 'recorder:TinyMSBackend'"
    assert python(join(PLUGIN_LAST, onnx, CHOOSE), BACKEND_TYPE="Onnx") == ["TinyMSBackend"] * 3


@pytest.mark.parametrize("order", [PLUGIN_FIRST, PLUGIN_LAST])
def test_a_reload_of_the_backend_module_changes_nothing(python, order):
    reload = """
        import importlib, sedna.backend, sedna.core.base
        importlib.reload(sedna.backend)
        importlib.reload(sedna.core.base)
        importlib.reload(sedna.backend)
    """
    assert python(join(order, reload, CHOOSE), BACKEND_TYPE="TINYMS") == ["TinyMSBackend"] * 3


@pytest.mark.parametrize("name", ["TENSORFLOW", "MINDSPORE", "SKLEARN", "", None])
def test_other_backend_types_go_through_untouched(python, name):
    code = """
        config = object()
        seen = sedna.core.base.set_backend("e", None)
        seen += sedna.core.base.set_backend(estimator="e") + (sedna.backend.set_backend(),)
        seen += (sedna.backend.set_backend("e", config)[2] is config,)
    """
    environment = {} if name is None else {"BACKEND_TYPE": name}
    untouched = ["upstream", "e", None]
    assert python(join(PLUGIN_FIRST, code), **environment) == [*untouched * 2, None, True]


def test_the_config_names_the_backend_if_the_environment_does_not(python):
    code = """
        class Config:
            backend_type, device_category = "tinyms", "CPU"
            model_url, model_name = "/m", None
        seen = sedna.core.base.set_backend(object, Config()).kwargs["model_save_path"]
    """
    assert python(join(PLUGIN_FIRST, code)) == "/m"


def test_the_backend_gets_what_sedna_gives_its_own(python):
    code = """
        import os
        before = dict(os.environ)
        seen = sedna.core.base.set_backend("e").kwargs
        assert dict(os.environ) == before
    """
    assert python(join(PLUGIN_FIRST, code), BACKEND_TYPE="TINYMS", CUDA_VISIBLE_DEVICES="0") == {
        "estimator": "e",
        "use_cuda": True,
        "use_npu": False,
        "device_category": "GPU",
        "model_save_path": "/out/train/1",
        "model_name": "net.ckpt",
        "model_save_url": "/out/train/1",
    }


@pytest.mark.parametrize(
    ("environment", "category"),
    [
        ({}, "CPU"),
        ({"CUDA_VISIBLE_DEVICES": ""}, "CPU"),
        ({"CUDA_VISIBLE_DEVICES": "-1", "DEVICE_CATEGORY": "GPU"}, "CPU"),
        ({"CUDA_VISIBLE_DEVICES": "1"}, "GPU"),
        ({"CUDA_VISIBLE_DEVICES": "1", "DEVICE_CATEGORY": "cpu"}, "CPU"),
        ({"CUDA_VISIBLE_DEVICES": "", "DEVICE_CATEGORY": "NPU"}, "NPU"),
        ({"DEVICE_CATEGORY": "gpu"}, "GPU"),
        ({"DEVICE_CATEGORY": "Ascend"}, "ASCEND"),
    ],
)
def test_the_device_is_read_off_the_environment(environment, category):
    assert plugin.choose_device(environment=environment) == {
        "use_cuda": category == "GPU",
        "use_npu": category in ("NPU", "ASCEND"),
        "device_category": category,
    }


def test_the_module_of_the_upstream_proposal_is_served(python):
    code = """
        from sedna.backend.tinyms import TinyMSBackend
        import sedna.backend.tinyms, recorder
        seen = [TinyMSBackend is recorder.TinyMSBackend, sedna.backend.tinyms is not None]
    """
    assert python(join(PLUGIN_FIRST, code)) == [True, True]


@pytest.mark.parametrize("order", [PLUGIN_FIRST, PLUGIN_LAST])
def test_unregister_takes_everything_back_and_both_may_be_repeated(python, order):
    code = """
        import sedna_tinyms.plugin as p
        import sedna.backend.tinyms
        p.register(); p.register()
        hooks = len(sys.meta_path)
        p.unregister(); p.unregister()
        modules = (sedna.backend, sedna.core.base, copier)
        seen = [
            hooks - len(sys.meta_path),
            p.is_registered(),
            [m.set_backend("e")[0] for m in modules],
            len({m.set_backend for m in modules}),
            "sedna.backend.tinyms" in sys.modules or hasattr(sedna.backend, "tinyms"),
            type(sedna.backend.__loader__).__name__,
            sedna.backend.__spec__.loader is sedna.backend.__loader__,
        ]
        p.register()
        seen.append([type(m.set_backend("e")).__name__ for m in modules])
    """
    assert python(join(order, code), BACKEND_TYPE="TINYMS") == [
        1,
        False,
        ["upstream"] * 3,
        1,
        False,
        "SourceFileLoader",
        True,
        ["TinyMSBackend"] * 3,
    ]


def test_the_patched_function_still_shows_what_it_is(python):
    code = """
        import inspect, sedna.backend
        f = sedna.backend.set_backend
        seen = [f.__doc__, f.__name__, list(inspect.signature(f).parameters)]
    """
    assert python(join(PLUGIN_FIRST, code)) == [
        "Upstream's docstring.",
        "set_backend",
        ["estimator", "config"],
    ]


def test_importing_the_package_is_cheap_and_brings_neither_sedna_nor_mindspore(python):
    code = """
        before = set(sys.modules)
        import sedna_tinyms
        seen = sorted(set(sys.modules) - before)
    """
    found = [name for name in python(code) if not name.startswith("importlib")]
    assert found == ["sedna_tinyms", "sedna_tinyms.plugin"]


def test_the_library_is_recognised_without_importing_it(python):
    code = "import sedna_tinyms.plugin as p; seen = [p.library(), 'sedna' in sys.modules]"
    assert python(code) == ["kubeedge", False]


def test_without_a_library_there_is_none(python):
    assert python("import sedna_tinyms.plugin as p; seen = p.library()", files={}) is None


def test_a_directory_that_happens_to_be_called_sedna_is_no_library(python):
    code = "import sedna_tinyms.plugin as p; seen = p.library()"
    assert python(code, files={"sedna/README.md": "a checkout"}) is None


@pytest.mark.parametrize("files", [STRANGER, {"sedna.py": ""}])
def test_the_package_that_owns_the_name_is_recognised(python, files):
    code = """
        import sedna_tinyms.plugin as p
        from sedna_tinyms.errors import WorkerLibraryError
        try:
            seen = p.library()
        except WorkerLibraryError as error:
            seen = [error.code, error.fields["path"]]
    """
    code, path = python(code, files=files)
    assert code == "wrong-library"
    assert path.endswith(next(iter(files)))


def test_a_worker_script_on_the_wrong_sedna_is_told_so_at_its_import(python, snapshot):
    code = """
        import sedna_tinyms, sedna.matrix
        try:
            from sedna.core.incremental_learning import IncrementalLearning
        except ImportError as error:
            seen = [type(error).__name__, error.code, str(error)]
    """
    *kind, said = python(code, files=STRANGER)
    assert kind == ["WorkerLibraryError", "wrong-library"]
    assert said == snapshot
