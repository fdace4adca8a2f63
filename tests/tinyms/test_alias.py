"""The import name `tinyms` belongs to the whole process, so every test is one of its own."""

import json
import os
import subprocess
import sys
import textwrap

import pytest


@pytest.fixture
def python(tmp_path):
    """Run code in a new process, beside some files; return what it assigned to `seen`."""

    def run(code, files=(), command=("-c",)):
        for name, text in dict(files).items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        code = f"import json, sys\n{textwrap.dedent(code)}\nprint(json.dumps(seen))\n"
        if command[-1].endswith(".py"):
            (tmp_path / command[-1]).write_text(code)
            arguments = [*command]
        else:
            arguments = [*command, code]
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env={k: v for k, v in os.environ.items() if k in ("PATH", "HOME")},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


def test_there_is_one_module_under_both_names_whichever_came_first(python):
    code = """
        import sedna_tinyms.tinyms.layers as early
        from sedna_tinyms.tinyms import install_as_tinyms
        install_as_tinyms(); install_as_tinyms()
        import tinyms as ts, tinyms.layers, tinyms.data.download, tinyms.vision
        import sedna_tinyms.tinyms as core, sedna_tinyms.tinyms.vision as late
        from tinyms.layers import SequentialLayer
        seen = [
            ts is core,
            tinyms.layers is early,
            tinyms.vision is late,
            tinyms.data.download is sys.modules["sedna_tinyms.tinyms.data.download"],
            SequentialLayer is early.SequentialLayer,
            ts.__name__,
        ]
    """
    assert python(code) == [True, True, True, True, True, "sedna_tinyms.tinyms"]


def test_a_factory_keeps_its_name_when_the_module_of_that_name_is_imported(python):
    code = """
        from sedna_tinyms.tinyms import install_as_tinyms
        install_as_tinyms()
        from tinyms.model import mobilenetv2
        import tinyms.model.mobilenetv2
        seen = tinyms.model.mobilenetv2 is mobilenetv2 and callable(mobilenetv2)
    """
    assert python(code)


def test_the_package_gives_tensors_dtypes_and_array_functions(python):
    code = """
        from sedna_tinyms.tinyms import install_as_tinyms
        install_as_tinyms()
        import tinyms as ts
        from tinyms import Tensor, context, hub, primitives as P, set_seed
        set_seed(1)
        rows = ts.concatenate((ts.ones((1, 2)), ts.zeros((1, 2))))
        flat = ts.reshape(ts.expand_dims(ts.arange(4), 0), (4,))
        total = P.tensor_add(ts.array([1, 2]), Tensor([3, 4], ts.int32))
        seen = [rows.asnumpy().tolist(), flat.asnumpy().tolist(), total.asnumpy().tolist()]
        seen += [str(dtype) for dtype in (ts.float32, ts.float16, ts.int32, ts.bool_)]
    """
    numbers = [[[1.0, 1.0], [0.0, 0.0]], [0, 1, 2, 3], [4, 6]]
    assert python(code) == [*numbers, "Float32", "Float16", "Int32", "Bool"]


def test_the_package_alone_does_not_import_mindspore(python):
    code = """
        import os
        import sedna_tinyms.tinyms as ts
        seen = ["mindspore" in sys.modules, os.environ.get("ONEDNN_MAX_CPU_ISA", "AVX2")]
        ts.ones
        seen.append("mindspore" in sys.modules)
    """
    assert python(code) == [False, "AVX2", True]


def test_a_name_that_does_not_exist_is_missing_as_in_any_module(python):
    code = """
        import sedna_tinyms.tinyms as ts
        seen = [hasattr(ts, "onnes"), hasattr(ts, "__wrapped__"), "ones" in dir(ts)]
        try:
            from sedna_tinyms.tinyms import onnes
        except ImportError as error:
            seen.append(str(error)[:26])
    """
    assert python(code) == [False, False, True, "cannot import name 'onnes'"]


def test_a_network_that_is_left_out_says_so_to_a_program_for_tinyms(python):
    code = """
        from sedna_tinyms.tinyms import install_as_tinyms
        install_as_tinyms()
        try:
            from tinyms.model import bert
        except ImportError as error:
            seen = str(error)
    """
    assert python(code).startswith("TinyMS's bert is left out: language models are not part of")


def test_another_tinyms_is_not_shadowed(python):
    code = """
        from sedna_tinyms.errors import ConfigurationError
        from sedna_tinyms.tinyms import install_as_tinyms
        try:
            install_as_tinyms()
        except ConfigurationError as error:
            seen = str(error)
        import tinyms
        assert tinyms.WHOSE == "theirs"
    """
    seen = python(code, {"tinyms/__init__.py": "WHOSE = 'theirs'"})
    assert "there is another tinyms, in " in seen
    assert "pip uninstall tinyms" in seen


def test_a_directory_called_tinyms_is_in_nobody_s_way(python):
    code = """
        from sedna_tinyms.tinyms import install_as_tinyms
        install_as_tinyms()
        from tinyms.context import GRAPH_MODE
        seen = GRAPH_MODE
    """
    assert python(code, {"tinyms/servable.json": "[]"}) == 0


def test_exec_runs_a_program_written_for_tinyms(python):
    code = """
        import tinyms as ts
        from tinyms.initializers import initializer, TruncatedNormal
        seen = [ts.__name__, list(initializer(TruncatedNormal(), (2, 3), ts.float32).shape)]
    """
    command = ("-m", "sedna_tinyms", "exec", "--as-tinyms", "program.py")
    assert python(code, command=command) == ["sedna_tinyms.tinyms", [2, 3]]


def test_exec_without_the_option_leaves_the_name_alone(python):
    code = """
        from importlib.util import find_spec
        seen = find_spec("tinyms")
    """
    assert python(code, command=("-m", "sedna_tinyms", "exec", "program.py")) is None
