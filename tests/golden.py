"""Pin the text of messages in one golden file per room: ``tests/messages/ROOM.ambr``.

Tests assert the kind, the `code` and the fields of an error. Its text is compared with the golden
file of the test's room, the first folder below ``tests``. After a message was reworded, write the
golden files anew and read the difference::

    python -m pytest tests/ROOM --snapshot-update
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.amber import AmberSnapshotExtension
from syrupy.location import PyTestLocation

from sedna_tinyms.errors import SednaTinyMSError

TESTS = Path(__file__).parent
MESSAGES = TESTS / "messages"

CHANGING = [
    (r"/[^\s'\":;,()]*/pytest-of-[^/\s]+/pytest-\d+(/popen-gw\d+)?/[^/\s'\":;,()]+", "<tmp>"),
    (r"/tmp/tmp\w+", "<tmp>"),
    (re.escape(str(TESTS.parent)), "<checkout>"),
    (r"(127\.0\.0\.1|localhost|\[::1\]):\d+", r"\1:<port>"),
    (r"\bprocess \d+", "process <pid>"),
    (r"\b[0-9a-f]{64}\b", "<sha256>"),
    (r"\b((train|eval)-worker|canary|inferworker)-[a-z0-9]{5}\b", r"\1-<id>"),
]
"""Parts of a message that differ from run to run, as a pattern and what stands for it."""


class RoomMessages(AmberSnapshotExtension):
    """Keeps the messages of all test modules of a room in one file."""

    @classmethod
    def dirname(cls, *, test_location: PyTestLocation) -> str:
        return str(MESSAGES)

    @classmethod
    def get_file_basename(cls, *, test_location: PyTestLocation, index: Any) -> str:
        room, *module = Path(test_location.filepath).relative_to(TESTS).parts
        return room if module else "package"

    @classmethod
    def matches_test_location(
        cls, *, test_location: PyTestLocation, snapshot_location: str
    ) -> bool:
        return cls.get_location(test_location=test_location, index=0) == snapshot_location

    @classmethod
    def get_snapshot_name(cls, *, test_location: PyTestLocation, index: Any = 0) -> str:
        name = super().get_snapshot_name(test_location=test_location, index=index)
        module = Path(test_location.filepath).relative_to(TESTS).with_suffix("")
        return f"{name} in {'/'.join(module.parts[1:]) or module}.py"

    def serialize(self, data: Any, **options: Any) -> str:
        if isinstance(data, str):
            data = settled(data)
        return super().serialize(data, **options)


def settled(text: str) -> str:
    """Return a text with its changing parts replaced: directories, ports, processes, digests."""
    for pattern, stand_in in CHANGING:
        text = re.sub(pattern, stand_in, text)
    return text


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """Return what a text is compared with: ``assert str(event) == snapshot``."""
    return snapshot.use_extension(RoomMessages)


Raises = Callable[..., AbstractContextManager[pytest.ExceptionInfo[SednaTinyMSError]]]


@pytest.fixture
def raises(snapshot: SnapshotAssertion) -> Raises:
    """Return `pytest.raises` for our errors: ``with raises(DatasetError, "no-label", line=3):``.

    The error must be of exactly that kind, and have that code and those fields. Paths are compared
    as text. Its message must be the one in the golden file, unless ``golden=False`` is given, as
    for the text of another library or of the operating system.
    """

    @contextmanager
    def expect(
        kind: type[SednaTinyMSError], code: str, /, *, golden: bool = True, **fields: Any
    ) -> Iterator[pytest.ExceptionInfo[SednaTinyMSError]]:
        with pytest.raises(kind) as raised:
            yield raised
        error = raised.value
        assert type(error) is kind
        assert error.code == code, f"{error.code}: {error}"
        found = {name: _plain(error.fields.get(name, "(absent)")) for name in fields}
        assert found == {name: _plain(value) for name, value in fields.items()}, str(error)
        if golden:
            assert str(error) == snapshot

    return expect


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value
