"""Shapes as MindSpore's compiler infers them: from the program alone, before any data."""

from __future__ import annotations

from collections.abc import Sequence

import mindspore
from mindspore import Tensor
from mindspore.common.initializer import Zero

from sedna_tinyms.tinyms.layers import Layer, LayerList

Shape = tuple[int, ...]


class Traced(Layer):  # type: ignore[misc]
    """Layers in a row, which tell the shape of what each gives while they are compiled."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__()
        self.layers = LayerList(list(layers))
        self.shapes: list[tuple[str, Shape]] = []
        names = [type(layer).__name__ for layer in layers]

        # It runs in the compiler, where shapes are constants.
        @mindspore.ops.constexpr  # type: ignore[untyped-decorator]
        def note(index: int, shape: Shape) -> bool:
            self.shapes.append((names[index], shape))
            return True

        self.note = note

    def construct(self, x: Tensor) -> Tensor:
        """Return the last layer's output; this is never run, only compiled."""
        for index in range(len(self.layers)):
            x = self.layers[index](x)
            self.note(index, x.shape)
        return x


def inferred_shapes(layers: Sequence[Layer], input_shape: Shape) -> list[tuple[str, Shape]]:
    """Return kind and output shape of each layer.

    Raises
    ------
    ValueError
        If a layer cannot take what the one before it gives.
    """
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    traced = Traced(layers)
    traced.compile(
        Tensor(shape=input_shape, dtype=mindspore.float32, init=Zero())
    )  # a shape, no values
    return traced.shapes
