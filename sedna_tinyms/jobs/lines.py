"""What a line of the dataset says: which picture it names, which label, and what the picture is.

A sample's identity is the content of its picture, so that a label can be corrected by appending
the picture again with another label, and a camera that reuses a path makes a new sample. A line of
another form, or one whose picture is not there, has no identity: it is always a sample of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = ["SampleLine", "content_digest", "read_line", "read_lines"]

MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"


class SampleLine(NamedTuple):
    """A line of the dataset.

    Attributes
    ----------
    line : str
        As it stands in the file.
    picture : str
        The path as written; empty where the line is not ``<picture> <label>``.
    label : str
        The label as written; empty likewise.
    digest : str
        SHA-256 of the picture's content; empty if there is none to read.
    """

    line: str
    picture: str = ""
    label: str = ""
    digest: str = ""


def read_line(line: str) -> SampleLine:
    """Take a line apart, without a look at the disk.

    Examples
    --------
    >>> read_line("camera/my picture.jpg ant")[1:3]
    ('camera/my picture.jpg', 'ant')
    >>> read_line("image.jpg 10,20,30,40,1 5,5,8,8,0")[1:3]
    ('', '')
    """
    text = line.removeprefix(MARK).strip()
    picture, label = text.rsplit(maxsplit=1) if len(text.split()) > 1 else ("", "")
    return SampleLine(line) if "," in label else SampleLine(line, picture, label)


def read_lines(lines: Sequence[str], directory: Path) -> list[SampleLine]:
    """Take lines apart, and find out what their pictures are.

    Parameters
    ----------
    lines : sequence of str
        Lines of the dataset.
    directory : Path
        What the pictures' paths are relative to: where the dataset file lies.
    """
    return [_with_digest(read_line(line), directory) for line in lines]


def content_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content; an empty text if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    except (OSError, ValueError):  # too long a name, a NUL in it, no right to read it
        return ""


def _with_digest(sample: SampleLine, directory: Path) -> SampleLine:
    if not sample.picture:
        return sample
    return sample._replace(digest=content_digest(directory / sample.picture))
