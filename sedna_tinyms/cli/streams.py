"""The standard streams of a command: nobody may be left who reads them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from pathlib import Path
from typing import Any, TextIO, cast

__all__ = ["indifferent_errors", "while_read"]


class _Indifferent:
    """A stream to write to, whatever becomes of it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def indifferent_errors() -> Iterator[None]:
    """Let nothing hang on the standard error here: a full disk, a closed terminal, ``| head``."""
    stream = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    try:
        with redirect_stderr(cast(TextIO, _Indifferent(stream))):
            yield
    finally:
        try:
            stream.flush()
        except OSError:  # Python would try again, and end with an exit code of its own
            _discard(stream)


@contextmanager
def while_read() -> Iterator[None]:
    """Write to the standard output in this block, which ends when nobody reads any more."""
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:  # `sedna-tinyms ... | head` has read enough
        _discard(sys.stdout)


def _discard(stream: TextIO) -> None:
    """Let what a stream still holds, and what comes, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
