"""Every error that sedna-tinyms raises on purpose.

::

    SednaTinyMSError ............. exit code 1
    ├── UsageError ............... 2   the command line cannot be carried out
    ├── JobSpecError ............. 3   the job YAML is not one that Sedna would accept
    ├── DatasetError ............. 4   a dataset file, one of its lines, or a picture is unusable
    ├── ModelFileError ........... 5   a model file is missing, unreadable or broken
    │   └── ForeignModelError .... 5   it is readable, but belongs to another network
    ├── MetricsError ............. 6   an evaluation gave what no controller can compare
    ├── WorkerLibraryError ....... 7   `sedna` is missing, or is the unrelated package of that name
    ├── MissingExtraError ........ 8   an optional part is not installed
    ├── DeviceError .............. 9   the device asked for cannot be had
    ├── WorkerError .............. 10  a worker process failed
    ├── EndpointError ............ 11  the worker-facing address cannot be opened or reached
    ├── ConfigurationError ....... 12  a setting or an argument is out of its range
    ├── StorageError ............. 13  a file could not be written, or a directory is in use
    └── DownloadError ............ 14  a file from elsewhere did not arrive, or is not the right one

Ctrl-C ends a command with 130, SIGTERM with 143 and the end of its terminal with 129, as in a
shell. ``sedna-tinyms help exit-code N`` prints what a code means and what to do.

A message names the value at fault, where it came from, and what to do about it. Programs do not
read the message: each error has a `code` such as ``"unknown-key"``, which stays the same from
release to release, and `fields` such as ``path``, ``line`` and ``value``. Where several things are
wrong, they are collected first and raised together: see `Problems`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "ConfigurationError",
    "DatasetError",
    "DeviceError",
    "DownloadError",
    "EndpointError",
    "ForeignModelError",
    "JobSpecError",
    "MetricsError",
    "MissingExtraError",
    "ModelFileError",
    "Problem",
    "Problems",
    "SednaTinyMSError",
    "StorageError",
    "UsageError",
    "WorkerError",
    "WorkerLibraryError",
    "did_you_mean",
    "extra",
]


class SednaTinyMSError(Exception):
    """Base of every error raised on purpose.

    Parameters
    ----------
    message : str
        What is wrong, where, and what to do about it, for a person.
    code : str, optional
        What is wrong, for a program: lower-case words joined by hyphens. The default is the
        class's own `code`.
    **fields : object
        The values that the message was made of, such as ``path``, ``line`` and ``value``.

    Attributes
    ----------
    exit_code : int
        The exit code of a command that ends with this error.
    code : str
        What is wrong, as a name that does not change between releases.
    fields : dict
        The values that the message was made of.
    problems : tuple of Problem
        The single problems, where several were collected. Empty otherwise.

    Examples
    --------
    >>> error = DatasetError("a.txt:3: no label", code="missing-label", path="a.txt", line=3)
    >>> error.code, error.fields["line"]
    ('missing-label', 3)
    """

    exit_code = 1
    code = "error"
    problems: tuple[Problem, ...] = ()

    def __init__(self, message: object = "", *, code: str | None = None, **fields: Any) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        self.fields = fields


class UsageError(SednaTinyMSError):
    """The command line cannot be carried out."""

    exit_code = 2
    code = "usage"


class JobSpecError(SednaTinyMSError):
    """The job YAML is not one that Sedna would accept."""

    exit_code = 3
    code = "job-spec"


class DatasetError(SednaTinyMSError):
    """A dataset file, one of its lines, or a picture is unusable."""

    exit_code = 4
    code = "dataset"


class ModelFileError(SednaTinyMSError):
    """A model file is missing, unreadable or broken."""

    exit_code = 5
    code = "model-file"


class ForeignModelError(ModelFileError):
    """A model file is readable, but belongs to another network or other classes."""

    code = "foreign-model"


class MetricsError(SednaTinyMSError):
    """An evaluation gave metrics that no controller can compare."""

    exit_code = 6
    code = "metrics"


class WorkerLibraryError(SednaTinyMSError, ImportError):
    """`sedna` cannot be imported, or is the unrelated package of the same name."""

    exit_code = 7
    code = "worker-library"


class MissingExtraError(SednaTinyMSError, ImportError):
    """An optional part is not installed; the message holds the pip line that brings it."""

    exit_code = 8
    code = "missing-extra"


class DeviceError(SednaTinyMSError):
    """The device asked for cannot be had on this machine with this MindSpore."""

    exit_code = 9
    code = "device"


class WorkerError(SednaTinyMSError):
    """A worker process failed."""

    exit_code = 10
    code = "worker"


class EndpointError(SednaTinyMSError):
    """The address that workers report to cannot be opened or reached."""

    exit_code = 11
    code = "endpoint"


class ConfigurationError(SednaTinyMSError, ValueError):
    """A setting or an argument is out of its range."""

    exit_code = 12
    code = "configuration"


class StorageError(SednaTinyMSError):
    """A file could not be written, or a directory is in use by another run."""

    exit_code = 13
    code = "storage"


class DownloadError(SednaTinyMSError):
    """A file from elsewhere did not arrive, or is not the one that was promised."""

    exit_code = 14
    code = "download"


LONGEST_NAME = 200
"""Characters of a name that is compared with others, which takes time and memory."""


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the nearest valid name, or an empty string."""
    if len(str(name)) > LONGEST_NAME:
        return ""
    match = difflib.get_close_matches(str(name), [str(v) for v in valid], n=1)
    return f" (did you mean {match[0]!r}?)" if match else ""


