"""Models are swapped under load: no request is lost, and no answer is another's."""

import argparse

import pytest
from harness import Run
from swaps import MODELS, swap


@pytest.mark.parametrize(
    ("swaps", "bad_every"), [(7, 1), pytest.param(20, 2, marks=pytest.mark.slow)]
)
def test_no_answer_is_lost_or_mixed_and_bad_models_change_nothing(
    swaps, bad_every, tmp_path, monkeypatch
):
    monkeypatch.setenv("MODEL_HOT_UPDATE_CONFIG", "")  # given back afterwards
    options = argparse.Namespace(swaps=swaps, clients=8, bad_every=bad_every)
    seen = swap(options, Run(0, 0, tmp_path, tmp_path, 0.0))
    assert seen["first_faults"] == []
    assert seen["wrongly_taken_or_refused"] == []
    assert (seen["swaps"], seen["refused"]) == (swaps, swaps // bad_every)
    assert set(seen["refused_by_kind"]) == {"ModelFileError", "ForeignModelError"}
    assert 2 <= seen["versions_that_answered"] <= MODELS
    assert seen["threads_grown"] <= 0
    assert seen["handles_grown"] <= 2  # a poll may be reading just then
