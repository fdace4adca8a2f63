from __future__ import annotations

from pathlib import Path

from sedna_tinyms.jobs.differences import DIFFERENCES

MANUAL = Path(__file__).parents[2] / "docs" / "job-yaml.md"


def test_the_manual_lists_every_difference() -> None:
    _, _, table = MANUAL.read_text(encoding="utf-8").partition("| situation | Sedna | here |\n")
    rows = [f"| {each.situation} | {each.sedna} | {each.here} |" for each in DIFFERENCES.values()]
    assert table.strip().splitlines()[1:] == rows
