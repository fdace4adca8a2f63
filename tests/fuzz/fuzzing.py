"""What the fuzz tests share: short and long rounds, damaged files, trees to compare."""

from __future__ import annotations

import functools
import os
import socket
import time
from collections import Counter
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FACTOR = int(os.environ.get("FUZZ_FACTOR", "1"))
"""How many times the usual number of examples to try; beyond 1, pass ``--timeout 0`` too."""

SHORT_ROUND = 10
"""Every so many of the examples are tried in a short round, but not fewer than that."""

NO_HANG_SECONDS = 20.0
"""For one example, of the processor's time: a machine may do other things too."""
ANSWER_SECONDS = 120.0


TRIED: Counter[str] = Counter()
"""How many examples each test was really given."""


def fuzzed(examples, **strategies):
    """Make two tests of one: a short round, and a slow one called ``..._at_length``.

    Both are given the same examples every time, none of which may hang, and are counted.
    """

    def decorate(test):
        long = pytest.mark.slow(_given(test, strategies, examples * FACTOR))
        long.__name__ = f"{test.__name__}_at_length"
        test.__globals__[long.__name__] = long  # where pytest looks for tests
        return _given(test, strategies, max(SHORT_ROUND, examples // SHORT_ROUND))

    return decorate


def _given(test, strategies, examples):
    @functools.wraps(test)
    def counted(*args, **kwargs):
        TRIED[f"{test.__module__}::{test.__name__}"] += 1
        began = time.process_time()
        test(*args, **kwargs)
        assert time.process_time() - began < NO_HANG_SECONDS

    limits = settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    given_test = given(**strategies)(test)
    given_test.hypothesis.inner_test = counted
    return limits(given_test)


@st.composite
def damaged(draw, content):
    """Draw a changed copy of some bytes: bits flipped, parts cut out, put in, moved or repeated."""
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(changed) - 1)))
        length = draw(st.integers(0, 40))
        match draw(st.sampled_from(("flip", "cut", "insert", "repeat", "end", "fill"))):
            case "flip" if changed:
                changed[at] ^= draw(st.integers(1, 255))
            case "cut":
                del changed[at : at + length]
            case "insert":
                changed[at:at] = draw(st.binary(max_size=40))
            case "repeat":
                changed[at:at] = changed[at : at + length]
            case "fill":
                fill = draw(st.sampled_from((0, 0x7F, 0x80, 0xFF)))
                changed[at : at + length] = bytes([fill]) * len(changed[at : at + length])
            case "end":
                del changed[at:]
    return bytes(changed)


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**300, 10**301)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["../../etc/passwd", "/", "\0", "\ud800", "x" * 5000, "file:///", "~", "*"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
"""Anything that JSON or YAML can say."""


def at_places(value, path=()):
    """Return the path of every value within nested dicts and lists."""
    places = [path]
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            places += at_places(each, (*path, key))
    return places


def with_value(value, path, new):
    """Return a copy of nested dicts and lists with another value at `path`."""
    if not path:
        return new
    copied = value.copy()
    copied[path[0]] = with_value(value[path[0]], path[1:], new)
    return copied


def snapshot(root):
    """Return every file below `root`, with its size and time."""
    return {
        path: (path.lstat().st_mode, path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in root.rglob("*")
        if not path.is_dir()
    }


@contextmanager
def untouched(root):
    """Fail if the block changes any file below `root`."""
    before = snapshot(root)
    yield
    assert snapshot(root) == before


def talk(port, content):
    """Send bytes to a server of this machine and no more; return all that comes back."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS) as client:
        try:
            client.sendall(content)
            client.shutdown(socket.SHUT_WR)
            while part := client.recv(1 << 16):
                answer += part
        except TimeoutError:
            raise
        except OSError:
            return answer  # it may hang up on what is no request
    return answer


def tells_nothing(answer):
    """Fail if an answer holds what belongs in a log."""
    for secret in (b"Traceback", b"site-packages", b"/tmp/", b".py"):
        assert secret not in answer
