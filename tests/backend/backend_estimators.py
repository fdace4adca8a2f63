"""Estimators that the backend's tests hand over."""

from __future__ import annotations

import json
from pathlib import Path

import mindspore
import numpy as np
from mindspore import Tensor, nn

from sedna_tinyms.errors import ModelFileError


class PlainEstimator:
    """Without MindSpore: its model is one number in a JSON file."""

    def __init__(self):
        self.number = None
        self.calls = []

    def train(self, train_data, valid_data=None, **kwargs):
        self.calls.append(("train", kwargs))
        self.number = sum(train_data) + (self.number or 0)
        return {"loss": 0.5}

    def evaluate(self, data, **kwargs):
        self.calls.append(("evaluate", kwargs))
        return {"number": self.number}

    def predict(self, data, **kwargs):
        self.calls.append(("predict", kwargs))
        return [self.number, data]

    def save(self, model_path):
        Path(model_path).write_text(json.dumps(self.number))

    def load(self, model_url):
        assert model_url.endswith((".ckpt", ".onnx"))
        try:
            self.number = json.loads(Path(model_url).read_text())
        except ValueError as error:
            raise ModelFileError(
                f"{model_url} is damaged", code="damaged", path=model_url
            ) from error


def dense(value: float, outputs: int = 3) -> nn.Cell:
    """A network whose every weight is `value`."""
    return nn.Dense(2, outputs, weight_init=value, bias_init=value)


class DenseEstimator:
    """A careless MindSpore estimator, as people write them."""

    def __init__(self):
        self.network = dense(0.0)

    def predict(self, data):
        return self.network(Tensor(np.asarray(data, np.float32))).asnumpy()

    def evaluate(self, data):
        return {"mean": self.predict(data).mean()}

    def save(self, model_path):
        mindspore.save_checkpoint(self.network, model_path)

    def load(self, model_url):
        mindspore.load_param_into_net(self.network, mindspore.load_checkpoint(model_url))


def write_number(path: Path, number: float) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(number))
    return str(path)


def write_dense(path: Path, value: float, outputs: int = 3) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    mindspore.save_checkpoint(dense(value, outputs), str(path))
    return str(path)
