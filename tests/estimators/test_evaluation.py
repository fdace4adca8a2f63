"""What an evaluation says of each sample, and what it looks up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from estimators.evaluation import Answering, evaluate
from estimators.model_card import ModelCard
from sedna_tinyms.learning.cache import CACHE_DIRECTORY

CARD = ModelCard(("dark", "middle", "bright"), 1.0, 8, learned=(4, 4, 0))


class Brightness:
    """Tells pictures apart by their brightness, and counts those that it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.asked += len(pixels)
        level = pixels.astype(np.float32).mean(axis=(1, 2, 3)) / 255
        return np.stack([4 * (1 - level), np.full_like(level, 2.0), 4 * level], axis=1)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    paths = []
    for name, value in (("a", 0), ("b", 128), ("c", 250)):
        path = tmp_path / f"{name}.png"
        Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(path)
        paths.append(path)
    return paths


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_DIRECTORY, str(tmp_path / "cache"))


def test_it_says_how_much_the_answers_contradict_the_labels(pictures: list[Path]) -> None:
    model = Brightness()
    data = list(zip(pictures, ["dark", "dark", "bright"], strict=True))
    metrics = evaluate(data, Answering("answers-1", model.run), CARD, CARD.class_names)
    assert metrics["accuracy"] == [pytest.approx(2 / 3)]
    assert metrics["correct"] == [1.0, 0.0, 1.0]
    agreed, contradicted, not_learned = metrics["contradiction"]
    level = 128 / 255
    scores = np.exp([4 * (1 - level), 2.0, 4 * level])
    lead = (scores.max() - scores[0]) / scores.sum()
    assert (agreed, not_learned) == (0.0, -1.0)
    assert contradicted == pytest.approx(lead, abs=0.01)


def test_a_class_that_the_model_does_not_know_is_a_mistake_and_not_learned(
    pictures: list[Path],
) -> None:
    model = Brightness()
    data = [(pictures[0], "dark"), (pictures[1], "unheard of")]
    metrics = evaluate(data, Answering("answers-1", model.run), CARD, None)
    assert metrics["correct"] == [1.0, 0.0]
    assert metrics["contradiction"] == [0.0, -1.0]


def test_only_what_is_new_is_computed(pictures: list[Path]) -> None:
    model = Brightness()
    data = list(zip(pictures, ["dark", "middle", "bright"], strict=True))
    first = evaluate(data[:2], Answering("answers-1", model.run), CARD, CARD.class_names)
    assert model.asked == 2
    both = evaluate(data, Answering("answers-1", model.run), CARD, CARD.class_names)
    assert model.asked == 3
    assert both["correct"][:2] == first["correct"]
    evaluate(data, Answering("answers-2", model.run), CARD, CARD.class_names)
    assert model.asked == 6, "of another model"
    Image.fromarray(np.full((8, 8, 3), 9, np.uint8)).save(pictures[0])
    evaluate(data, Answering("answers-1", model.run), CARD, CARD.class_names)
    assert model.asked == 7, "another picture at the same path"
    evaluate(data, Answering("answers-1", model.run), CARD, CARD.class_names, cache_bytes=0)
    assert model.asked == 10


def test_a_card_counts_the_labels_that_its_model_has_learned() -> None:
    card = ModelCard(("a", "b")).untrained()
    assert card.learned == (0, 0)
    card = card.having_learned([0, 0]).with_classes(["a", "b", "c"]).having_learned([2])
    assert card.learned == (2, 0, 1)
    assert [card.has_learned(number) for number in range(4)] == [True, False, True, False]
    again = ModelCard.from_metadata(card.metadata(), "model.onnx")
    assert again == card


def test_of_a_model_of_an_earlier_release_nothing_is_known() -> None:
    card = ModelCard(("a", "b"))
    assert "learned" not in card.metadata()
    assert card.having_learned([0]).learned is None
    assert (card.has_learned(0), card.has_learned(2)) == (True, False)
