from typing import NamedTuple

import pytest

from sedna_tinyms import cli as commands
from sedna_tinyms.errors import SednaTinyMSError


class Answer(NamedTuple):
    """What a command ended with, what it printed, and the error that it met."""

    exit_code: int
    out: str
    err: str
    error: SednaTinyMSError | None


@pytest.fixture
def cli(monkeypatch, capfd):
    """Return a function that runs a command in this process."""
    errors = []
    refuse = commands._refuse

    def keep(name, error):
        errors.append(error)
        return refuse(name, error)

    monkeypatch.setattr(commands, "_refuse", keep)

    def run(*words):
        errors.clear()
        try:
            code = commands.main([str(word) for word in words])
        except SystemExit as end:  # argparse ends the program
            code = end.code
        printed = capfd.readouterr()
        return Answer(code, printed.out, printed.err, errors[0] if errors else None)

    return run


@pytest.fixture
def refused(cli, snapshot):
    """Return a function that runs a command which must end with an error of a kind and code.

    What it prints is compared with the golden file, unless ``golden=False`` is given.
    """

    def run(kind, code, *words, golden=True, **fields):
        answer = cli(*words)
        assert type(answer.error) is kind, answer
        assert answer.error.code == code, answer
        assert answer.exit_code == kind.exit_code
        found = {name: answer.error.fields.get(name, "(absent)") for name in fields}
        assert {name: str(value) for name, value in found.items()} == {
            name: str(value) for name, value in fields.items()
        }
        if golden:
            assert answer.err == snapshot
        return answer

    return run
