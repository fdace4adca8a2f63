"""What `sedna-tinyms help` prints."""

import pytest

from sedna_tinyms.cli import main
from sedna_tinyms.cli.help_command import exit_code_text
from sedna_tinyms.errors import UsageError


@pytest.mark.parametrize(
    ("words", "begin"),
    [
        ([], "usage: sedna-tinyms [-h]"),
        (["status"], "usage: sedna-tinyms status [-h]"),
        (["help"], "usage: sedna-tinyms help [-h]"),
        (["exit-code"], "# Exit codes\n"),
        (["exit-code", "13"], "# Exit code 13: "),
    ],
    ids=" ".join,
)
def test_help_explains_a_topic(words, begin, capsys):
    assert main(["help", *words]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(begin)
    assert not printed.err


def test_the_page_of_an_exit_code_is_text_without_links():
    page = exit_code_text(129)
    assert "## Usual causes" in page
    assert "does the same as at Ctrl-C: " in page
    assert "](" not in page + exit_code_text()


def test_an_exit_code_without_a_page_is_refused(raises):
    with raises(UsageError, "unknown-name", value=99) as raised:
        exit_code_text(99)
    assert {1, 14, 143} <= set(raised.value.fields["valid"])


def test_only_exit_codes_have_numbers(capsys, snapshot):
    assert main(["help", "run", "3"]) == UsageError.exit_code
    assert capsys.readouterr().err == snapshot