@dataclass(frozen=True)
class Problem:
    """One of several things that are wrong."""

    text: str
    code: str = "error"
    fields: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.text


class Problems:
    """Collects what is wrong, to say all of it at once.

    Examples
    --------
    >>> problems = Problems()
    >>> problems.add("epochs is -1; it must be at least 1", code="out-of-range", name="epochs")
    >>> problems.raise_as(ConfigurationError, "the estimator cannot be built")
    Traceback (most recent call last):
    ...
    sedna_tinyms.errors.ConfigurationError: the estimator cannot be built:
      epochs is -1; it must be at least 1
    """

    def __init__(self) -> None:
        self._problems: list[Problem] = []

    @property
    def lines(self) -> list[str]:
        """The text of each problem."""
        return [problem.text for problem in self._problems]

    def add(self, line: str, /, *, code: str = "error", **fields: Any) -> None:
        """Note one problem."""
        self._problems.append(Problem(line, code, fields))

    def __bool__(self) -> bool:
        return bool(self._problems)

    def as_error(
        self,
        kind: type[SednaTinyMSError],
        heading: str,
        *,
        most: int = 20,
        code: str | None = None,
        **fields: Any,
    ) -> SednaTinyMSError:
        """Return a `kind` that says every problem noted so far (the first `most`).

        Its `code` is the given one, else the one that all problems share, else the default of
        `kind`.
        """
        shown = self.lines[:most]
        if len(self.lines) > most:
            shown.append(f"... and {len(self.lines) - most} more")
        codes = {problem.code for problem in self._problems}
        error = kind(
            f"{heading}:\n" + "\n".join(f"  {line}" for line in shown),
            code=code or (codes.pop() if len(codes) == 1 else None),
            **fields,
        )
        error.problems = tuple(self._problems)
        return error

    def raise_as(
        self,
        kind: type[SednaTinyMSError],
        heading: str,
        *,
        most: int = 20,
        code: str | None = None,
        **fields: Any,
    ) -> None:
        """Raise `as_error` if any problem was noted."""
        if self:
            raise self.as_error(kind, heading, most=most, code=code, **fields)


@contextmanager
def extra(name: str, purpose: str) -> Iterator[None]:
    """Turn an ImportError inside the block into one that names the extra to install.

    Parameters
    ----------
    name : str
        The extra, as in ``pip install 'sedna-tinyms[name]'``.
    purpose : str
        What needs it, as the subject of a sentence: ``"reading .safetensors files"``.

    Raises
    ------
    MissingExtraError
        If an import inside the block fails.
    """
    try:
        yield
    except MissingExtraError:
        raise
    except ImportError as error:
        raise MissingExtraError(
            f"{purpose} needs {error.name or error}, which is not installed: "
            f"pip install 'sedna-tinyms[{name}]'",
            extra=name,
        ) from error
