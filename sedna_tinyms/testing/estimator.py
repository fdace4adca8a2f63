"""The smallest estimator that a Sedna job can use: its model is one number in a JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["OneNumber"]


class OneNumber:
    """An estimator without a framework, which writes down how it was called.

    Its accuracy is the number, and so is the probability of the first of two classes. It reads a
    model when `load` is called, and not in `evaluate`, unless `reads_model_path` is set.
    """

    reads_model_path = False

    def __init__(self, value: float = 0.0) -> None:
        self.value = value
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def train(
        self, train_data: Any, valid_data: Any = None, value: float = 0.5, **kwargs: Any
    ) -> Mapping[str, Any]:
        """Take `value` for the model."""
        self.calls.append(("train", {"data": train_data, "valid": valid_data, **kwargs}))
        self.value = value
        return {"loss": [1.0 - value]}

    def evaluate(self, data: Any, model_path: str = "", **kwargs: Any) -> Mapping[str, Any]:
        """Give the number for the accuracy."""
        self.calls.append(("evaluate", {"data": data, "model_path": model_path, **kwargs}))
        if self.reads_model_path:
            self.load(model_path)
        return {"accuracy": [self.value]}

    def predict(self, data: Any, **kwargs: Any) -> list[float]:
        """Give the probabilities of two classes."""
        self.calls.append(("predict", {"data": data, **kwargs}))
        return [self.value, 1.0 - self.value]

    def save(self, model_path: str) -> None:
        """Write the model."""
        self.calls.append(("save", {"model_path": model_path}))
        Path(model_path).write_text(json.dumps(self.value), encoding="utf-8")

    def load(self, model_url: str) -> None:
        """Read a model."""
        self.calls.append(("load", {"model_url": model_url}))
        self.value = float(json.loads(Path(model_url).read_text(encoding="utf-8")))
