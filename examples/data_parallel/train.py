"""Train a classifier of noisy shapes, on one process or on several that share each batch.

    python examples/data_parallel/train.py
    msrun --worker_num=2 --local_worker_num=2 --join=True --log_dir=logs \
        examples/data_parallel/train.py

Both end with the same weights, but for the rounding of sums. `msrun` is MindSpore's launcher: it
runs this file once for each worker, and once more for the scheduler that brings them together.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.tinyms.callbacks import Callback, EarlyStopping, ProgressMonitor
from sedna_tinyms.tinyms.common import set_seed
from sedna_tinyms.tinyms.context import init_data_parallel, prefer_graph_mode
from sedna_tinyms.tinyms.data import NumpySlicesDataset
from sedna_tinyms.tinyms.layers import Dense, Flatten, ReLU, SequentialLayer
from sedna_tinyms.tinyms.losses import SoftmaxCrossEntropyWithLogits
from sedna_tinyms.tinyms.model import Model
from sedna_tinyms.tinyms.optimizers import Momentum

Pictures = NDArray[np.float32]
Labels = NDArray[np.int32]

CLASSES, SIZE = 10, 12


def draw_shapes(count: int) -> tuple[Pictures, Labels]:
    """Return noisy pictures (count, 1, 12, 12) of ten random shapes, and which shape each is."""
    draw = np.random.default_rng(0)
    shapes = draw.random((CLASSES, 1, SIZE, SIZE)) < 0.5
    labels = draw.integers(0, CLASSES, count).astype(np.int32)
    pictures = shapes[labels] + draw.normal(0, 1.5, (count, 1, SIZE, SIZE))
    return pictures.astype(np.float32), labels


def main() -> None:
    """Train as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", type=int, default=64, help="pictures in a step, of all workers")
    parser.add_argument("--epochs", type=int, default=10, help="at most")
    parser.add_argument("--save", type=Path, help="write the weights to this .ckpt file")
    arguments = parser.parse_args()

    rank, processes = init_data_parallel()
    if arguments.batch % processes:
        parser.error(f"--batch {arguments.batch} cannot be shared evenly by {processes} processes")
    prefer_graph_mode()
    set_seed(1)

    # Each worker reads every n-th picture, so that their n small batches are one large one.
    pictures = NumpySlicesDataset(
        draw_shapes(1024), shuffle=False, num_shards=processes, shard_id=rank
    ).batch(arguments.batch // processes, drop_remainder=True)

    network = SequentialLayer([Flatten(), Dense(SIZE * SIZE, 64), ReLU(), Dense(64, CLASSES)])
    model = Model(network)
    model.compile(
        SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean"),
        Momentum(network.trainable_params(), 0.05, 0.9),
    )
    # All workers must stop together; one speaks and writes for all, whose weights are the same.
    callbacks: list[Callback] = [EarlyStopping("loss", min_delta=0.02)]
    if rank == 0:
        callbacks.append(ProgressMonitor())
    model.train(arguments.epochs, pictures, callbacks)
    if arguments.save and rank == 0:
        model.save_checkpoint(arguments.save)


if __name__ == "__main__":
    main()
