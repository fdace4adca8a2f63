"""What a look at a job YAML found, each with its line and its JSON path."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from sedna_tinyms.errors import JobSpecError, Problems, SednaTinyMSError

__all__ = ["Finding", "Findings", "Severity"]


class Severity(str, Enum):
    """How much a finding matters."""

    ERROR = "error"
    """Sedna, or this machine, cannot run the job."""

    WARNING = "warning"
    """It runs, but a real cluster does something that is hardly meant."""

    NOTE = "note"
    """A field that one of the two ignores, or reads in its own way."""


@dataclass(frozen=True)
class Finding:
    """One thing found: ``job.yaml:37: spec.trainSpec.trigger.condition.metric: ...``.

    Attributes
    ----------
    rule : str
        What is wrong, as a name that does not change between releases, such as ``unknown-key``.
        That of an error is also the `code` of its problem in the JobSpecError.
    line : int
        Line of the file, counted from 1.
    path : str
        JSON path within the document; empty for what is about a whole document.
    message : str
        What is wrong, for a person.
    """

    severity: Severity
    rule: str
    line: int
    path: str
    message: str

    def describe(self, source: Path | str) -> str:
        """Return the finding as one line of text, with the file it is about."""
        severity = "" if self.severity is Severity.ERROR else f"{self.severity.value}: "
        where = f"{self.path}: " if self.path else ""
        return f"{source}:{self.line}: {severity}{where}{self.message}"


class Findings:
    """Collects findings about one file, to say all of them at once."""

    def __init__(self, source: Path | str) -> None:
        self.source = source
        self.found: list[Finding] = []

    def error(self, rule: str, line: int, path: str, message: str) -> None:
        """Note something that stops the job from being run."""
        self.found.append(Finding(Severity.ERROR, rule, line, path, message))

    def warning(self, rule: str, line: int, path: str, message: str) -> None:
        """Note something that works otherwise than it reads."""
        self.found.append(Finding(Severity.WARNING, rule, line, path, message))

    def note(self, rule: str, line: int, path: str, message: str) -> None:
        """Note something that has no effect here or there."""
        self.found.append(Finding(Severity.NOTE, rule, line, path, message))

    @property
    def errors(self) -> list[Finding]:
        """The errors among the findings, by line."""
        return [f for f in self.sorted() if f.severity is Severity.ERROR]

    def sorted(self) -> tuple[Finding, ...]:
        """Return every finding in the order of the file."""
        return tuple(sorted(self.found, key=lambda f: f.line))

    def as_error(self) -> SednaTinyMSError:
        """Return a JobSpecError that says every error found.

        Each of its `problems` has the rule as its code, and `path` (of the file), `line` and `key`
        (the JSON path) as its fields.
        """
        problems = Problems()
        for finding in self.errors:
            problems.add(
                finding.describe(self.source),
                code=finding.rule,
                path=str(self.source),
                line=finding.line,
                key=finding.path,
            )
        heading = f"{self.source} is not a job that can be run"
        return problems.as_error(JobSpecError, heading, path=str(self.source))
