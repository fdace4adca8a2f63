"""One round of learning: what is new, what is remembered, and the strategy that brings them in."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from estimators.model_card import ModelCard
from estimators.settings import Settings
from sedna_tinyms.artifact.companions import MEMORY, STRATEGY
from sedna_tinyms.artifact.files import remove_file
from sedna_tinyms.errors import ForeignModelError
from sedna_tinyms.learning.activations import BATCH, activations
from sedna_tinyms.learning.cache import ActivationCache
from sedna_tinyms.learning.frozen import FrozenBackbone
from sedna_tinyms.learning.layers import Outputs, TrainedPart, head_of
from sedna_tinyms.learning.memory import PIXELS, Exemplars, ReplayMemory
from sedna_tinyms.learning.selection import herding_ranks
from sedna_tinyms.learning.state_file import read_state, write_state
from sedna_tinyms.learning.strategies import STRATEGIES, Fit, Lesson, Strategy
from sedna_tinyms.pictures import Picture, load_pixels
from sedna_tinyms.tinyms.model import MobileNetV2

__all__ = ["Classroom", "Seen"]

logger = logging.getLogger(__name__)

MEASURED = 512
"""The most samples that a training measures its own accuracy on."""


class Seen(NamedTuple):
    """New samples.

    Attributes
    ----------
    items : ndarray, shape (N, ...)
        What to learn from: activations or pixels.
    kept : ndarray, shape (N, ...)
        What to remember of each.
    space : str
        What that is.
    """

    items: NDArray[Any]
    kept: NDArray[Any]
    space: str


class Classroom:
    """Holds what a model's rounds of learning share: its memory, its strategy, its frozen part.

    Parameters
    ----------
    settings : Settings
        How to learn.

    Attributes
    ----------
    memory : ReplayMemory or None
        None before a training, or before `recall`.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.memory: ReplayMemory | None = None
        self._model: Path | None = None
        self._known: tuple[str, ...] = ()
        self._strategy: Strategy = STRATEGIES[settings.strategy]()
        self._frozen: FrozenBackbone | None = None
        self._computed_before = 0

    def begin(self) -> None:
        """Begin with a network that was taught nothing."""
        self._model, self._known = None, ()
        self.memory, self._strategy = None, STRATEGIES[self.settings.strategy]()

    def follow(self, model: Path, card: ModelCard) -> None:
        """Go on from a model file; its memory is read when it is needed."""
        self.begin()
        self._model, self._known = model, card.class_names

    def recall(self) -> ReplayMemory:
        """Return the memory that belongs to the model, within the budget set."""
        if self.memory is None:
            budget = self.settings.replay_bytes if self._strategy.replays else 0
            beside = _beside(self._model, MEMORY) if self._model else None
            if self._strategy.replays and beside is not None and beside.is_file():
                self.memory = ReplayMemory.load(beside, budget, self.settings.seed)
            else:
                self.memory = ReplayMemory(budget, self.settings.seed)
            state = _beside(self._model, STRATEGY) if self._model else None
            if state is not None and state.is_file():
                self._strategy.resume(read_state(state, self.settings.strategy))
        return self.memory

    def look_at(
        self,
        pictures: Sequence[Picture],
        network: MobileNetV2,
        card: ModelCard,
        digests: Sequence[str],
    ) -> Seen:
        """Return what the strategy learns from: what the frozen part makes of new pictures."""
        cut, size = self._strategy.cut, card.input_size
        if not cut:
            pixels = load_pixels(pictures, size)
            return Seen(pixels, pixels, PIXELS)
        frozen = self._frozen_part(network, card)
        self._computed_before = frozen.computed
        if self._keeps_pixels:
            pixels = load_pixels(pictures, size)
            return Seen(_in_batches(frozen, pixels), pixels, PIXELS)
        cache = ActivationCache(budget_bytes=self.settings.cache_bytes)
        items = activations(pictures, frozen, cache, size, digests)
        return Seen(items, items, frozen.space)

    def teach(
        self,
        network: MobileNetV2,
        card: ModelCard,
        seen: Seen,
        labels: NDArray[np.int64],
        digests: Sequence[str],
        domain: str | None,
        fit: Fit,
    ) -> dict[str, list[float]]:
        """Let the strategy learn from new samples and remembered ones; then remember some of them.

        Parameters
        ----------
        network : MobileNetV2
            It is changed; it has an output for every class.
        card : ModelCard
            What it is for.
        seen : Seen
            What `look_at` returned.
        labels : ndarray of int, shape (N,)
            Their classes.
        digests : sequence of str, length N
            Of their pictures: one that is remembered, with this label or another, is so no more.
        domain : str, optional
            Where they are from; ``round-<n>`` by default.
        fit : callable
            See `sedna_tinyms.learning.strategies.Fit`.

        Returns
        -------
        dict
            Metrics, each a list.
        """
        settings, memory = self.settings, self._memory_of(seen.space)
        domain = domain or f"round-{len(memory.domains) + 1}"
        names = [card.class_names[label] for label in labels]
        corrected = _corrections(memory.forget(digests), digests, names)
        earlier = self._known_to(card, memory.exemplars())
        items, all_labels = seen.items, labels
        if earlier.labels:
            replayed = earlier.items
            if seen.space == PIXELS and self._strategy.cut:
                replayed = _in_batches(self._frozen_part(network, card), replayed)
            items = np.concatenate([replayed, items])
            all_labels = np.concatenate([_numbers(earlier.labels, card), labels])
        part = TrainedPart(network, self._strategy.cut)
        lesson = Lesson(
            network=network,
            part=part,
            outputs=Outputs(part),
            items=items,
            labels=all_labels,
            domains=[*earlier.domains, *[domain] * len(labels)],
            new=len(labels),
            seen=memory.seen,
            known_classes=len(self._known) if head_of(network)[1].any() else 0,
            prepare=_unchanged if self._strategy.cut else card.normalize,
            fit=fit,
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            seed=settings.seed,
            learning_rate=settings.learning_rate or self._strategy.learning_rate,
            weight_decay=settings.weight_decay,
            label_smoothing=settings.label_smoothing,
            flip=settings.flip,
        )
        losses = self._strategy.learn(lesson)
        accuracy = _accuracy(lesson)
        if self._strategy.replays:
            # Pixels are no features, so what stands for a class among them is left to chance.
            ranks = herding_ranks(seen.items, labels.tolist()) if self._strategy.cut else None
            memory.update(seen.kept, names, domain, ranks, digests)
        self._known = card.class_names
        computed = self._frozen.computed - self._computed_before if self._frozen else 0
        return {
            "loss": losses,
            "accuracy": [accuracy],
            "samples": [float(len(labels))],
            "replayed": [float(len(earlier.labels))],
            "corrected": [float(corrected)],
            "computed": [float(computed)],
        }

    @property
    def frozen(self) -> FrozenBackbone | None:
        """The part that is not trained; None before a training has used it."""
        return self._frozen

    def remembered_pixels(
        self, card: ModelCard
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]] | None:
        """Return the pictures of earlier rounds and their classes; None if no pixels are kept."""
        memory = self.recall()
        if not len(memory) or memory.space != PIXELS:
            return None
        earlier = self._known_to(card, memory.exemplars())
        return earlier.items, _numbers(earlier.labels, card)

    def save(self, model: Path) -> None:
        """Write what the next round needs beside a model file; nothing older stays there."""
        memory, state = self.recall(), self._strategy.state()
        if len(memory):
            memory.save(_beside(model, MEMORY))
        else:
            remove_file(_beside(model, MEMORY))
        if state:
            write_state(_beside(model, STRATEGY), self.settings.strategy, state)
        else:
            remove_file(_beside(model, STRATEGY))

    @property
    def _keeps_pixels(self) -> bool:
        """Whether pixels are remembered; a memory that has begun with pixels goes on with them."""
        if self.settings.replay != "auto":
            return self.settings.replay == PIXELS
        memory = self.recall()
        return not self._strategy.cut or bool(memory.counts and memory.space == PIXELS)

    def _memory_of(self, space: str) -> ReplayMemory:
        """Return the memory, which must hold what the strategy learns from."""
        memory = self.recall()
        if not memory.counts:
            self.memory = memory = ReplayMemory(memory.budget_bytes, memory.seed, space)
        if memory.space != space:
            where = _beside(self._model, MEMORY) if self._model else "of this estimator"
            raise ForeignModelError(
                f"the replay memory {where} holds {memory.space}; with the strategy "
                f"{self.settings.strategy} and replay {self.settings.replay} it would have to "
                f"hold {space}: go on with the settings and the backbone that it was made with, "
                "or remove it to go on without the earlier rounds' samples",
                code="foreign-model",
                path=where,
                value=memory.space,
                expected=space,
            )
        return memory

    def _frozen_part(self, network: MobileNetV2, card: ModelCard) -> FrozenBackbone:
        """Return the part that is not trained; an engine that is open serves all rounds."""
        space = FrozenBackbone.space_of(
            network, self._strategy.cut, card.input_size, card.mean, card.std
        )
        if self._frozen is None or self._frozen.space != space:
            self._frozen = FrozenBackbone(
                network,
                self._strategy.cut,
                input_size=card.input_size,
                mean=card.mean,
                std=card.std,
                engine=self.settings.engine,
                precision=self.settings.precision,
                space=space,
            )
        return self._frozen

    def _known_to(self, card: ModelCard, earlier: Exemplars) -> Exemplars:
        """Return samples without those of classes that the model has no output for.

        A round leaves such samples if it is killed when it has written its memory and not yet its
        model; it will bring them again.
        """
        unknown = sorted(set(earlier.labels) - set(card.class_names))
        if not unknown:
            return earlier
        said = (
            f"the replay memory beside {self._model} holds samples of {', '.join(unknown)}; "
            f"the model's classes are {', '.join(card.class_names)}"
        )
        known = [i for i, label in enumerate(earlier.labels) if label in card.class_names]
        if not known:
            raise ForeignModelError(
                said,
                code="class-mismatch",
                path=self._model,
                value=unknown,
                expected=card.class_names,
            )
        logger.warning("%s: they are left out", said)
        return Exemplars(
            earlier.items[known],
            [earlier.labels[index] for index in known],
            [earlier.domains[index] for index in known],
        )


