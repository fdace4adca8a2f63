import sys
from pathlib import Path

import pytest

from sedna_tinyms.errors import JobSpecError
from sedna_tinyms.jobs.manifest.spec import WorkerTemplate
from sedna_tinyms.jobs.workers.command import worker_command


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "train.py").touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "train.py").touch()
    return tmp_path


def command(directory, *words, args=()):
    template = WorkerTemplate(command=tuple(words), args=tuple(args))
    return worker_command("train", template, directory)


EXEC = [sys.executable, "-m", "sedna_tinyms", "exec"]


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("python",),
        ("python3",),
        ("python3.11",),
        ("/usr/local/bin/python",),
        ("sedna-tinyms", "exec"),
        ("/opt/venv/bin/sedna-tinyms", "exec"),
        ("python", "-m", "sedna_tinyms", "exec"),
    ],
)
def test_a_python_script_is_run_by_exec_with_this_python(directory, words):
    expected = [*EXEC, str(directory / "train.py"), "--epochs", "2"]
    assert command(directory, *words, args=["train.py", "--epochs", "2"]) == expected


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("sub/train.py", "sub/train.py"),
        ("./train.py", "train.py"),
        ("/home/work/train.py", "train.py"),
        ("scripts/train.py", "train.py"),
    ],
)
def test_a_script_is_found_as_named_or_beside_the_yaml(directory, name, found):
    assert command(directory, args=[name]) == [*EXEC, str(directory / found)]


def test_an_absolute_script_that_exists_here_is_meant_itself(directory):
    elsewhere = directory / "sub" / "train.py"
    assert command(directory, args=[str(elsewhere)]) == [*EXEC, str(elsewhere)]


def test_options_of_python_stay_options_of_python(directory):
    words = command(directory, "python", "-u", "-W", "error", "-Xdev", args=["train.py", "-u"])
    options = [sys.executable, "-u", "-W", "error", "-Xdev"]
    assert words == [*options, *EXEC[1:], str(directory / "train.py"), "-u"]


@pytest.mark.parametrize(
    ("words", "started"),
    [
        (("python", "-u", "-m", "package", "x"), (sys.executable, "-u", "-m", "package", "x")),
        (("python", "-c", "print(1)"), (sys.executable, "-c", "print(1)")),
        (("bash", "run.sh"), ("bash", "run.sh")),
        (("sedna-tinyms", "status"), ("sedna-tinyms", "status")),
    ],
)
def test_what_is_no_script_of_python_is_started_as_it_is(directory, words, started):
    assert command(directory, *words) == list(started)


def test_a_template_without_command_and_args_is_an_error(directory, raises):
    with raises(JobSpecError, "missing-key", name="args", kind="train"):
        command(directory)


def test_exec_without_a_script_is_an_error(directory, raises):
    with raises(JobSpecError, "missing-value", name="command", kind="train"):
        command(directory, "sedna-tinyms", "exec")


def test_a_script_that_is_not_there_is_an_error_with_the_places_looked_at(directory, raises):
    script = "/home/work/tarin.py"
    with raises(JobSpecError, "missing-file", name=script, kind="train") as raised:
        command(directory, args=[script])
    assert raised.value.fields["paths"] == [Path(script), directory / "tarin.py"]
