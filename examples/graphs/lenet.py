"""LeNet with inferred shapes: the compiler tells what each layer will give, before any data.

python examples/graphs/lenet.py [--data FOLDER_OF_MNIST]
"""

from __future__ import annotations

import argparse

from digits import add_data_options, load_digits
from inference import inferred_shapes

from sedna_tinyms.tinyms.callbacks import ProgressMonitor
from sedna_tinyms.tinyms.data import NumpySlicesDataset
from sedna_tinyms.tinyms.layers import Conv2d, Dense, Flatten, MaxPool2d, SequentialLayer, Tanh
from sedna_tinyms.tinyms.losses import SoftmaxCrossEntropyWithLogits
from sedna_tinyms.tinyms.model import Model
from sedna_tinyms.tinyms.optimizers import Momentum

BATCH = (100, 1, 28, 28)


def main() -> None:
    """Build the network from what the compiler infers, show it, and train it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_data_options(parser)
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()

    filters = [
        Conv2d(1, 20, 5, pad_mode="valid"),
        Tanh(),
        MaxPool2d(2, 2),
        Conv2d(20, 50, 5, pad_mode="valid"),
        Tanh(),
        MaxPool2d(2, 2),
        Flatten(),
    ]
    print(f"what the compiler infers from an input of {BATCH}:")
    for kind, shape in inferred_shapes(filters, BATCH):
        print(f"  {kind:10} {shape}")

    # So many features reach the first dense layer; nobody had to work it out.
    _, features = shape
    classifier = [Dense(features, 500), Tanh(), Dense(500, 10)]
    print(f"a Dense layer of {features} inputs fits; one of 700 is refused, unrun:")
    try:
        inferred_shapes([*filters, Dense(700, 500)], BATCH)
    except ValueError as error:
        print("  " + str(error).splitlines()[0])

    network = SequentialLayer([*filters, *classifier])
    model = Model(network)
    print(f"\n{model.summary(BATCH[1:], batch_size=BATCH[0], repeats=0)}\n")

    model.compile(
        SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean"),
        Momentum(network.trainable_params(), 0.05, 0.9),
        {"accuracy"},
    )
    training = NumpySlicesDataset(load_digits(options.data, options.count)).batch(BATCH[0], True)
    others = NumpySlicesDataset(load_digits(options.data, 1000, "t10k")).batch(BATCH[0])
    model.fit(options.epochs, training, others, callbacks=ProgressMonitor())


if __name__ == "__main__":
    main()
