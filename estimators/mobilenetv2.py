"""What both MobileNetV2 estimators share: all but the training loop."""

from __future__ import annotations

import logging
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import nn
from numpy.typing import NDArray

from estimators.batches import Batches
from estimators.layers import CUTS, FrozenPart, TrainedPart, forward
from estimators.model_card import ModelCard
from estimators.prediction import Prediction
from estimators.samples import load_pixels, read_samples
from estimators.settings import Settings
from sedna_tinyms.errors import ConfigurationError, ForeignModelError, ModelFileError
from sedna_tinyms.learning.memory import ReplayMemory
from sedna_tinyms.learning.metrics import classification_metrics
from sedna_tinyms.tinyms.context import prefer_graph_mode
from sedna_tinyms.tinyms.model import (
    MobileNetV2,
    export_onnx,
    load_weights,
    read_weights,
    save_weights,
)
from sedna_tinyms.tinyms.utils.train import mobilenetv2_lr

__all__ = ["MobileNetV2Estimator"]

logger = logging.getLogger(__name__)

SETTLED_STEPS = 60
LEAST_SETTLING_STEPS = 10
"""Moving statistics keep 0.9 of themselves a step: after 60 steps the first values are 0.2 %."""


class MobileNetV2Estimator(ABC):
    """Classifies pictures with MobileNetV2, and learns round after round without forgetting.

    Data to train on or evaluate is a Sedna datasource whose `x` are pictures and `y` labels, the
    path of an image folder, or a list of (picture, label). A picture is a path, a PIL image or an
    array (H, W[, C]) with values from 0 to 255; a label, a class name or number.

    Parameters
    ----------
    class_names : sequence of str, optional
        The classes; by default those of the model loaded or, without one, of the first data.
    input_size : int, optional
        Pixels in height and width that pictures are brought to; the model's, or 224, by default.
    width : float, optional
        Factor on the network's channels; the model's, or 1.0, by default.
    initial_weights : path, optional
        Where to start from if no model is loaded: one of this estimator's, or pretrained weights
        (see `load_weights`).
    epochs, learning_rate, batch_size
        Length of a training; its highest learning rate; samples in a batch.
    train_layers : {"head", "last_blocks", "all"}
        The classifier; it and the backbone from block 14 on; or everything. The activations in
        front of what is trained are computed once, which makes an epoch 10 to 1000 times cheaper.
    replay_bytes : int
        Budget of the replay memory (``3 * input_size ** 2`` bytes a picture); 0 for none.
    seed : int
        The same seed, data and machine give the same weights.
    label_smoothing, weight_decay : float
        Regularization.
    flip : bool
        Train on mirrored pictures too.
    pad_mode, mean, std
        As the initial weights need it: padding, and the normalization of pixels from 0 to 255.
        The model's, or "pad" and ImageNet's, by default.
    export_onnx : bool
        Write ``<model>.onnx`` beside a saved model; it gives logits for normalized input.

    Attributes
    ----------
    network : MobileNetV2 or None
        None until there are weights.
    card : ModelCard or None
        What the network is for.

    Raises
    ------
    ConfigurationError
        If a parameter is out of its range.
    """

    def __init__(
        self,
        class_names: Sequence[str] | None = None,
        input_size: int | None = None,
        width: float | None = None,
        initial_weights: str | os.PathLike[str] | None = None,
        epochs: int = 10,
        learning_rate: float = 0.01,
        batch_size: int = 32,
        train_layers: str = "last_blocks",
        replay_bytes: int = 50_000_000,
        seed: int = 0,
        **further: Any,
    ) -> None:
        self.settings = Settings(
            class_names,
            input_size,
            width,
            os.fspath(initial_weights) if initial_weights else None,
            epochs,
            learning_rate,
            batch_size,
            train_layers,
            replay_bytes,
            seed,
            **further,
        )
        self.network: MobileNetV2 | None = None
        self.card: ModelCard | None = None
        self.memory: ReplayMemory | None = None
        self._memory_file: Path | None = None
        prefer_graph_mode()

    # --- Sedna's face -------------------------------------------------------------------------

    def train(
        self, train_data: Any, valid_data: Any = None, *, domain: str | None = None
    ) -> dict[str, list[float]]:
        """Learn new samples together with remembered ones, then remember some of the new.

        Parameters
        ----------
        train_data : object
            Labelled pictures.
        valid_data : object, optional
            Labelled pictures to measure the result with; its metrics get the prefix ``valid_``.
        domain : str, optional
            What the new samples have in common; ``round-<n>`` by default.

        Returns
        -------
        dict
            `loss` (of each epoch), `accuracy` (of the samples trained on, at the end), `samples`,
            `replayed`, `seconds`.

        Raises
        ------
        DatasetError
            If a picture cannot be read, or a label is missing or unknown.
        """
        start = time.perf_counter()
        known = self.card.class_names if self.card else self.settings.class_names
        if self.network is None and self.settings.initial_weights and known:
            self._begin(known)
        samples = read_samples(train_data, known)
        if self.network is None:
            self._begin(samples.class_names)
        card, network, memory = self._card, self._network, self._recall()
        pixels = load_pixels(samples.pictures, card.input_size)
        replayed = memory.exemplars()
        domain = domain or f"round-{len(memory.domains) + 1}"
        labels = self._numbers(replayed.labels)

        everything = np.concatenate([replayed.items, pixels]) if replayed.labels else pixels
        losses, accuracy = self._learn(
            network,
            everything,
            np.concatenate([labels, samples.labels]),
            [*replayed.domains, *[domain] * len(pixels)],
        )
        memory.update(pixels, [card.class_names[label] for label in samples.labels], domain)
        metrics = {
            "loss": losses,
            "accuracy": [accuracy],
            "samples": [float(len(pixels))],
            "replayed": [float(len(replayed.labels))],
            "seconds": [time.perf_counter() - start],
        }
        if valid_data is not None:
            measured = self.evaluate(valid_data)
            metrics |= {f"valid_{name}": values for name, values in measured.items()}
        return metrics

    def evaluate(self, data: Any) -> dict[str, list[float]]:
        """Return accuracy, and precision, recall and F1 by class and as means.

        See `sedna_tinyms.learning.metrics.classification_metrics`.
        """
        network, card = self._network, self._card
        samples = read_samples(data, card.class_names)
        pixels = load_pixels(samples.pictures, card.input_size)
        logits = forward(network, pixels, self.settings.batch_size, card.normalize)
        return classification_metrics(samples.labels, logits.argmax(1), len(card.class_names))

    def predict(self, data: Any) -> Prediction | list[Prediction]:
        """Classify one picture, or several.

        Parameters
        ----------
        data : picture, or list, tuple or 4-D array of pictures
            See the class.

        Returns
        -------
        Prediction or list of Prediction
            A list of flat probabilities with `class_name` and `score`.
        """
        network, card = self._network, self._card
        several = isinstance(data, list | tuple) or (
            isinstance(data, np.ndarray) and data.ndim == 4
        )
        pictures = list(data) if several else [data]
        if not pictures:
            return []
        pixels = load_pixels(pictures, card.input_size)
        logits = forward(network, pixels, self.settings.batch_size, card.normalize)
        predictions = [Prediction(row, card.class_names) for row in logits]
        return predictions if several else predictions[0]

    def save(self, model_path: str | os.PathLike[str]) -> None:
        """Write the model, and its replay memory beside it as ``<stem>.memory.npz``.

        The model file says by itself for which classes, width and input it is.
        """
        if self.network is None:
            self._begin(self.settings.class_names)
        network, card, memory = self._network, self._card, self._recall()
        path = Path(model_path)
        if len(memory):
            memory.save(_memory_file(path))
        if self.settings.export_onnx:
            shape = (3, card.input_size, card.input_size)
            export_onnx(network, shape, path.with_suffix(".onnx"), card.metadata())
        save_weights(network, path, card.metadata())

    def load(self, model_url: str | os.PathLike[str]) -> None:
        """Load a model to use as it is.

        Raises
        ------
        ModelFileError
            If the file is missing or broken.
        ForeignModelError
            If it is for another network or other classes.
        """
        path = Path(model_url)
        weights = read_weights(path)
        card = ModelCard.from_file(self.settings, weights, path)
        network = card.build(self.settings.seed)
        load_weights(network, path)
        self.card, self.network, self.memory = card, network, None
        self._memory_file = _memory_file(path)

    def load_weights(self, path: str | os.PathLike[str]) -> None:
        """Load what a training is to begin from.

        One of this estimator's models, with its replay memory; or pretrained weights from
        elsewhere (``.ckpt``, ``.npz``, ``.safetensors``), whose head is left out unless it has as
        many classes.

        Raises
        ------
        ModelFileError
            If the file, or the replay memory beside it, is broken.
        ForeignModelError
            If it is for another network or, where it names its classes, for others.
        """
        path = Path(path)
        weights = read_weights(path)
        if "class_names" in weights.metadata:
            self.load(path)
            self._recall()
            return
        names = self.settings.class_names or (self.card.class_names if self.card else None)
        if names is None:
            raise ConfigurationError(
                f"{path} names no classes, so class_names must be given to begin from it"
            )
        card = ModelCard.from_settings(self.settings, names)
        network = card.build(self.settings.seed)
        heads = [a for n, a in weights.arrays.items() if n.startswith(("head.", "classifier."))]
        fits = any(array.shape[:1] == (len(card.class_names),) for array in heads)
        report = load_weights(network, path, skip_head=not fits)
        logger.info("%s", report)
        self.card, self.network, self.memory = card, network, None
        self._memory_file = None

    # --- learning -----------------------------------------------------------------------------

    def _learn(
        self,
        network: MobileNetV2,
        pixels: NDArray[np.uint8],
        labels: NDArray[np.int64],
        domains: Sequence[str],
    ) -> tuple[list[float], float]:
        """Train on uint8 pictures; return the loss of each epoch and the final accuracy."""
        settings, card = self.settings, self._card
        cut = CUTS[settings.train_layers]
        variants: list[NDArray[Any]] = [pixels, pixels[..., ::-1]] if settings.flip else [pixels]
        prepare: Callable[[NDArray[np.generic]], NDArray[np.float32]] = card.normalize
        if cut:
            frozen = FrozenPart(network, cut)
            variants = [forward(frozen, v, settings.batch_size, card.normalize) for v in variants]
            prepare = _unchanged
        trained = TrainedPart(network, cut)
        steps = settings.epochs * -(-len(labels) // settings.batch_size)
        settling = 0
        if settings.train_layers != "head":
            settling = max(LEAST_SETTLING_STEPS, SETTLED_STEPS - steps)
        batches = Batches(
            variants,
            labels,
            domains,
            batch_size=settings.batch_size,
            steps=steps + settling,
            seed=settings.seed,
            prepare=prepare,
        )
        peak = settings.learning_rate
        rates = mobilenetv2_lr(0, peak / 10, 0.0, peak, 0.1, 1, steps).asnumpy()
        # Without a learning rate, only the moving statistics go on: they settle on the new weights.
        rates = np.concatenate([rates, np.zeros(settling, np.float32)])
        trained.set_train(True)
        losses = self._fit(trained, batches, rates)
        trained.set_train(False)
        per_epoch = np.array_split(np.array(losses[:steps], np.float64), settings.epochs)
        logits = forward(trained, variants[0], settings.batch_size, prepare)
        accuracy = float(np.mean(logits.argmax(1) == labels))
        return [float(epoch.mean()) for epoch in per_epoch], accuracy

    @abstractmethod
    def _fit(self, trained: nn.Cell, batches: Batches, rates: NDArray[np.float32]) -> list[float]:
        """Take one step a batch at the learning rate of that step; return the loss of each.

        `trained` is in training mode, maps inputs to logits, and its parameters are the network's.
        """

    # --- what the network is for --------------------------------------------------------------

    @property
    def _network(self) -> MobileNetV2:
        if self.network is None:
            raise ModelFileError(
                f"{type(self).__name__} has no weights yet: load a model, or train one"
            )
        return self.network

    @property
    def _card(self) -> ModelCard:
        if self.card is None:
            raise ModelFileError(f"{type(self).__name__} has no model yet: load one, or train one")
        return self.card

    def _begin(self, class_names: Sequence[str] | None) -> None:
        """Start from the initial weights, or from random ones."""
        if self.settings.initial_weights:
            self.load_weights(self.settings.initial_weights)
            return
        if class_names is None:
            raise ConfigurationError("there is no model yet, and class_names are not given")
        card = ModelCard.from_settings(self.settings, class_names)
        self.card, self.network = card, card.build(self.settings.seed)

    # --- replay -------------------------------------------------------------------------------

    def _recall(self) -> ReplayMemory:
        """Return the memory that belongs to the model, within this estimator's budget."""
        if self.memory is None:
            budget, seed = self.settings.replay_bytes, self.settings.seed
            if self._memory_file is not None and self._memory_file.is_file():
                self.memory = ReplayMemory.load(self._memory_file, budget, seed)
            else:
                self.memory = ReplayMemory(budget, seed)
        return self.memory

    def _numbers(self, labels: Sequence[str]) -> NDArray[np.int64]:
        names = self._card.class_names
        unknown = sorted(set(labels) - set(names))
        if unknown:
            raise ForeignModelError(
                f"the replay memory {self._memory_file} holds samples of {', '.join(unknown)}; "
                f"the model's classes are {', '.join(names)}"
            )
        return np.array([names.index(label) for label in labels], np.int64)


def _memory_file(model: Path) -> Path:
    return model.with_name(f"{model.name.removesuffix('.ckpt')}.memory.npz")


def _unchanged(inputs: NDArray[np.generic]) -> NDArray[np.float32]:
    return inputs.astype(np.float32, copy=False)
