import re
import subprocess
import sys

import pytest

from sedna_tinyms.cli import COMMANDS
from sedna_tinyms.errors import StorageError


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "sedna_tinyms", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_names_every_command_and_imports_nothing_heavy():
    answer = command("--help")
    assert answer.returncode == 0
    assert all(name in answer.stdout for name in COMMANDS)
    imported = {line.rsplit("|", 1)[-1].strip() for line in answer.stderr.splitlines()}
    assert not imported & {"mindspore", "numpy", "rich", "requests", "yaml", "PIL", "fsspec"}


def test_each_command_explains_itself_without_mindspore():
    for name in COMMANDS:
        answer = command(name, "--help")
        assert answer.returncode == 0, answer.stderr
        assert f"sedna-tinyms {name}" in answer.stdout
        assert " mindspore\n" not in answer.stderr


@pytest.mark.parametrize(
    ("words", "meant"),
    [(["rnu"], "run"), (["model", "verfy"], "verify"), (["bench", "updaet"], "update")],
)
def test_a_word_that_is_none_is_told_the_nearest(words, meant, cli):
    answer = cli(*words)
    assert answer.exit_code == 2
    _, _, hint = answer.err.rpartition("(")
    assert re.findall("'(.*?)'", hint) == [meant]


@pytest.mark.parametrize(
    "words", [["status", ""], ["model", "list", ""], ["validate", "job.yaml", "--root", ""]]
)
def test_an_empty_word_is_no_path(words, cli, snapshot):
    answer = cli(*words)
    assert answer.exit_code == 2
    assert answer.err.rpartition("argument ")[2] == snapshot


@pytest.mark.parametrize("words", [["status"], ["model", "verify"], ["exec"]])
def test_a_name_that_no_file_can_have_is_no_traceback(words, refused):
    name = "x" * 300
    refused(StorageError, "storage", *words, name, path=name)
