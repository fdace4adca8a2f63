"""The base class of the two MobileNetV2 estimators: everything but the training step."""

from __future__ import annotations

import logging
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mindspore import nn

from estimators.answers import Answers, mark_of
from estimators.classroom import Classroom
from estimators.evaluation import evaluate
from estimators.model_card import ModelCard
from estimators.onnx_export import OnnxExport, can_export
from estimators.prediction import Prediction, version_of
from estimators.samples import as_pictures, last_of_each, read_samples
from estimators.settings import Settings
from sedna_tinyms.artifact.files import remove_file, write_file
from sedna_tinyms.errors import ConfigurationError, ModelFileError
from sedna_tinyms.learning.batches import Batches
from sedna_tinyms.learning.layers import copy_weights
from sedna_tinyms.learning.memory import ReplayMemory
from sedna_tinyms.tinyms.context import prefer_graph_mode
from sedna_tinyms.tinyms.model import MobileNetV2, load_weights, read_weights, save_weights

__all__ = ["MobileNetV2Estimator"]

logger = logging.getLogger(__name__)


class MobileNetV2Estimator(ABC):
    """Classifies pictures with MobileNetV2, and learns round after round without forgetting.

    Data to train on or evaluate is a Sedna datasource whose `x` are pictures and `y` labels, the
    path of an image folder, or a list of (picture, label). A picture is a path, a PIL image or an
    array (H, W[, C]) with values from 0 to 255; a label, a class name or number.

    Parameters
    ----------
    class_names : sequence of str, optional
        The classes. If they are not given, they are those of the model loaded and of the data: a
        class that occurs for the first time gets an output of its own. If they are given, no other
        is learned; they may have more at the end than the model.
    input_size : int, optional
        Pixels in height and width that pictures are brought to; the model's, or 224, by default.
    width : float, optional
        Factor on the network's channels; the model's, or 1.0, by default.
    initial_weights : path, optional
        Where to start from if no model is loaded: one of this estimator's, or pretrained weights
        (see `load_weights`).
    epochs, learning_rate, batch_size
        Length of a training, which ``latent`` and ``lwf`` end after 100 steps at the latest; its
        highest learning rate, by default the strategy's; samples in a batch. The strategy ``head``
        needs none of them.
    strategy : {"head", "latent", "full", "lwf", "ewc"}
        How to learn: the classifier alone; it and the last blocks; everything; or the last blocks
        without any sample stored, by distillation or by elastic weight consolidation. See
        `sedna_tinyms.learning.strategies`.
    replay_bytes : int
        Budget of the replay memory; 0 for none.
    seed : int
        The same seed, data and machine give the same weights.
    replay : {"auto", "activations", "pixels"}
        What is remembered of a sample: what the frozen part of the network makes of it, so that no
        picture is stored, or ``3 * input_size ** 2`` bytes of pixels, which another strategy could
        go on with. ``auto`` is what the model's memory holds already; in a new one, activations,
        except for ``full``.
    label_smoothing : float
        How much of a label is shared between all classes. Not for ``head``.
    weight_decay : float
        For ``full``; ``head`` has a penalty of its own, and the others train too briefly.
    flip : bool
        Train on mirrored samples too. Not for ``head``.
    engine : {"auto", "onnxruntime", "openvino", "mindspore"}
        What computes wherever nothing is trained; the fastest installed by default.
    precision : {"f32", "bf16", "auto"}
        Of the frozen part, see `sedna_tinyms.engine.open_engine`.
    cache_bytes : int
        Budget on disk for activations of pictures seen before; 0 for no cache.
    pad_mode, mean, std
        As the initial weights need it: padding, and the normalization of pixels from 0 to 255.
        The model's, or "pad" and ImageNet's, by default.
    export_onnx : bool, optional
        Write ``<model>.onnx`` beside a saved model: from uint8 pixels to logits and features. By
        default, if `onnx` and an engine are installed.
    quantize : {"int8"}, optional
        Make the ONNX file compute in int8: static quantisation, calibrated on pictures of the round
        and, where pixels are remembered, of earlier ones. The training says what it costs.

    Attributes
    ----------
    network : MobileNetV2 or None
        None until there are weights.
    card : ModelCard or None
        What the network is for.
    memory : ReplayMemory or None
        What is remembered; None before a training.

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
        learning_rate: float | None = None,
        batch_size: int = 32,
        strategy: str = "latent",
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
            strategy,
            replay_bytes,
            seed,
            **further,
        )
        self.network: MobileNetV2 | None = None
        self.card: ModelCard | None = None
        self._classroom = Classroom(self.settings)
        self._answers: Answers | None = None
        self._export = OnnxExport(self.settings.quantize)
        self._loaded: tuple[str, str] | None = None
        prefer_graph_mode()

    @property
    def memory(self) -> ReplayMemory | None:
        """What is remembered of the samples learned; None before a training."""
        return self._classroom.memory

    @property
    def engines(self) -> dict[str, str]:
        """What has computed the frozen part of a training, and predictions; and why it."""
        frozen, answers = self._classroom.frozen, self._answers
        found = {"frozen part": str(frozen.choice)} if frozen is not None else {}
        return found | ({"predictions": answers.runs_on} if answers is not None else {})

    @property
    def version(self) -> str | None:
        """The first 12 digits of the SHA-256 of the model file in use.

        None if there is no network, or it was changed after it was loaded.
        """
        return None if self.network is None else self._version_of(mark_of(self.network, self._card))

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
            `loss` (of each epoch or iteration); `accuracy` (of the samples trained on, at the end);
            `samples` (new ones); `replayed` (remembered ones, of which `head` and `latent` draw no
            more than a bound); `corrected` (remembered pictures that have another label now);
            `computed` (pictures that went through the frozen part, the others' activations were
            cached); `seconds`, of which `seconds_forward` (decoding and
            frozen part) and `seconds_training`. With `quantize` also `accuracy_float32` and
            `accuracy_int8` on pictures of the round, `agreement_int8` (the share of them for which
            both name the same class) and `seconds_quantizing`.

        Raises
        ------
        DatasetError
            If a picture cannot be read, or a label is missing or unknown.
        """
        start = time.perf_counter()
        if self.network is None and self.settings.initial_weights:
            self._begin(self.settings.class_names)
        known = self.settings.class_names or (self.card.class_names if self.card else None)
        samples = read_samples(train_data, known, grow=self.settings.class_names is None)
        if self.network is None:
            self._begin(samples.class_names)
        remembered = partial(self._classroom.remembered_pixels, self._card)
        samples, digests = last_of_each(samples)
        self._export.look_at(samples, self._card.input_size, remembered)
        items = self._classroom.look_at(samples.pictures, self._network, self._card, digests)
        self._grow(samples.class_names)
        looked = time.perf_counter()
        metrics = self._classroom.teach(
            self._network, self._card, items, samples.labels, digests, domain, self._fit
        )
        taught = time.perf_counter()
        self.card = self._card.having_learned(samples.labels.tolist())
        self._answers = None
        metrics |= self._export.costs(self._network, self._card)
        metrics |= {
            "seconds_forward": [looked - start],
            "seconds_training": [taught - looked],
            "seconds": [time.perf_counter() - start],
        }
        if valid_data is not None:
            measured = self.evaluate(valid_data)
            metrics |= {f"valid_{name}": values for name, values in measured.items()}
        return metrics

    def evaluate(self, data: Any) -> dict[str, list[float]]:
        """Return accuracy, and precision, recall and F1 by class and as means.

        A picture of a class that the model does not know yet is a mistake of the model.

        Returns
        -------
        dict
            As `estimators.evaluation.evaluate`: `accuracy` and the like, and for each sample
            `correct` and `contradiction`.
        """
        answering = self._current_answers().answering()
        settings = self.settings
        return evaluate(data, answering, self._card, settings.class_names, settings.cache_bytes)

    def predict(self, data: Any) -> Prediction | list[Prediction]:
        """Classify one picture, or several.

        Parameters
        ----------
        data : picture, or list, tuple or 4-D array of pictures
            See the class.

        Returns
        -------
        Prediction or list of Prediction
            A list of flat probabilities with `class_name` and `score`, and what they come from:
            `logits` and `embedding`.
        """
        answers = self._current_answers()
        pictures, several = as_pictures(data)
        if not pictures:
            return []
        logits, features = answers.to(pictures)
        names, version = self._card.class_names, self._version_of(answers.mark)
        predictions = [
            Prediction(row, names, embedding, version)
            for row, embedding in zip(logits, features, strict=True)
        ]
        return predictions if several else predictions[0]

    def save(self, model_path: str | os.PathLike[str]) -> None:
        """Write the model; beside it what it remembers, and the same model as ONNX.

        The model file says by itself for which classes, width and input it is. The replay memory
        is ``<stem>.memory.npz``, the ONNX file ``<stem>.onnx``; an older model's does not stay
        where none is written.

        Raises
        ------
        ModelFileError
            If the ONNX file gives something else than MindSpore.
        ConfigurationError
            If it is to be quantized, and nothing was trained.
        StorageError
            If a file cannot be written.
        """
        if self.network is None:
            self._begin(self.settings.class_names)
        network, card = self._network, self._card
        path = Path(model_path)
        exports = can_export() if self.settings.export_onnx is None else self.settings.export_onnx
        onnx = self._export.content(network, card) if exports else None
        self._classroom.save(path)
        beside = path.with_suffix(".onnx")
        if onnx is None:
            remove_file(beside)
        else:
            with write_file(beside) as temporary:
                temporary.write_bytes(onnx)
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
        self._use(network, card)
        self._loaded = mark_of(network, card), version_of(path.read_bytes())
        self._classroom.follow(path, card)

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
            self._classroom.recall()
            self._export.go_on_from(path.with_suffix(".onnx"))
            return
        names = self.settings.class_names or (self.card.class_names if self.card else None)
        if names is None:
            raise ConfigurationError(
                f"{path} names no classes, so class_names must be given to begin from it",
                code="missing-value",
                name="class_names",
                path=str(path),
            )
        self._begin_from(path, names)

    @abstractmethod
    def _fit(
        self, trained: nn.Cell, loss: nn.Cell, optimizer: nn.Optimizer, batches: Batches
    ) -> list[float]:
        """Take one step a batch; return the loss of each.

        `trained` is in training mode, maps inputs to logits, and its parameters are the network's;
        `loss` maps logits and targets to a number; `optimizer` has a learning rate for each step.
        """

    # --- the network and what it is for -------------------------------------------------------

    @property
    def _network(self) -> MobileNetV2:
        if self.network is None:
            raise ModelFileError(
                f"{type(self).__name__} has no weights yet: load a model, or train one",
                code="missing-value",
            )
        return self.network

    @property
    def _card(self) -> ModelCard:
        if self.card is None:
            raise ModelFileError(
                f"{type(self).__name__} has no model yet: load one, or train one",
                code="missing-value",
            )
        return self.card

    def _use(self, network: MobileNetV2, card: ModelCard) -> None:
        self.network, self.card = network, card
        self._answers = None

    def _begin(self, class_names: Sequence[str] | None) -> None:
        """Start from the initial weights, or from random ones."""
        if self.settings.initial_weights:
            path = Path(self.settings.initial_weights)
            if class_names is None or "class_names" in read_weights(path).metadata:
                self.load_weights(path)
            else:
                self._begin_from(path, class_names)
            return
        if class_names is None:
            raise ConfigurationError(
                "there is no model yet, and class_names are not given",
                code="missing-value",
                name="class_names",
            )
        card = ModelCard.from_settings(self.settings, class_names).untrained()
        self._use(card.build(self.settings.seed), card)
        self._classroom.begin()

    def _begin_from(self, path: Path, class_names: Sequence[str]) -> None:
        """Start from weights that do not say what they are for."""
        card = ModelCard.from_settings(self.settings, class_names)
        network, has_head = card.build_from(path, self.settings.seed)
        self._use(network, card if has_head else card.untrained())
        self._classroom.begin()

    def _grow(self, class_names: Sequence[str]) -> None:
        """Give the network an output for each class; those that it has stay bit by bit."""
        known = len(self._card.class_names)
        if len(class_names) == known:
            return
        logger.warning("the model learns new classes: %s", ", ".join(class_names[known:]))
        card = self._card.with_classes(class_names)
        network = card.build(self.settings.seed)
        copy_weights(self._network, network)
        self.network, self.card = network, card

    def _version_of(self, mark: str) -> str | None:
        return self._loaded[1] if self._loaded is not None and self._loaded[0] == mark else None

    def _current_answers(self) -> Answers:
        network, card = self._network, self._card
        if self._answers is None or self._answers.mark != mark_of(network, card):
            self._answers = Answers(network, card, self.settings.engine)
        return self._answers
