"""The face of an estimator for a bare network or a model."""

from __future__ import annotations

import math
from typing import Any

import mindspore
import numpy as np
from mindspore import Tensor, nn
from mindspore.dataset import Dataset, NumpySlicesDataset
from mindspore.train.callback import Callback
from numpy.typing import NDArray

from sedna_tinyms.errors import DatasetError
from sedna_tinyms.learning.metrics import classification_metrics
from sedna_tinyms.tinyms.callbacks import step_loss
from sedna_tinyms.tinyms.model import Model, load_weights, save_weights

__all__ = ["NetworkEstimator"]


class NetworkEstimator:
    """Trains, evaluates, stores and loads a classifier that is a `Cell` or a `Model`.

    Data is a MindSpore dataset of (input, label) batches; or a pair ``(x, y)``, or an object with
    attributes `x` and `y` as Sedna's datasources are, of arrays.

    Parameters
    ----------
    network : Cell or Model
        The network gives logits. A model that was compiled is trained with its own loss and
        optimizer; anything else with cross entropy and Momentum 0.9.
    """

    def __init__(self, network: nn.Cell | mindspore.Model) -> None:
        self.compiled: mindspore.Model | None = None
        if isinstance(network, nn.Cell):
            self.network = network
        else:
            self.network = network.predict_network
            if network.train_network is not self.network:
                self.compiled = network

    def train(
        self,
        train_data: Any,
        valid_data: Any = None,
        *,
        epochs: int = 1,
        learning_rate: float = 0.01,
        batch_size: int = 32,
    ) -> dict[str, list[float]]:
        """Train for `epochs`; return the mean loss of each, and the metrics of `valid_data`.

        `learning_rate` does not apply to a compiled model, nor `batch_size` to a dataset. A last
        batch with fewer samples is dropped, so that one shape is compiled.
        """
        model = self.compiled
        if model is None:
            model = Model(self.network)
            model.compile(
                nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean"),
                nn.Momentum(self.network.trainable_params(), learning_rate, 0.9),
            )
        losses = _EpochLosses()
        dataset = _batches(train_data, batch_size)
        model.train(epochs, dataset, callbacks=[losses], dataset_sink_mode=False)
        metrics = {"loss": losses.means}
        if valid_data is not None:
            metrics |= self.evaluate(valid_data, batch_size=batch_size)
        return metrics

    def evaluate(self, data: Any, *, batch_size: int = 32) -> dict[str, list[float]]:
        """Return accuracy, and precision, recall and F1 by class."""
        logits, labels = [], []
        if isinstance(data, Dataset):
            for inputs, batch_labels in data.create_tuple_iterator(num_epochs=1):
                logits.append(self.predict(inputs))
                labels.append(batch_labels.asnumpy())
        else:
            x, y = _arrays(data)
            logits = [self.predict(x[i : i + batch_size]) for i in range(0, len(x), batch_size)]
            labels = [y]
        if not logits:
            raise DatasetError("there is nothing to evaluate: the data is empty", code="empty")
        scores = np.concatenate(logits)
        return classification_metrics(
            np.concatenate(labels), scores.argmax(axis=1), scores.shape[1]
        )

    def predict(self, data: Any) -> NDArray[Any]:
        """Return the network's output for a batch of inputs."""
        self.network.set_train(False)
        inputs = data if isinstance(data, Tensor) else Tensor(np.asarray(data, np.float32))
        output: NDArray[Any] = self.network(inputs).asnumpy()
        return output

    def save(self, model_path: str) -> None:
        """Write the network's parameters as a checkpoint."""
        save_weights(self.network, model_path)

    def load(self, model_url: str) -> None:
        """Load a checkpoint of exactly this network."""
        load_weights(self.network, model_url)


class _EpochLosses(Callback):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.means: list[float] = []
        self._losses: list[float] = []

    def on_train_step_end(self, run_context: Any) -> None:
        self._losses.append(step_loss(run_context.original_args().net_outputs))

    def on_train_epoch_end(self, run_context: Any) -> None:  # noqa: ARG002
        self.means.append(math.fsum(self._losses) / len(self._losses))
        self._losses = []


def _batches(data: Any, batch_size: int) -> Dataset:
    if isinstance(data, Dataset):
        return data
    x, y = _arrays(data)
    if not len(x):
        raise DatasetError("there is nothing to train on: the data is empty", code="empty")
    slices = NumpySlicesDataset({"data": x, "label": y}, shuffle=True)
    return slices.batch(min(batch_size, len(x)), drop_remainder=True)


def _arrays(data: Any) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    x, y = (data.x, data.y) if hasattr(data, "x") else data
    try:
        inputs, labels = np.asarray(x, np.float32), np.asarray(y).astype(np.int32)
    except (TypeError, ValueError) as error:
        raise DatasetError(
            f"a bare network takes arrays of numbers, with class numbers as labels: {error}",
            code="wrong-type",
        ) from error
    if len(inputs) != len(labels):
        raise DatasetError(
            f"there are {len(inputs)} inputs but {len(labels)} labels",
            code="wrong-length",
            inputs=len(inputs),
            labels=len(labels),
        )
    return inputs, labels
