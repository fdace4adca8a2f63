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
    """One thing found: ``job.yaml:37: spec.trainSpec.trigger.condition.metric: ...``."""

    severity: Severity
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

    def error(self, line: int, path: str, message: str) -> None:
        """Note something that stops the job from being run."""
        self.found.append(Finding(Severity.ERROR, line, path, message))

    def warning(self, line: int, path: str, message: str) -> None:
        """Note something that works otherwise than it reads."""
        self.found.append(Finding(Severity.WARNING, line, path, message))

    def note(self, line: int, path: str, message: str) -> None:
        """Note something that has no effect here or there."""
        self.found.append(Finding(Severity.NOTE, line, path, message))

    @property
    def errors(self) -> list[Finding]:
        """The errors among the findings, by line."""
        return [f for f in self.sorted() if f.severity is Severity.ERROR]

    def sorted(self) -> tuple[Finding, ...]:
        """Return every finding in the order of the file."""
        return tuple(sorted(self.found, key=lambda f: f.line))

    def as_error(self) -> SednaTinyMSError:
        """Return a JobSpecError that says every error found."""
        problems = Problems()
        for finding in self.errors:
            problems.add(finding.describe(self.source))
        return problems.as_error(JobSpecError, f"{self.source} is not a job that can be run")
