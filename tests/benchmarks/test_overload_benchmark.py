"""For two seconds, the server is asked for twice what it can do."""

import argparse

import pytest
from harness import Run
from overload import PATIENCE_SECONDS, Answer, overload, percentile


@pytest.mark.slow
def test_what_is_beyond_the_queue_is_told_to_come_back(tmp_path):
    options = argparse.Namespace(seconds=2, places=4)
    seen = overload(options, Run(0, 0, tmp_path, tmp_path, 0.0))
    assert seen["failed"] == 0
    assert seen["accepted"] > 0
    assert seen["refused"] > 0
    assert seen["without_retry_after"] == 0
    assert seen["accepted"] + seen["refused"] == round(2 * seen["asked_per_second"])
    assert seen["median_ms"] <= seen["p99_ms"] < 1000 * PATIENCE_SECONDS


def test_percentiles_are_of_the_answers_with_a_status():
    answers = [Answer(0.0, seconds, 200, None) for seconds in (0.1, 0.3, 0.2)]
    answers.append(Answer(0.0, 9.0, 503, "1"))
    assert percentile(answers, 50) == pytest.approx(200)
    assert percentile(answers, 100) == pytest.approx(300)
    assert percentile(answers, 50, status=503) == pytest.approx(9000)
    assert percentile(answers, 50, status=0) is None
