"""`import tinyms` means the core; `test_aliasing.py` has what is so for `sedna` too."""

import json
import os
from textwrap import dedent

import pytest
from new_process import LENIENT


@pytest.fixture(scope="module")
def forked(forking, tmp_path_factory):
    """Run a program in a new process; return what it assigned to `seen`."""

    def run(code, *command):
        directory = tmp_path_factory.mktemp("program")
        code = f"import json, sys\n{dedent(code)}\nprint(json.dumps(seen))\n"
        (directory / "program.py").write_text(code)
        env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        done = forking.run(*command, "program.py", cwd=directory, env=env)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.fixture(scope="module")
def program(forked):
    """Return what a program for TinyMS finds, in one process."""
    code = """
        from sedna_tinyms.tinyms import install_as_tinyms
        install_as_tinyms()
        import tinyms as ts
        from tinyms import Tensor, context, hub, primitives as P, set_seed
        from tinyms.model import mobilenetv2
        import tinyms.model.mobilenetv2
        seen = {}
        seen["factory"] = tinyms.model.mobilenetv2 is mobilenetv2 and callable(mobilenetv2)
        set_seed(1)
        rows = ts.concatenate((ts.ones((1, 2)), ts.zeros((1, 2))))
        flat = ts.reshape(ts.expand_dims(ts.arange(4), 0), (4,))
        total = P.tensor_add(ts.array([1, 2]), Tensor([3, 4], ts.int32))
        seen["tensors"] = [each.asnumpy().tolist() for each in (rows, flat, total)]
        seen["dtypes"] = [str(dtype) for dtype in (ts.float32, ts.float16, ts.int32, ts.bool_)]
        try:
            from tinyms.model import bert
        except ImportError as error:
            seen["left out"] = str(error)
    """
    return forked(code)


def test_a_factory_keeps_its_name_when_the_module_of_that_name_is_imported(program):
    assert program["factory"]


def test_the_package_gives_tensors_dtypes_and_array_functions(program):
    assert program["tensors"] == [[[1.0, 1.0], [0.0, 0.0]], [0, 1, 2, 3], [4, 6]]
    assert program["dtypes"] == ["Float32", "Float16", "Int32", "Bool"]


def test_a_network_that_is_left_out_says_so_to_a_program_for_tinyms(program, snapshot):
    assert program["left out"] == snapshot


def test_the_package_alone_does_not_import_mindspore_and_a_missing_name_is_missing(python):
    code = """
        import os
        import sedna_tinyms.tinyms as ts
        seen = ["mindspore" in sys.modules, os.environ.get("ONEDNN_MAX_CPU_ISA", "AVX2")]
        ts.ones
        seen.append("mindspore" in sys.modules)
        seen += [hasattr(ts, "onnes"), hasattr(ts, "__wrapped__"), "ones" in dir(ts)]
        try:
            from sedna_tinyms.tinyms import onnes
        except ImportError as error:
            seen.append(str(error)[:26])
    """
    missing = [False, False, True, "cannot import name 'onnes'"]
    assert python(code, command=LENIENT) == [False, "AVX2", True, *missing]


def test_exec_runs_a_program_written_for_tinyms(forked):
    code = """
        import tinyms as ts
        from tinyms.initializers import initializer, TruncatedNormal
        seen = [ts.__name__, list(initializer(TruncatedNormal(), (2, 3), ts.float32).shape)]
    """
    assert forked(code, "-m", "sedna_tinyms", "exec", "--as-tinyms") == [
        "sedna_tinyms.tinyms",
        [2, 3],
    ]


def test_exec_without_the_option_leaves_the_name_alone(forked):
    code = """
        from importlib.util import find_spec
        seen = find_spec("tinyms")
    """
    assert forked(code, "-m", "sedna_tinyms", "exec") is None
