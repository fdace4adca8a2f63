import os

import pytest


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    """Let a runner wait for milliseconds where nothing hangs on how long it waits."""
    waits = {
        "inference.FIRST_PAUSE_SECONDS": 0.01,
        "inference.LONGEST_PAUSE_SECONDS": 0.02,
        "stage_worker.LATE_REPORT_SECONDS": 0.05,
    }
    for name, seconds in waits.items():
        monkeypatch.setattr(f"sedna_tinyms.jobs.workers.{name}", seconds)
    # Nothing here cuts the power, and a round flushes a hundred times. That the journal does is
    # tested by itself.
    monkeypatch.setattr(os, "fsync", lambda _: None)
