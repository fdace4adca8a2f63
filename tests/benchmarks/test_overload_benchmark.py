"""For two seconds, the server is asked for twice what it can do."""

import argparse

import pytest

pytest.importorskip("mindspore")
pytest.importorskip("waitress")


def test_what_is_beyond_the_queue_is_told_to_come_back(tmp_path):
    from harness import Run
    from overload import overload

    options = argparse.Namespace(seconds=2, places=4)
    seen = overload(options, Run(0, 0, tmp_path, tmp_path, 0.0))
    assert seen["failed"] == 0
    assert seen["accepted"] > 0
    assert seen["refused"] > 0
    assert seen["without_retry_after"] == 0
    assert seen["p99_second_half_ms"] < 10_000
