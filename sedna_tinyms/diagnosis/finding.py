"""What a check found, and what it means for the exit code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from sedna_tinyms.errors import SednaTinyMSError

__all__ = ["Finding", "Level", "note", "ok", "problem", "warning", "worst_exit_code"]


class Level(str, Enum):
    """How much a finding matters."""

    OK = "ok"
    """As it should be."""

    NOTE = "note"
    """Something that is absent or was not looked at, and may never be missed."""

    WARNING = "warning"
    """It works, but slower, later or otherwise than one would think."""

    PROBLEM = "problem"
    """A command that needs it will fail."""


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes
    ----------
    check : str
        What was looked at, in a word or two.
    message : str
        What was found, with its values.
    mend : str
        The line that mends it: something to type, where there is such a thing.
    exit_code : int
        What a command ends with that meets the problem; 0 for all that is none.
    code : str
        What was found, as a name that does not change between releases, such as ``no-space``.
        Empty for what is as it should be.
    """

    check: str
    level: Level
    message: str
    mend: str = ""
    exit_code: int = 0
    code: str = ""

    def as_json(self) -> dict[str, object]:
        """Return it as plain data."""
        return {
            "check": self.check,
            "level": self.level.value,
            "message": self.message,
            "mend": self.mend,
            "exit_code": self.exit_code,
            "code": self.code,
        }


def ok(check: str, message: str) -> Finding:
    """Return a finding about something that is as it should be."""
    return Finding(check, Level.OK, message)


def note(check: str, message: str, mend: str = "", *, code: str) -> Finding:
    """Return a finding about something that may never be missed."""
    return Finding(check, Level.NOTE, message, mend, code=code)


def warning(check: str, message: str, mend: str, *, code: str) -> Finding:
    """Return a finding about something that works otherwise than one would think."""
    return Finding(check, Level.WARNING, message, mend, code=code)


def problem(
    check: str, error: type[SednaTinyMSError], message: str, mend: str, *, code: str
) -> Finding:
    """Return a finding about something that ends a command with `error`'s exit code."""
    return Finding(check, Level.PROBLEM, message, mend, error.exit_code, code)


def worst_exit_code(findings: Iterable[Finding]) -> int:
    """Return the exit code of the first problem; 0 where there is none."""
    return next((finding.exit_code for finding in findings if finding.exit_code), 0)