def _corrections(
    remembered: Mapping[str, str], digests: Sequence[str], names: Sequence[str]
) -> int:
    """Return how many remembered labels are replaced by others, and log them."""
    pairs = [
        (remembered[d], name) for d, name in zip(digests, names, strict=True) if d in remembered
    ]
    changes = Counter(pair for pair in pairs if pair[0] != pair[1])
    for (before, now), count in changes.items():
        logger.warning("%d remembered pictures were %s and are %s now", count, before, now)
    return changes.total()


def _numbers(labels: Sequence[str], card: ModelCard) -> NDArray[np.int64]:
    return np.array([card.class_names.index(label) for label in labels], np.int64)


def _accuracy(lesson: Lesson) -> float:
    """Measure the trained part on the lesson's samples, or on some of many."""
    chosen = np.linspace(0, len(lesson.items) - 1, min(len(lesson.items), MEASURED)).astype(int)
    items, labels = lesson.items[chosen], lesson.labels[chosen]
    weight, bias = head_of(lesson.network)
    if items.shape[1:] == (weight.shape[1], 1, 1):  # pooled features, not 1 x 1 activations
        logits = items[:, :, 0, 0].astype(np.float32) @ weight.T + bias
    else:
        logits, _ = lesson.answers(items)
    return float(np.mean(logits.argmax(axis=1) == labels))


def _in_batches(frozen: FrozenBackbone, pixels: NDArray[np.uint8]) -> NDArray[Any]:
    starts = range(0, len(pixels), BATCH)
    return np.concatenate([frozen.run(pixels[start : start + BATCH]) for start in starts])


def _beside(model: Path, suffix: str) -> Path:
    return model.with_name(model.name.removesuffix(".ckpt") + suffix)


def _unchanged(items: NDArray[Any]) -> NDArray[np.float32]:
    return items.astype(np.float32, copy=False)
