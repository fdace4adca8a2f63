"""The TinyMS core on today's MindSpore, under TinyMS's own module names.

As in TinyMS, the package itself gives tensors, dtypes and array functions:
``import sedna_tinyms.tinyms as ts; ts.Tensor(ts.ones((2, 2)))``. `install_as_tinyms` makes
``import tinyms`` mean the same, for programs that were written for TinyMS.

Importing it limits oneDNN to the instructions that it is fast with (see `sedna_tinyms.onednn`).
MindSpore is imported with the first name, and each module of the core when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from sedna_tinyms import __version__ as __version__
from sedna_tinyms.errors import extra
from sedna_tinyms.onednn import limit_instruction_set
from sedna_tinyms.tinyms.alias import install_as_tinyms as install_as_tinyms

limit_instruction_set()

if find_spec("mindspore") is None:
    with extra("mindspore", "the TinyMS core"):
        import_module("mindspore")

_MODULES = (
    "callbacks",
    "common",
    "context",
    "data",
    "hub",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "model",
    "optimizers",
    "primitives",
    "serving",
    "text",
    "utils",
    "vision",
)
_OWN = ("__version__", "install_as_tinyms")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name == "__all__":
        return [*_OWN, *_common().__all__]
    if name.startswith("__") or name not in _common().__all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(_common(), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_common().__all__})


def _common() -> Any:
    return import_module(f"{__name__}.common")
