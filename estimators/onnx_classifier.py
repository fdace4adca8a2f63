"""The ONNX files that the MobileNetV2 estimators write, put to use without MindSpore."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimators.evaluation import Answering, evaluate
from estimators.model_card import ModelCard
from estimators.prediction import Prediction, version_of
from estimators.samples import as_pictures
from sedna_tinyms.artifact.weights_content import read_content, require_finite
from sedna_tinyms.engine import Choice, Engine, open_engine
from sedna_tinyms.engine.heap import release_freed_memory
from sedna_tinyms.errors import ForeignModelError, ModelFileError
from sedna_tinyms.pictures import Picture, load_pixels, pixel_batches

__all__ = ["OnnxClassifier"]

BATCH_SIZE = 32


class OnnxClassifier:
    """Classifies pictures with an ONNX file of `TinyMSMobileNetV2` or `MindSporeMobileNetV2`.

    It predicts and evaluates; what it says of a picture is what the estimator that wrote the file
    says. Several threads may use it at once, also while a model is loaded.

    Parameters
    ----------
    class_names : sequence of str, optional
        The classes that a model must have; those of the model loaded by default.
    engine : {"auto", "onnxruntime", "openvino"} or Choice
        What computes; see `sedna_tinyms.engine.open_engine`.
    threads : int, optional
        Cores for one prediction; all that this process may use by default.
    """

    def __init__(
        self,
        class_names: Sequence[str] | None = None,
        engine: str | Choice = "auto",
        threads: int | None = None,
    ) -> None:
        self.class_names = None if class_names is None else tuple(class_names)
        self.engine = engine
        self.threads = threads
        self._model: _Model | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> OnnxClassifier:
        return copy.copy(self)  # the model in use is never changed, so it may be shared

    @property
    def card(self) -> ModelCard | None:
        """What the model in use is for; None before one was loaded."""
        return None if self._model is None else self._model.card

    @property
    def version(self) -> str | None:
        """The first 12 digits of the SHA-256 of the model file in use; None before one was loaded.

        Each prediction has that of the model that gave it, whichever is in use by then.
        """
        return None if self._model is None else self._model.version

    @property
    def engines(self) -> dict[str, str]:
        """What computes the predictions, and why; empty before a model was loaded."""
        return {} if self._model is None else {"predictions": str(self._model.engine.choice)}

    def load(self, model_url: str | os.PathLike[str]) -> None:
        """Open a model, let it compute once, and use it from then on.

        Raises
        ------
        ModelFileError
            If the file is missing or broken.
        ForeignModelError
            If it is no such classifier, or one for other classes.
        MissingExtraError
            If no engine is installed.
        """
        self._model = _Model.open(
            Path(model_url), self.engine, self.threads, {"class_names": self.class_names}
        )

    def predict(self, data: Any) -> Prediction | list[Prediction]:
        """Classify one picture, or several.

        Parameters
        ----------
        data : picture, or list, tuple or 4-D array of pictures
            A picture is a path, a PIL image or an array (H, W[, C]) with values from 0 to 255.

        Returns
        -------
        Prediction or list of Prediction
            A list of flat probabilities with `class_name`, `score` and `version`.

        Raises
        ------
        ModelFileError
            If no model was loaded.
        DatasetError
            If a picture cannot be read.
        """
        model = self._loaded()
        pictures, several = as_pictures(data)
        if not pictures:
            return []
        outputs = model.outputs(pictures)
        logits = outputs["logits"]
        embeddings = outputs.get("features", [None] * len(logits))
        predictions = [
            Prediction(row, model.card.class_names, embedding, model.version)
            for row, embedding in zip(logits, embeddings, strict=True)
        ]
        return predictions if several else predictions[0]

    def evaluate(self, data: Any) -> dict[str, list[float]]:
        """Return accuracy, and precision, recall and F1 by class and as means.

        Parameters
        ----------
        data : object
            Labelled pictures: a Sedna datasource, an image folder's path, or a list of (picture,
            label).

        Returns
        -------
        dict
            As `estimators.evaluation.evaluate`: `accuracy` and the like, and for each sample
            `correct` and `contradiction`.
        """
        model = self._loaded()
        return evaluate(data, model.answering(), model.card, self.class_names)

    def _loaded(self) -> _Model:
        if self._model is None:
            raise ModelFileError("OnnxClassifier has no model yet: load one", code="missing-value")
        return self._model


@dataclass(frozen=True)
class _Model:
    """An open model and what it says about itself."""

    engine: Engine
    card: ModelCard
    version: str

    @classmethod
    def open(
        cls, path: Path, engine: str | Choice, threads: int | None, wanted: dict[str, Any]
    ) -> _Model:
        opened = open_engine(path, engine, threads=threads)
        card = ModelCard.from_metadata(opened.metadata, str(path))
        if card is None:
            raise ForeignModelError(
                f"the model file {path} names no classes: it was not written by an estimator of "
                "this package",
                code="foreign-model",
                path=str(path),
            )
        card.require(wanted, path)
        side, classes = card.input_size, len(card.class_names)
        logits = opened.output_shapes.get("logits")
        if opened.input_shape != (3, side, side) or logits != (classes,):
            raise ForeignModelError(
                f"the model file {path} says that it takes pictures of {side} x {side} pixels and "
                f"knows {classes} classes; its network takes {opened.input_shape} and gives "
                f"{dict(opened.output_shapes)}: copy or export it again",
                code="foreign-model",
                path=str(path),
            )
        opened.run(np.zeros((1, *opened.input_shape), opened.input_dtype))  # the first is slow
        version = _checked_version(path)
        release_freed_memory()
        return cls(opened, card, version)

    def answering(self) -> Answering:
        """Return what gives the logits of pixels, and what these depend on."""
        choice = self.engine.choice
        kind = f"{choice.engine}-{choice.precision}"
        return Answering(
            f"answers-{self.version}-{kind}", lambda pixels: self._run(pixels)["logits"]
        )

    def outputs(self, pictures: Sequence[Picture]) -> dict[str, NDArray[np.float32]]:
        """Return each output for all pictures; the next are decoded while some are computed."""
        side = self.card.input_size
        if len(pictures) <= BATCH_SIZE:
            return self._run(load_pixels(pictures, side))
        parts = [self._run(batch) for batch in pixel_batches(pictures, side, BATCH_SIZE)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _run(self, pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        takes_pixels = self.engine.input_dtype == np.uint8
        return self.engine.run(pixels if takes_pixels else self.card.normalize(pixels))


def _checked_version(path: Path) -> str:
    """Return which model a file is, after a look for what no engine minds.

    They compute with NaN as with any number, and a Relu hides it from the outputs.
    """
    content = path.read_bytes()
    name = path.name if path.suffix == ".onnx" else f"{path.name} as .onnx"
    require_finite(read_content(content, name).arrays, f"the model file {path}")
    return version_of(content)
