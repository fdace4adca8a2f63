"""The TinyMS core on today's MindSpore, under TinyMS's own module names.

Importing it limits oneDNN to the instructions that it is fast with (see `sedna_tinyms.onednn`),
and gives the names of `mindspore.common` and `mindspore.numpy` as TinyMS does:
``import sedna_tinyms.tinyms as ts; ts.Tensor(ts.ones((2, 2)))``. The parts (`data`, `vision`,
`model`, `losses`, `optimizers`, `metrics`, `callbacks`, `context`) are imported by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sedna_tinyms.errors import extra
from sedna_tinyms.onednn import limit_instruction_set

limit_instruction_set()

with extra("mindspore", "the TinyMS core"):
    from sedna_tinyms.tinyms import common as _common
    from sedna_tinyms.tinyms.common import *  # noqa: F403

__all__ = list(_common.__all__)

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...  # mypy does not look into MindSpore
