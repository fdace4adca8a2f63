import inspect
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedna_tinyms.errors import ConfigurationError
from sedna_tinyms.jobs.manifest.crosschecks import OWN_FILTERS
from sedna_tinyms.learning.mining import FILTERS, Energy, Margin, Novelty


class Answer(list):
    """Probabilities with logits and an embedding, as an estimator's prediction."""

    def __init__(self, logits=(0.0, 0.0), embedding=None):
        logits = np.asarray(logits, float)
        odds = np.exp(logits - logits.max())
        super().__init__((odds / odds.sum()).tolist())
        self.logits = logits
        self.embedding = embedding


def test_a_job_may_name_every_filter_with_every_parameter():
    signatures = {
        name: tuple(
            parameter
            for parameter, kind in inspect.signature(kind).parameters.items()
            if kind.kind is kind.POSITIONAL_OR_KEYWORD
        )
        for name, kind in FILTERS.items()
    }
    assert signatures == OWN_FILTERS


# Margin


@pytest.mark.parametrize(
    ("probabilities", "hard"),
    [
        ([0.5, 0.4, 0.1], True),
        ([0.8, 0.1, 0.1], False),
        (np.array([0.1, 0.45, 0.45]), True),
        ([0.0, 1.0], False),
        ([1.0], False),
        ([], False),
        (None, False),
        ([1.2, -0.2], False),
        ([math.nan, 0.5], False),
    ],
)
def test_a_small_margin_is_hard(probabilities, hard):
    assert Margin(threshold="0.3")(probabilities) is hard


def test_the_score_grows_as_the_margin_shrinks():
    assert Margin().score([0.6, 0.4]) == pytest.approx(0.8)
    assert Margin().score([0.9, 0.1]) == pytest.approx(0.2)


def test_boxes_are_refused(raises):
    with raises(ConfigurationError, "wrong-shape", value=(1, 6)):
        Margin()([[0.0, 0.0, 1.0, 1.0, 0.5, 1.0]])


# Energy


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=8), st.floats(0.1, 10))
def test_the_energy_is_minus_the_log_of_the_summed_exponentials(logits, temperature):
    expected = -temperature * math.log(math.fsum(math.exp(x / temperature) for x in logits))
    assert Energy(temperature=temperature).score(Answer(logits)) == pytest.approx(expected)


def test_energy_sees_what_probabilities_do_not():
    familiar, strange = Answer([9.0, 1.0]), Answer([4.0, -4.0])
    assert list(familiar) == pytest.approx(list(strange))
    assert Energy().score(strange) > Energy().score(familiar)


def test_energy_survives_logits_of_any_size():
    assert Energy().score(Answer([1000.0, 0.0])) == pytest.approx(-1000.0)
    broken = Answer()
    broken.logits = np.array([math.inf, 0.0])
    assert not Energy(share=1)(broken)


def test_what_is_missing_is_said(raises):
    with raises(ConfigurationError, "missing-value", name="logits"):
        Energy()([0.5, 0.5])
    with raises(ConfigurationError, "missing-value", name="embedding"):
        Novelty()(Answer())


# The share that is hard


@pytest.mark.parametrize(
    "mine",
    [Energy(share="0.2", window="200"), Novelty(share="0.2", familiar="200")],
    ids=["energy", "novelty"],
)
def test_in_the_long_run_no_more_than_the_share_is_hard(mine):
    rng = np.random.default_rng(1)
    hard = [mine(Answer(rng.normal(5, 2, 7), rng.normal(size=4))) for _ in range(2000)]
    assert np.mean(hard[:400]) > 0.02
    assert np.mean(hard[500:]) < 0.25


def test_energy_keeps_to_its_share():
    rng = np.random.default_rng(1)
    mine = Energy(share="0.2", window="200")
    hard = [mine(Answer(rng.normal(5, 2, 7))) for _ in range(2000)]
    assert np.mean(hard[500:]) == pytest.approx(0.2, abs=0.04)


def test_many_are_hard_when_something_new_begins():
    rng = np.random.default_rng(2)
    mine = Energy(share=0.1, window=100)
    for _ in range(200):
        mine(Answer(rng.normal(8, 1, 7)))
    assert np.mean([mine(Answer(rng.normal(0, 1, 7))) for _ in range(8)]) > 0.8


def test_the_first_of_a_kind_are_new_and_later_ones_are_not():
    rng = np.random.default_rng(3)
    known, new = np.eye(32)[0] * 5, np.eye(32)[1] * 5
    mine = Novelty(share=0.05, neighbours=3)
    for _ in range(200):
        mine(Answer(embedding=known + rng.normal(0, 0.3, 32)))
    assert mine.score(Answer(embedding=known)) < mine.threshold
    kind = [mine(Answer(embedding=new + rng.normal(0, 0.2, 32))) for _ in range(60)]
    assert kind[:3] == [True] * 3
    assert sum(kind[30:]) < 8


def test_only_the_familiar_and_the_latest_hard_pictures_are_remembered():
    mine = Novelty(familiar=2, window=4, neighbours=1, share=0)
    mine(Answer(embedding=np.eye(16)[0]))
    mine(Answer(embedding=np.eye(16)[0] + 0.5 * np.eye(16)[1]))
    hard = [mine(Answer(embedding=np.eye(16)[axis])) for axis in (2, 3, 4, 5, 4)]
    assert hard == [True, True, True, True, False]
    scores = [mine.score(Answer(embedding=np.eye(16)[axis])) for axis in (0, 2, 3, 4, 5)]
    assert scores == pytest.approx([0, 1, 1, 0, 0], abs=1e-6)


def test_another_models_embeddings_begin_anew():
    mine = Novelty(share=0.5)
    for length in (8, 8, 8, 16, 16):
        mine(Answer(embedding=np.ones(length)))
    assert mine.score(Answer(embedding=np.ones(16))) == pytest.approx(0.0, abs=1e-6)
    assert math.isnan(mine.score(Answer(embedding=np.ones(8))))


def test_an_embedding_of_nans_is_not_remembered():
    mine = Novelty()
    assert not mine(Answer(embedding=np.full(4, math.nan)))
    mine(Answer(embedding=np.ones(4)))
    assert mine.score(Answer(embedding=np.ones(4))) == pytest.approx(0.0, abs=1e-6)


# Parameters and names


@pytest.mark.parametrize(
    ("kind", "name", "value", "code"),
    [
        (Margin, "threshold", "much", "not-a-number"),
        (Margin, "threshold", 1.5, "out-of-range"),
        (Energy, "share", "nan", "not-a-number"),
        (Energy, "temperature", 0, "out-of-range"),
        (Novelty, "window", "50", "out-of-range"),
        (Novelty, "familiar", 1, "out-of-range"),
        (Novelty, "neighbours", None, "not-a-number"),
    ],
)
def test_parameters_out_of_range(kind, name, value, code, raises):
    with raises(ConfigurationError, code, name=name, value=value):
        kind(**{name: value})


def test_parameters_of_others_are_passed_over_as_by_sednas_filters():
    assert Margin(threshold=0.2, random_ratio=0.3).threshold == 0.2


LOOK_UP = """
import sedna_tinyms.sedna
sedna_tinyms.sedna.install("embedded")
from sedna.common.class_factory import ClassFactory, ClassType
import sedna.core.incremental_learning
print(*(ClassFactory.get_cls(ClassType.HEM, name).__module__ for name in {names}))
"""


def test_the_embedded_library_knows_them_by_name():
    script = LOOK_UP.format(names=tuple(FILTERS))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["sedna_tinyms.learning.mining"] * len(FILTERS)
