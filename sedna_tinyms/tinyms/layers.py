"""Layers: MindSpore's, and TinyMS's names for its containers.

`Layer` is MindSpore's `Cell` itself, so that every layer is a `Layer`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mindspore.nn import Cell as Layer
from mindspore.nn import CellList as LayerList
from mindspore.nn import GraphCell as GraphLayer
from mindspore.nn import SequentialCell as SequentialLayer
from mindspore.nn import layer as _layer
from mindspore.nn import wrap as _wrap
from mindspore.nn.layer import *  # noqa: F403
from mindspore.nn.wrap import *  # noqa: F403

from sedna_tinyms.tinyms.left_out import left_out

__all__ = ["GraphLayer", "Layer", "LayerList", "SequentialLayer"]
__all__ += [*dict.fromkeys([*_layer.__all__, *_wrap.__all__])]  # MindSpore lists one of them twice

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...  # mypy does not look into MindSpore

else:
    __getattr__ = left_out(__name__)
