"""A multi-layer perceptron on MNIST's shape: what a graph makes of a chain of layers.

python examples/graphs/mlp.py [--batch 256] [--steps 5]
"""

from __future__ import annotations

import argparse

from inference import inferred_shapes
from measured import add_measuring_options, compare, measure

from sedna_tinyms.tinyms.layers import Dense, Flatten, Layer, ReLU, SequentialLayer

PICTURE = (1, 28, 28)


def layers() -> list[Layer]:
    """Return three hidden layers of 256 and ten outputs."""
    hidden = [layer for inputs in (784, 256, 256) for layer in (Dense(inputs, 256), ReLU())]
    return [Flatten(), *hidden, Dense(256, 10)]


def main() -> None:
    """Show the shapes, then measure a training step in each way; or measure it in one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_measuring_options(parser)
    options = parser.parse_args()
    shape = (options.batch, *PICTURE)
    if options.way:
        measure(lambda: SequentialLayer(layers()), shape, options.way, options.steps)
        return
    for kind, output in inferred_shapes(layers(), shape):
        print(f"{kind:8} {output}")
    compare(__file__, options.batch, options.steps)


if __name__ == "__main__":
    main()
