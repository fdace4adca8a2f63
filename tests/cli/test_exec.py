import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from sedna_tinyms.errors import UsageError, WorkerLibraryError

COMMANDS = {
    "module": [sys.executable, "-m", "sedna_tinyms"],
    "script": [str(Path(sys.executable).with_name("sedna-tinyms"))],
}


@pytest.fixture(params=COMMANDS)
def execute(request, tmp_path):
    def run(code, *arguments, before=(), **environment):
        script = tmp_path / "jobs" / "worker.py"
        script.parent.mkdir(exist_ok=True)
        script.write_text(textwrap.dedent(code))
        keep = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME")}
        return subprocess.run(
            [*COMMANDS[request.param], "exec", *before, "jobs/worker.py", *arguments],
            cwd=tmp_path,
            env={**keep, **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def test_the_script_runs_as_python_would_run_it(execute, tmp_path):
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "beside.py").write_text("NAME = 'beside'")
    done = execute(
        """
        import sys, beside
        print(__name__, __file__, sys.argv, sys.path[0], beside.NAME, sep="|")
        """,
        "--epochs",
        "3",
        "--help",
    )
    name, file, argv, path, beside = done.stdout.strip().split("|")
    assert (name, file, beside) == ("__main__", "jobs/worker.py", "beside")
    assert argv == str(["jobs/worker.py", "--epochs", "3", "--help"])
    assert path == str(tmp_path / "jobs")
    assert (done.returncode, done.stderr) == (0, "")


def test_an_unmodified_worker_finds_its_library_and_the_backend(execute):
    done = execute(
        """
        from sedna.core.incremental_learning import IncrementalLearning
        from sedna.backend import set_backend
        import os, sedna_tinyms.plugin
        print(IncrementalLearning.__name__, sedna_tinyms.plugin.is_registered())
        print(os.environ.get("ONEDNN_MAX_CPU_ISA"))
        """
    )
    library, limit = done.stdout.splitlines()
    assert library == "IncrementalLearning True"
    assert limit in ("AVX2", "None")


CHOOSES = """
    import logging
    logging.getLogger("sedna_tinyms.engine.opening").info("the model runs on %s", "a thing")
    logging.getLogger("another").info("hidden")
    logging.getLogger("another").warning("seen")
    """


def test_what_was_chosen_is_in_the_worker_s_log(execute):
    assert execute(CHOOSES).stderr.split("\n") == ["the model runs on a thing", "seen", ""]


def test_a_script_that_sets_logging_up_has_its_way(execute):
    own = 'import logging\n    logging.basicConfig(level="INFO", format="own %(message)s")'
    lines = execute(CHOOSES.replace("import logging", own)).stderr.splitlines()
    assert lines == ["own the model runs on a thing", "own hidden", "own seen"]


@pytest.mark.parametrize(
    ("code", "status"),
    [("", 0), ("import sys; sys.exit(3)", 3), ("raise SystemExit", 0), ("1 / 0", 1), ("(", 1)],
)
def test_the_exit_code_is_the_script_s(execute, code, status):
    assert execute(code).returncode == status


def test_a_message_instead_of_a_code_is_printed_as_python_does(execute):
    done = execute("raise SystemExit('no data')")
    assert (done.returncode, done.stderr.strip()) == (1, "no data")


def test_a_traceback_shows_the_script_and_not_this_package(execute):
    done = execute("def work():\n    1 / 0\nwork()\n")
    assert done.stderr.splitlines()[0] == "Traceback (most recent call last):"
    assert 'jobs/worker.py", line 3, in <module>' in done.stderr
    assert 'jobs/worker.py", line 2, in work' in done.stderr
    assert done.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert "runpy" not in done.stderr
    assert "sedna_tinyms" not in done.stderr


@pytest.mark.parametrize(("script", "code"), [("absent.py", "missing-file"), (".", "not-a-file")])
def test_what_is_no_script_is_named(tmp_path, monkeypatch, refused, script, code):
    monkeypatch.chdir(tmp_path)
    refused(UsageError, code, "exec", script, path=script)


def test_the_wrong_sedna_is_refused_before_the_script_starts(execute, tmp_path):
    (tmp_path / "site" / "sedna").mkdir(parents=True)
    (tmp_path / "site" / "sedna" / "__init__.py").touch()
    done = execute("print('started')", PYTHONPATH=str(tmp_path / "site"))
    assert (done.returncode, done.stdout) == (WorkerLibraryError.exit_code, "")
    assert "pip uninstall sedna" in done.stderr


def test_kubeedge_s_library_may_be_insisted_on(execute):
    done = execute("", before=("--library", "kubeedge"))
    assert done.returncode == WorkerLibraryError.exit_code
    assert "PYTHONPATH" in done.stderr
