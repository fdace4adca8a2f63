"""A small residual network on CIFAR's shape: where memory is reused, and kernels are fused.

python examples/graphs/residual.py [--batch 256] [--steps 5]
"""

from __future__ import annotations

import argparse

from inference import inferred_shapes
from measured import add_measuring_options, compare, measure
from mindspore import Tensor

from sedna_tinyms.tinyms.layers import (
    BatchNorm2d,
    Conv2d,
    Dense,
    Flatten,
    Layer,
    ReLU,
    SequentialLayer,
)
from sedna_tinyms.tinyms.primitives import relu

PICTURE = (3, 32, 32)


class Residual(Layer):  # type: ignore[misc]
    """Two convolutions, added to what a shortcut brings (He et al. 2016, figure 2)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.main = SequentialLayer(
            [
                Conv2d(inputs, outputs, 3, stride),
                BatchNorm2d(outputs),
                ReLU(),
                Conv2d(outputs, outputs, 3),
                BatchNorm2d(outputs),
            ]
        )
        self.shortcut = Conv2d(inputs, outputs, 1, stride)

    def construct(self, x: Tensor) -> Tensor:
        """Return relu(main(x) + shortcut(x))."""
        return relu(self.main(x) + self.shortcut(x))


def layers() -> list[Layer]:
    """Return a stem, three residual blocks at 32, 16 and 8 pixels, and the classifier."""
    blocks = [Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2)]
    return [Conv2d(3, 16, 3), BatchNorm2d(16), ReLU(), *blocks, Flatten(), Dense(64 * 8 * 8, 10)]


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
        print(f"{kind:12} {output}")
    compare(__file__, options.batch, options.steps)


if __name__ == "__main__":
    main()
